//! Incremental fetch sessions (KIP-227): the broker remembers which partitions a consumer fetches, so that a
//! request names only what has changed and an answer only what is new.
//!
//! After Kafka's `FetchManager`, `FetchContext`, `FetchSession` and `FetchSessionCacheShard`, with one cache instead
//! of several shards.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klamm_codec::TopicRef;

use crate::errors::ErrorCode;

/// The session id that means "no session".
pub const NO_SESSION: i32 = 0;
/// The epoch that asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch that asks for no session, or closes one.
const FINAL_EPOCH: i32 = -1;
/// A session that was used within this time is not evicted for its age, and one younger than this not at all
/// (Kafka's `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICTION_AGE_MS: i64 = 120_000;

/// A partition as the request names it.
pub type PartitionKey = (TopicRef, i32);

/// What a request wants of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub fetch_offset: i64,
    pub bytes_max: i32,
    /// The leader epoch that the client knows, `None` for a client that does not care.
    pub current_leader_epoch: Option<i32>,
    /// The epoch of the last record that the client has (KIP-595).
    pub last_fetched_epoch: Option<i32>,
}

/// What an answer says of one partition, as far as sessions care.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub has_records: bool,
    pub has_error: bool,
    pub has_diverging_epoch: bool,
    pub high_watermark: i64,
    pub log_start_offset: i64,
}

/// How the answer to one request is to be made.
#[derive(Debug)]
pub enum FetchContext {
    /// The session is not there or the request does not fit it.
    Refused(ErrorCode),
    /// All partitions are in the request, all are in the answer, nothing is remembered.
    Sessionless(Vec<(PartitionKey, Wanted)>),
    /// As sessionless, and a session is made of it.
    Full {
        wanted: Vec<(PartitionKey, Wanted)>,
        uses_topic_ids: bool,
    },
    /// The request changed a session; the answer names what is new.
    Incremental {
        session: Arc<Session>,
        epoch: i32,
        wanted: Vec<(PartitionKey, Wanted)>,
    },
}

/// The sessions of one broker.
#[derive(Debug)]
pub struct FetchSessions {
    /// `max.incremental.fetch.session.cache.slots`
    slots_max: usize,
    sessions: Mutex<HashMap<i32, Arc<Session>>>,
}

/// One consumer's session.
#[derive(Debug)]
pub struct Session {
    id: i32,
    uses_topic_ids: bool,
    created_ms: i64,
    state: Mutex<SessionState>,
}

#[derive(Debug)]
struct SessionState {
    epoch: i32,
    used_ms: i64,
    /// Partitions in the order in which they are served: those that just had records go to the end.
    by_order: BTreeMap<u64, CachedPartition>,
    orders: HashMap<PartitionKey, u64>,
    next_order: u64,
}

#[derive(Debug)]
struct CachedPartition {
    key: PartitionKey,
    wanted: Wanted,
    high_watermark: i64,
    log_start_offset: i64,
}

impl FetchSessions {
    pub fn new(slots_max: usize) -> Self {
        Self {
            slots_max,
            sessions: Mutex::default(),
        }
    }

    /// Finds out how a request is to be answered; an incremental one changes its session.
    ///
    /// `wanted` holds each partition once. `uses_topic_ids` is whether the request's version names topics by id.
    pub fn context(
        &self,
        session_id: i32,
        epoch: i32,
        wanted: Vec<(PartitionKey, Wanted)>,
        forgotten: &[PartitionKey],
        uses_topic_ids: bool,
        now_ms: i64,
    ) -> FetchContext {
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if session_id != NO_SESSION {
                self.lock().remove(&session_id);
            }
            if epoch == FINAL_EPOCH {
                return FetchContext::Sessionless(wanted);
            }
            return FetchContext::Full {
                wanted,
                uses_topic_ids,
            };
        }
        let Some(session) = self.lock().get(&session_id).cloned() else {
            return FetchContext::Refused(ErrorCode::FetchSessionIdNotFound);
        };
        let mut state = session.lock();
        if state.epoch != epoch {
            return FetchContext::Refused(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return FetchContext::Refused(ErrorCode::FetchSessionTopicIdError);
        }
        state.update(&wanted, forgotten);
        if state.by_order.is_empty() {
            drop(state);
            self.lock().remove(&session_id);
            return FetchContext::Sessionless(wanted);
        }
        state.used_ms = now_ms;
        state.epoch = next_epoch(epoch);
        let (epoch, wanted) = (state.epoch, state.wanted());
        drop(state);
        FetchContext::Incremental {
            session,
            epoch,
            wanted,
        }
    }

    /// Remembers the partitions of a full request. Returns the id to answer with, [`NO_SESSION`] when there is no room.
    ///
    /// `new_id` makes candidates for the id; it is asked again while its answer is taken.
    pub fn create(
        &self,
        partitions: impl ExactSizeIterator<Item = (PartitionKey, Wanted, Outcome)>,
        uses_topic_ids: bool,
        now_ms: i64,
        mut new_id: impl FnMut() -> i32,
    ) -> i32 {
        let mut sessions = self.lock();
        if sessions.len() >= self.slots_max && !evict(&mut sessions, partitions.len(), now_ms) {
            return NO_SESSION;
        }
        let mut state = SessionState {
            epoch: next_epoch(INITIAL_EPOCH),
            used_ms: now_ms,
            by_order: BTreeMap::new(),
            orders: HashMap::new(),
            next_order: 0,
        };
        for (key, wanted, outcome) in partitions {
            state.add(CachedPartition {
                key,
                wanted,
                high_watermark: outcome.high_watermark,
                log_start_offset: outcome.log_start_offset,
            });
        }
        let id = loop {
            let id = new_id();
            if id != NO_SESSION && !sessions.contains_key(&id) {
                break id;
            }
        };
        sessions.insert(
            id,
            Arc::new(Session {
                id,
                uses_topic_ids,
                created_ms: now_ms,
                state: Mutex::new(state),
            }),
        );
        id
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Decides which partitions an answer must name, and remembers what it tells the client.
    ///
    /// # Errors
    /// INVALID_FETCH_SESSION_EPOCH when another request of the session came in between.
    pub fn select(
        &self,
        epoch: i32,
        outcomes: &[(PartitionKey, Outcome)],
    ) -> Result<Vec<bool>, ErrorCode> {
        let mut state = self.lock();
        if state.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        Ok(outcomes
            .iter()
            .map(|(key, outcome)| state.must_answer(key, outcome))
            .collect())
    }

    fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionState {
    fn add(&mut self, partition: CachedPartition) {
        self.next_order += 1;
        self.orders.insert(partition.key.clone(), self.next_order);
        self.by_order.insert(self.next_order, partition);
    }

    fn update(&mut self, wanted: &[(PartitionKey, Wanted)], forgotten: &[PartitionKey]) {
        for (key, wanted) in wanted {
            match self
                .orders
                .get(key)
                .and_then(|order| self.by_order.get_mut(order))
            {
                Some(cached) => cached.wanted = *wanted,
                None => self.add(CachedPartition {
                    key: key.clone(),
                    wanted: *wanted,
                    high_watermark: -1,
                    log_start_offset: -1,
                }),
            }
        }
        for key in forgotten {
            if let Some(order) = self.orders.remove(key) {
                self.by_order.remove(&order);
            }
        }
    }

    fn wanted(&self) -> Vec<(PartitionKey, Wanted)> {
        self.by_order
            .values()
            .map(|cached| (cached.key.clone(), cached.wanted))
            .collect()
    }

    fn must_answer(&mut self, key: &PartitionKey, outcome: &Outcome) -> bool {
        let Some(&order) = self.orders.get(key) else {
            return false;
        };
        let cached = self
            .by_order
            .get_mut(&order)
            .expect("orders and by_order name the same partitions");
        let is_changed = cached.high_watermark != outcome.high_watermark
            || cached.log_start_offset != outcome.log_start_offset;
        // A partition with an error is forgotten so far as to be named again when the error has gone.
        cached.high_watermark = if outcome.has_error {
            -1
        } else {
            outcome.high_watermark
        };
        cached.log_start_offset = outcome.log_start_offset;
        if outcome.has_records {
            let cached = self.by_order.remove(&order).expect("it was just found");
            self.add(cached);
        }
        is_changed || outcome.has_records || outcome.has_error || outcome.has_diverging_epoch
    }
}

/// Makes room for a session of `partition_count` partitions: the one that was not used for longest gives way when
/// it is stale, else the smallest one that is old enough and not larger than the new one.
fn evict(sessions: &mut HashMap<i32, Arc<Session>>, partition_count: usize, now_ms: i64) -> bool {
    let stalest = sessions
        .values()
        .map(|session| (session.lock().used_ms, session.id))
        .min();
    let victim = match stalest {
        Some((used_ms, id)) if now_ms - used_ms > EVICTION_AGE_MS => Some(id),
        _ => sessions
            .values()
            .filter(|session| now_ms - session.created_ms > EVICTION_AGE_MS)
            .map(|session| (session.lock().by_order.len(), session.id))
            .min()
            .filter(|(size, _)| *size <= partition_count)
            .map(|(_, id)| id),
    };
    victim.is_some_and(|id| sessions.remove(&id).is_some())
}

/// Epochs count up from 1 and wrap to 1.
fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        i32::MAX => 1,
        epoch if epoch < 0 => FINAL_EPOCH,
        epoch => epoch + 1,
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    const WANTED: Wanted = Wanted {
        fetch_offset: 0,
        bytes_max: 1000,
        current_leader_epoch: None,
        last_fetched_epoch: None,
    };
    const IDLE: Outcome = Outcome {
        has_records: false,
        has_error: false,
        has_diverging_epoch: false,
        high_watermark: 0,
        log_start_offset: 0,
    };

    fn key(index: i32) -> PartitionKey {
        (
            TopicRef::Name(TopicName(StrBytes::from_static_str("t"))),
            index,
        )
    }

    fn session_of(sessions: &FetchSessions, count: i32, now_ms: i64, id: i32) -> i32 {
        let partitions: Vec<_> = (0..count).map(|index| (key(index), WANTED, IDLE)).collect();
        sessions.create(partitions.into_iter(), false, now_ms, || id)
    }

    #[test]
    fn an_incremental_answer_names_only_what_changed() {
        // Three partitions are known; one gets records, one an error, one nothing. The error is told again when it ends.
        let sessions = FetchSessions::new(10);
        let id = session_of(&sessions, 3, 0, 7);
        let FetchContext::Incremental {
            session,
            epoch,
            wanted,
        } = sessions.context(id, 1, vec![], &[], false, 1)
        else {
            panic!("incremental")
        };
        assert_eq!(wanted.len(), 3);
        let outcomes = [
            (
                key(0),
                Outcome {
                    has_records: true,
                    ..IDLE
                },
            ),
            (
                key(1),
                Outcome {
                    has_error: true,
                    high_watermark: -1,
                    ..IDLE
                },
            ),
            (key(2), IDLE),
        ];
        assert_eq!(
            session.select(epoch, &outcomes),
            Ok(vec![true, true, false])
        );
        let FetchContext::Incremental {
            session,
            epoch,
            wanted,
        } = sessions.context(id, 2, vec![], &[], false, 2)
        else {
            panic!("incremental")
        };
        // The partition that had records is served last from now on.
        assert_eq!(
            wanted
                .iter()
                .map(|((_, index), _)| *index)
                .collect::<Vec<_>>(),
            [1, 2, 0]
        );
        assert_eq!(
            session.select(epoch, &[(key(1), IDLE), (key(2), IDLE), (key(0), IDLE)]),
            Ok(vec![true, false, false])
        );
    }

    #[test]
    fn a_request_that_does_not_fit_its_session_is_refused() {
        let sessions = FetchSessions::new(10);
        let id = session_of(&sessions, 1, 0, 7);
        let refusal = |session_id, epoch, by_id| match sessions.context(
            session_id,
            epoch,
            vec![],
            &[],
            by_id,
            1,
        ) {
            FetchContext::Refused(error) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(8, 1, false), ErrorCode::FetchSessionIdNotFound);
        assert_eq!(refusal(id, 2, false), ErrorCode::InvalidFetchSessionEpoch);
        assert_eq!(refusal(id, 1, true), ErrorCode::FetchSessionTopicIdError);
    }

    #[test]
    fn forgetting_the_last_partition_closes_the_session() {
        let sessions = FetchSessions::new(10);
        let id = session_of(&sessions, 1, 0, 7);
        assert!(matches!(
            sessions.context(id, 1, vec![], &[key(0)], false, 1),
            FetchContext::Sessionless(_)
        ));
        assert!(matches!(
            sessions.context(id, 2, vec![], &[], false, 1),
            FetchContext::Refused(ErrorCode::FetchSessionIdNotFound)
        ));
    }

    #[test]
    fn a_full_cache_gives_way_only_for_stale_or_smaller_sessions() {
        let sessions = FetchSessions::new(1);
        assert_eq!(session_of(&sessions, 2, 0, 7), 7);
        assert_eq!(session_of(&sessions, 2, 1, 8), NO_SESSION);
        assert_eq!(session_of(&sessions, 2, EVICTION_AGE_MS + 1, 9), 9);
        // Used just now, too young to be evicted for its size.
        assert_eq!(
            session_of(&sessions, 5, EVICTION_AGE_MS + 2, 10),
            NO_SESSION
        );
    }

    #[test]
    fn epochs_wrap_to_one() {
        assert_eq!(
            (next_epoch(0), next_epoch(i32::MAX), next_epoch(-1)),
            (1, 1, -1)
        );
    }
}

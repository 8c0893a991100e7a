//! One partition of `__consumer_offsets`: its groups, their offsets, and who waits for what.

mod groups;
mod offsets;

use std::collections::{BTreeMap, BTreeSet};

use crate::classic::ClassicGroup;
use crate::command::Command;
use crate::config::GroupConfig;
use crate::error::ReplayError;
use crate::ids::{Millis, ProducerId, Ticket};
use crate::offsets::{OffsetStore, StoredOffset};
use crate::record::{GroupMetadataValue, Key, OffsetCommitValue};
use crate::reply::Reply;
use crate::step::{Replayed, Step, TransactionOutcome};
use crate::timers::{Alarm, TimerKey, Timers};
use crate::turn::Turn;

/// Groups by id.
type Groups = BTreeMap<String, ClassicGroup>;

/// The state machine behind one partition of `__consumer_offsets`.
///
/// Durable state (groups as of their last record, offsets) is changed by records alone, whether they are read from
/// the log or were made a moment ago; see [`ClassicGroup`] for what lives in memory only.
#[derive(Debug)]
pub struct Shard {
    config: GroupConfig,
    groups: Groups,
    offsets: OffsetStore,
    timers: Timers,
    /// Where the next record goes, as far as the shard can tell: only the order matters.
    next_record_offset: i64,
    /// Groups that exist since a commit that stored nothing. Like in Kafka, descriptions and lists do not show
    /// them before the next record of the shard.
    unlisted: BTreeSet<String>,
}

impl Shard {
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            offsets: OffsetStore::default(),
            timers: Timers::default(),
            next_record_offset: 0,
            unlisted: BTreeSet::new(),
        }
    }

    /// Takes one record of the log, in log order and before [`Shard::loaded`]. `offset` is the record's;
    /// `producer` is its batch's if the batch is transactional.
    ///
    /// # Errors
    /// The record is damaged or of a later release; the shard is unchanged.
    pub fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        offset: i64,
        producer: Option<ProducerId>,
    ) -> Result<Replayed, ReplayError> {
        match Key::decode(key)? {
            Key::OffsetCommit {
                group_id,
                topic,
                partition,
            } => match value.map(OffsetCommitValue::decode).transpose()? {
                Some(value) => {
                    self.create_simple_group(&group_id);
                    let stored = StoredOffset {
                        value,
                        record_offset: offset,
                    };
                    self.offsets
                        .apply_commit(&group_id, &topic, partition, stored, producer);
                }
                None => self.offsets.apply_tombstone(&group_id, &topic, partition),
            },
            Key::GroupMetadata { group_id } => {
                match value.map(GroupMetadataValue::decode).transpose()? {
                    Some(value) => self.replay_group(group_id, &value)?,
                    None => self.forget_group(&group_id),
                }
            }
            Key::Other { record_type } => return Ok(Replayed::Skipped { record_type }),
        }
        self.next_record_offset = offset.saturating_add(1);
        Ok(Replayed::Applied)
    }

    /// Takes the end of a transaction, in its place among the records: while loading, and later whenever a marker is
    /// appended.
    pub fn replay_marker(&mut self, producer: ProducerId, outcome: TransactionOutcome) {
        self.offsets.apply_marker(producer, outcome);
        // A marker is a record too.
        self.unlisted.clear();
        self.next_record_offset = self.next_record_offset.saturating_add(1);
    }

    /// The log has been replayed to its end: every member that was found gets a session.
    pub fn loaded(&mut self, now: Millis) {
        self.unlisted.clear();
        let mut step = Step::default();
        let (groups, mut turn) = self.turn(now, &mut step);
        for group in groups.values_mut() {
            group.loaded(&mut turn);
        }
        assert!(step.is_empty());
        self.schedule_expiry(now);
    }

    /// Carries out a command. The reply with this ticket is in the step, or in a later one.
    pub fn handle(&mut self, now: Millis, ticket: Ticket, command: Command) -> Step {
        let mut step = Step::default();
        match command {
            Command::JoinGroup(request) => self.join(now, ticket, &request, &mut step),
            Command::SyncGroup(request) => self.sync(now, ticket, &request, &mut step),
            Command::LeaveGroup(request) => self.leave(now, ticket, &request, &mut step),
            Command::Heartbeat(request) => {
                let reply = Reply::Heartbeat(self.heartbeat(now, &request, &mut step));
                step.replies.push((ticket, reply));
            }
            Command::CommitOffsets(request) => {
                let reply = Reply::CommitOffsets(self.commit(now, &request, &mut step));
                step.replies.push((ticket, reply));
            }
            Command::CommitTransactionalOffsets(request) => {
                let result = self.commit_transactional(now, &request, &mut step);
                step.replies
                    .push((ticket, Reply::CommitTransactionalOffsets(result)));
            }
            Command::FetchOffsets(request) => {
                let reply = Reply::FetchOffsets(Ok(self.fetch(&request)));
                step.replies.push((ticket, reply));
            }
            Command::DeleteOffsets { group_id, topics } => {
                let result = self.delete_offsets(&group_id, &topics, &mut step);
                step.replies.push((ticket, Reply::DeleteOffsets(result)));
            }
            Command::DescribeGroup(request) => {
                let reply = Reply::DescribeGroup(self.describe(&request.group_id));
                step.replies.push((ticket, reply));
            }
            Command::ListGroups(request) => {
                step.replies
                    .push((ticket, Reply::ListGroups(self.list(&request))));
            }
            Command::DeleteGroup { group_id } => {
                let reply = Reply::DeleteGroup(self.delete_group(&group_id, &mut step));
                step.replies.push((ticket, reply));
            }
            Command::TopicsDeleted { topics } => {
                self.delete_topics(&topics, &mut step);
                step.replies.push((ticket, Reply::TopicsDeleted));
            }
        }
        self.note_records(&step);
        step
    }

    /// Fires every timer that is due. Call it when [`Shard::next_deadline`] has come; earlier calls do no harm.
    pub fn tick(&mut self, now: Millis) -> Step {
        let mut step = Step::default();
        let mark = self.timers.mark();
        while let Some((key, alarm)) = self.timers.pop_due(now, mark) {
            self.fire(now, &key, alarm, &mut step);
        }
        self.note_records(&step);
        step
    }

    /// When [`Shard::tick`] is due next. Every call that changes the shard may change it.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.timers.next_deadline()
    }

    /// Settings for everything that happens from now on. Timers that run keep their deadlines.
    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    fn fire(&mut self, now: Millis, key: &TimerKey, alarm: Alarm, step: &mut Step) {
        let group_id = match key {
            TimerKey::Expiry => {
                self.expire(now, step);
                return;
            }
            TimerKey::Session { group_id, .. }
            | TimerKey::Join { group_id }
            | TimerKey::Sync { group_id } => group_id,
        };
        let (groups, mut turn) = self.turn(now, step);
        let Some(group) = groups.get_mut(group_id) else {
            return;
        };
        match (key, alarm) {
            (TimerKey::Session { member_id, .. }, _) => group.session_expired(&mut turn, member_id),
            (_, Alarm::Plain) => group.join_expired(&mut turn),
            (
                _,
                Alarm::InitialJoin {
                    delay_ms,
                    remaining_ms,
                },
            ) => {
                group.initial_join_expired(&mut turn, delay_ms, remaining_ms);
            }
            (_, Alarm::Sync { generation }) => group.sync_expired(&mut turn, generation),
        }
    }

    /// What a group needs, apart from the groups themselves.
    fn turn<'a>(&'a mut self, now: Millis, step: &'a mut Step) -> (&'a mut Groups, Turn<'a>) {
        let turn = Turn {
            now,
            config: &self.config,
            timers: &mut self.timers,
            step,
        };
        (&mut self.groups, turn)
    }

    fn replay_group(
        &mut self,
        group_id: String,
        value: &GroupMetadataValue,
    ) -> Result<(), ReplayError> {
        match self.groups.get_mut(&group_id) {
            Some(group) => group.apply(value),
            None => {
                let mut group = ClassicGroup::new(&group_id);
                group.apply(value)?;
                self.groups.insert(group_id, group);
                Ok(())
            }
        }
    }

    /// Offsets need a group. One that no record tells of is empty and has no protocol type.
    fn create_simple_group(&mut self, group_id: &str) {
        if !self.groups.contains_key(group_id) {
            self.groups
                .insert(group_id.to_owned(), ClassicGroup::new(group_id));
        }
    }

    fn forget_group(&mut self, group_id: &str) {
        self.unlisted.remove(group_id);
        let Some(group) = self.groups.remove(group_id) else {
            return;
        };
        let group_id = group_id.to_owned();
        for member_id in group.session_ids() {
            self.timers.cancel(&TimerKey::Session {
                group_id: group_id.clone(),
                member_id,
            });
        }
        self.timers.cancel(&TimerKey::Join {
            group_id: group_id.clone(),
        });
        self.timers.cancel(&TimerKey::Sync { group_id });
    }

    /// The step is done: its records have their place in the log.
    fn note_records(&mut self, step: &Step) {
        if !step.records.is_empty() {
            self.unlisted.clear();
        }
        self.next_record_offset = self.offset_after(step);
    }

    /// The offset of the record that follows those of a step.
    fn offset_after(&self, step: &Step) -> i64 {
        self.next_record_offset
            .saturating_add(step.records.len() as i64)
    }
}

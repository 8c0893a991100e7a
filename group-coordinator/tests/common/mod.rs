//! A shard with a clock of its own, a log, and an eye on what must always hold.

// Every test binary uses its own part of this module.
#![allow(dead_code)]

pub mod build;

use std::collections::{BTreeMap, BTreeSet};

use klamm_group_coordinator::{
    Command, DescribeGroup, FetchOffsets, FetchTopics, FetchedTopic, GroupConfig, GroupDescription,
    GroupError, GroupState, Heartbeat, JoinGroup, JoinRefusal, Joined, ListGroups, Millis,
    ProducerId, Record, Reply, Shard, Step, SyncGroup, Synced, Ticket, TransactionOutcome,
};

/// The group of most tests.
pub const GROUP: &str = "grp";
/// Where the clock of every test starts.
pub const START_MS: i64 = 1_700_000_000_000;
/// More ticks than any test needs for one moment, and more moments than any one needs to be answered.
const TICKS_MAX: usize = 100;
/// The ticket of questions that the context asks for itself.
const OWN_TICKET: Ticket = Ticket(u64::MAX);

/// Runs a scenario twice: as it is, and with a restart after every step after which nobody waits for anything.
pub fn run(config: &GroupConfig, scenario: impl Fn(&mut Context)) {
    scenario(&mut Context::new(config.clone(), false));
    scenario(&mut Context::new(config.clone(), true));
}

/// Runs a scenario with Kafka's default settings; see [`run`].
pub fn run_default(scenario: impl Fn(&mut Context)) {
    run(&GroupConfig::default(), scenario);
}

/// A shard and its surroundings.
///
/// After every step it checks that every ticket is answered at most once, and that a second shard that only ever
/// saw the records tells the same of every group that is not rebalancing.
pub struct Context {
    pub shard: Shard,
    pub log: Vec<Record>,
    /// The records of transactions, by their place in the log, and the ends of transactions with what the log had
    /// before them.
    transactional: BTreeMap<usize, ProducerId>,
    markers: Vec<(usize, ProducerId, TransactionOutcome)>,
    now_ms: i64,
    config: GroupConfig,
    restarts: bool,
    replica: Shard,
    last_ticket: u64,
    last_uuid: u64,
    waiting: BTreeSet<Ticket>,
    replies: BTreeMap<Ticket, Reply>,
    pending_members: BTreeSet<String>,
}

impl Context {
    pub fn new(config: GroupConfig, restarts: bool) -> Self {
        let mut shard = Shard::new(config.clone());
        shard.loaded(Millis(START_MS));
        Self {
            shard,
            log: Vec::new(),
            transactional: BTreeMap::new(),
            markers: Vec::new(),
            now_ms: START_MS,
            replica: Shard::new(config.clone()),
            config,
            restarts,
            last_ticket: 0,
            last_uuid: 0,
            waiting: BTreeSet::new(),
            replies: BTreeMap::new(),
            pending_members: BTreeSet::new(),
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Hands a command to the shard. The answer, if it is there already, is found under the ticket.
    pub fn send(&mut self, command: Command) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.waiting.insert(ticket);
        if let Command::JoinGroup(join) = &command {
            self.pending_members.remove(&join.member_id);
        }
        if let Command::LeaveGroup(leave) = &command {
            for member in &leave.members {
                self.pending_members.remove(&member.member_id);
            }
        }
        let step = self.shard.handle(Millis(self.now_ms), ticket, command);
        self.take(step);
        ticket
    }

    /// Sends a command that is answered at once.
    pub fn ask(&mut self, command: Command) -> Reply {
        let ticket = self.send(command);
        self.replies
            .remove(&ticket)
            .expect("the command is answered at once")
    }

    /// Lets time pass, from deadline to deadline.
    pub fn advance(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        let mut ticks_count = 0;
        while let Some(Millis(deadline)) = self.shard.next_deadline() {
            if deadline > end_ms {
                break;
            }
            if deadline > self.now_ms {
                self.now_ms = deadline;
                ticks_count = 0;
            }
            ticks_count += 1;
            assert!(ticks_count < TICKS_MAX, "timers fire without end");
            let step = self.shard.tick(Millis(self.now_ms));
            self.take(step);
        }
        self.now_ms = end_ms;
    }

    /// Lets time pass until nobody waits any more.
    pub fn advance_until_answered(&mut self) {
        for _ in 0..TICKS_MAX {
            if self.waiting.is_empty() {
                return;
            }
            let deadline = self
                .shard
                .next_deadline()
                .expect("someone waits for a timer");
            self.advance(deadline.0 - self.now_ms);
        }
        panic!("someone waits without end");
    }

    /// A new shard from the log, as after a crash. Whoever waits for an answer will not get one.
    pub fn restart(&mut self) {
        self.waiting.clear();
        self.pending_members.clear();
        self.shard = Shard::new(self.config.clone());
        let mut markers = self.markers.iter().peekable();
        let mut offset = 0;
        for index in 0..=self.log.len() {
            while let Some((_, producer, outcome)) = markers.next_if(|(place, ..)| *place == index)
            {
                self.shard.replay_marker(*producer, *outcome);
                offset += 1;
            }
            if let Some(record) = self.log.get(index) {
                let producer = self.transactional.get(&index).copied();
                replay(&mut self.shard, record, offset, producer);
                offset += 1;
            }
        }
        self.shard.loaded(Millis(self.now_ms));
    }

    /// The marker of a transaction is appended.
    pub fn end_transaction(&mut self, producer: ProducerId, outcome: TransactionOutcome) {
        self.shard.replay_marker(producer, outcome);
        self.replica.replay_marker(producer, outcome);
        self.markers.push((self.log.len(), producer, outcome));
        self.take(Step::default());
    }

    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config.clone();
        self.shard.set_config(config);
    }

    /// Forgets members that were asked to come back and will not.
    pub fn give_up_pending_members(&mut self) {
        self.pending_members.clear();
    }

    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.waiting.contains(&ticket)
    }

    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    pub fn reply(&mut self, ticket: Ticket) -> Reply {
        self.replies
            .remove(&ticket)
            .unwrap_or_else(|| panic!("{ticket:?} has no answer"))
    }

    /// The answers that nobody has looked at yet.
    pub fn drain_replies(&mut self) -> BTreeMap<Ticket, Reply> {
        std::mem::take(&mut self.replies)
    }

    /// Sends a join with a fresh UUID.
    pub fn join(&mut self, join: JoinGroup) -> Ticket {
        self.last_uuid += 1;
        self.send(Command::JoinGroup(JoinGroup {
            generated_member_uuid: format!("uuid{:03}", self.last_uuid),
            ..join
        }))
    }

    pub fn join_reply(&mut self, ticket: Ticket) -> Result<Joined, JoinRefusal> {
        match self.reply(ticket) {
            Reply::JoinGroup(result) => result,
            other => panic!("not an answer to a join: {other:?}"),
        }
    }

    pub fn joined(&mut self, ticket: Ticket) -> Joined {
        self.join_reply(ticket).expect("the join is granted")
    }

    pub fn join_refused(&mut self, ticket: Ticket) -> JoinRefusal {
        self.join_reply(ticket).expect_err("the join is refused")
    }

    pub fn sync(&mut self, sync: SyncGroup) -> Ticket {
        self.send(Command::SyncGroup(sync))
    }

    pub fn sync_reply(&mut self, ticket: Ticket) -> Result<Synced, GroupError> {
        match self.reply(ticket) {
            Reply::SyncGroup(result) => result,
            other => panic!("not an answer to a sync: {other:?}"),
        }
    }

    pub fn heartbeat(&mut self, heartbeat: Heartbeat) -> Result<(), GroupError> {
        match self.ask(Command::Heartbeat(heartbeat)) {
            Reply::Heartbeat(result) => result,
            other => panic!("not an answer to a heartbeat: {other:?}"),
        }
    }

    pub fn describe(&mut self, group_id: &str) -> Result<GroupDescription, GroupError> {
        describe(&mut self.shard, Millis(self.now_ms), group_id)
    }

    pub fn state(&mut self) -> GroupState {
        self.describe(GROUP).map_or(GroupState::Dead, |it| it.state)
    }

    pub fn offsets(&mut self, group_id: &str) -> Vec<FetchedTopic> {
        offsets(&mut self.shard, Millis(self.now_ms), group_id, false)
    }

    /// How many records the log has, for a look at what a step adds with [`Context::records_since`].
    pub fn log_end(&self) -> usize {
        self.log.len()
    }

    pub fn records_since(&self, log_end: usize) -> &[Record] {
        &self.log[log_end..]
    }

    fn take(&mut self, step: Step) {
        let producer = step.producer.map(|(producer, _)| producer);
        assert!(producer.is_none() || !step.records.is_empty());
        for record in step.records {
            if let Some(producer) = producer {
                self.transactional.insert(self.log.len(), producer);
            }
            let offset = self.log.len() + self.markers.len();
            replay(&mut self.replica, &record, offset, producer);
            self.log.push(record);
        }
        for (ticket, reply) in step.replies {
            assert!(
                self.waiting.remove(&ticket),
                "{ticket:?} is not waiting for {reply:?}"
            );
            if let Reply::JoinGroup(Err(refusal)) = &reply
                && refusal.error == GroupError::MemberIdRequired
            {
                self.pending_members.insert(refusal.member_id.clone());
            }
            self.replies.insert(ticket, reply);
        }
        self.compare_with_replica();
        if self.restarts && self.is_quiet() {
            self.restart();
        }
    }

    fn is_quiet(&mut self) -> bool {
        let now = Millis(self.now_ms);
        self.waiting.is_empty()
            && self.pending_members.is_empty()
            && list(&mut self.shard, now)
                .into_iter()
                .all(|(_, state)| is_in_log(state))
    }

    fn compare_with_replica(&mut self) {
        let now = Millis(self.now_ms);
        let groups = list(&mut self.shard, now);
        let replicated: Vec<String> = list(&mut self.replica, now)
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        let group_ids: Vec<String> = groups.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(group_ids, replicated, "the log has other groups");
        for (group_id, state) in groups {
            if is_in_log(state) {
                let own = describe(&mut self.shard, now, &group_id);
                let logged = describe(&mut self.replica, now, &group_id);
                assert_eq!(own, logged, "the log tells something else of {group_id}");
            }
            for require_stable in [false, true] {
                let own = offsets(&mut self.shard, now, &group_id, require_stable);
                let logged = offsets(&mut self.replica, now, &group_id, require_stable);
                assert_eq!(own, logged, "the log has other offsets for {group_id}");
            }
        }
    }
}

fn is_in_log(state: GroupState) -> bool {
    matches!(state, GroupState::Empty | GroupState::Stable)
}

fn replay(shard: &mut Shard, record: &Record, offset: usize, producer: Option<ProducerId>) {
    shard
        .replay(
            &record.key,
            record.value.as_deref(),
            offset as i64,
            producer,
        )
        .expect("a record of the shard's own can be replayed");
}

fn only_reply(step: Step) -> Reply {
    assert!(step.records.is_empty());
    let [(ticket, reply)] =
        <[(Ticket, Reply); 1]>::try_from(step.replies).expect("a question has one answer");
    assert_eq!(ticket, OWN_TICKET);
    reply
}

fn describe(
    shard: &mut Shard,
    now: Millis,
    group_id: &str,
) -> Result<GroupDescription, GroupError> {
    let command = Command::DescribeGroup(DescribeGroup {
        group_id: group_id.to_owned(),
    });
    match only_reply(shard.handle(now, OWN_TICKET, command)) {
        Reply::DescribeGroup(result) => result,
        other => panic!("not a description: {other:?}"),
    }
}

fn list(shard: &mut Shard, now: Millis) -> Vec<(String, GroupState)> {
    let command = Command::ListGroups(ListGroups::default());
    match only_reply(shard.handle(now, OWN_TICKET, command)) {
        Reply::ListGroups(groups) => groups
            .into_iter()
            .map(|it| (it.group_id, it.state))
            .collect(),
        other => panic!("not a list: {other:?}"),
    }
}

fn offsets(
    shard: &mut Shard,
    now: Millis,
    group_id: &str,
    require_stable: bool,
) -> Vec<FetchedTopic> {
    let command = Command::FetchOffsets(FetchOffsets {
        group_id: group_id.to_owned(),
        topics: FetchTopics::All,
        require_stable,
    });
    match only_reply(shard.handle(now, OWN_TICKET, command)) {
        Reply::FetchOffsets(Ok(topics)) => topics,
        other => panic!("not offsets: {other:?}"),
    }
}

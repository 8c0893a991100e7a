//! Members of classic groups that follow the protocol: join, sync, heartbeat, commit, leave, and mistakes in between.

use super::commits;
use super::draft::Draft;
use crate::differential::plan::{Request, Until};
use crate::differential::template::{Template, array, object, variable};

pub const JOIN_GROUP: i16 = 11;
pub const HEARTBEAT: i16 = 12;
pub const LEAVE_GROUP: i16 = 13;
pub const SYNC_GROUP: i16 = 14;
const DESCRIBE_GROUPS: i16 = 15;

/// Within the broker's default bounds of 6 s and 30 min.
const SESSION_TIMEOUT_MS: i32 = 6_000;

/// The bounds, and what lies outside of them.
const SESSION_TIMEOUTS_MS: &[i32] = &[5_999, 1_800_000, 1_800_001, 0, -1];

/// How long a rebalance waits for members that have gone silent.
const REBALANCE_TIMEOUT_MS: i32 = 3_000;

/// A member of a group, on a connection of its own. The number is also its client id's.
#[derive(Debug, Clone)]
pub struct Member {
    pub group: String,
    pub number: usize,
    pub instance_id: Option<String>,
    /// The variables that hold its id and generation.
    id: String,
    generation: String,
}

impl Member {
    pub fn new(draft: &mut Draft<'_>, group: &str, number: usize) -> Self {
        let unique = draft.fresh_number();
        Self {
            group: group.to_owned(),
            number,
            instance_id: None,
            id: format!("member{unique}"),
            generation: format!("generation{unique}"),
        }
    }

    pub fn id(&self) -> Template {
        variable(&self.id, "")
    }

    pub fn generation(&self) -> Template {
        variable(&self.generation, -1)
    }

    pub fn instance_id(&self) -> Template {
        self.instance_id.as_deref().into()
    }

    /// A request about this member, with a wrong id, generation or instance in a few.
    fn about(&self, draft: &mut Draft<'_>, api_key: i16, more: Template) -> Request {
        let (mut id, mut generation, mut instance) =
            (self.id(), self.generation(), self.instance_id());
        if draft.chance(0.1) {
            match draft.weighted(&[1, 1, 1]) {
                0 => id = draft.pick(&["", "nobody"]).into(),
                1 => generation = draft.pick(&[-1, 0, 1, 2, 99]).into(),
                _ => instance = draft.pick(&["", "nobody"]).into(),
            }
        }
        let body = more
            .with("groupId", self.group.as_str())
            .with("generationId", generation)
            .with("memberId", id)
            .with("groupInstanceId", instance);
        self.sent_by(draft.request(api_key, body))
    }

    fn sent_by(&self, request: Request) -> Request {
        request
            .on(1 + self.number)
            .with_client_id(&format!("member-{}", self.number))
    }

    /// A join with the id known so far, whose answer binds id and generation.
    fn join(&self, draft: &mut Draft<'_>) -> Request {
        let body = join_body(draft, &self.group)
            .with("memberId", self.id())
            .with("groupInstanceId", self.instance_id());
        let request = draft.request(JOIN_GROUP, body);
        self.sent_by(request)
            .capture(&self.id, "memberId")
            .capture(&self.generation, "generationId")
    }

    pub fn sync(&self, draft: &mut Draft<'_>, assigned: &[&Member]) -> Request {
        let assignments = array(assigned.iter().map(|member| {
            object([
                ("memberId", member.id()),
                (
                    "assignment",
                    format!("for member {}", member.number).into_bytes().into(),
                ),
            ])
        }));
        let more = object([
            ("protocolType", "consumer".into()),
            (
                "protocolName",
                draft.mostly("range", &["sticky", ""]).into(),
            ),
            ("assignments", assignments),
        ]);
        self.about(draft, SYNC_GROUP, more)
    }

    fn heartbeat(&self, draft: &mut Draft<'_>) -> Request {
        self.about(draft, HEARTBEAT, object([]))
    }

    pub fn leave(&self, draft: &mut Draft<'_>) -> Request {
        let instance = self.instance_id();
        let member = object([("memberId", self.id()), ("groupInstanceId", instance)])
            .with("reason", draft.pick(&[None, Some("enough"), Some("")]));
        let body = object([
            ("groupId", self.group.as_str().into()),
            ("memberId", self.id()),
            ("members", array([member])),
        ]);
        let request = draft.request(LEAVE_GROUP, body);
        self.sent_by(request)
    }
}

/// A join as a consumer sends it, with a mistake in a few.
pub fn join_body(draft: &mut Draft<'_>, group: &str) -> Template {
    let topic = draft.any_topic().name;
    let subscription = subscription(&topic);
    let protocol = |name: &str| {
        object([
            ("name", name.into()),
            ("metadata", subscription.clone().into()),
        ])
    };
    let protocols = match draft.weighted(&[20, 6, 1]) {
        0 => array([protocol("range")]),
        1 => array([protocol("sticky"), protocol("range")]),
        _ => array(draft.pick(&[vec![], vec![protocol("other")]])),
    };
    object([
        ("groupId", group.into()),
        (
            "sessionTimeoutMs",
            draft
                .nearly_always(SESSION_TIMEOUT_MS, SESSION_TIMEOUTS_MS)
                .into(),
        ),
        ("rebalanceTimeoutMs", REBALANCE_TIMEOUT_MS.into()),
        ("memberId", "".into()),
        (
            "protocolType",
            draft.nearly_always("consumer", &["connect", ""]).into(),
        ),
        ("protocols", protocols),
        ("reason", draft.pick(&[None, Some("because")]).into()),
    ])
}

/// A consumer's subscription, version 0: the topics and no user data.
fn subscription(topic: &str) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 0, 1];
    bytes.extend((topic.len() as i16).to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend([0xff; 4]);
    bytes
}

/// A group of its own most of the time, so that members left behind do not slow everything down.
fn group_for(draft: &mut Draft<'_>) -> String {
    if draft.chance(0.9) {
        let number = draft.fresh_number();
        format!("{}members{number}", draft.prefix)
    } else {
        draft.group_name()
    }
}

/// Joins with the id that the first answer gives, if it gives one.
pub fn join_alone(draft: &mut Draft<'_>, member: &Member) {
    for _ in 0..2 {
        let join = member.join(draft);
        draft.ask(join);
    }
}

/// Something that a member, or somebody who watches the group, does.
fn any_act(draft: &mut Draft<'_>, member: &Member) {
    let request = match draft.weighted(&[4, 3, 2, 1, 2]) {
        0 => member.heartbeat(draft),
        1 => {
            let more = commits::commit_topics(draft);
            // OffsetCommit calls the generation so since version 1.
            let commit = object([("topics", more)])
                .with("generationIdOrMemberEpoch", member.generation())
                .with("groupId", member.group.as_str())
                .with("memberId", member.id())
                .with("groupInstanceId", member.instance_id());
            let request = draft.request(commits::OFFSET_COMMIT, commit);
            member.sent_by(request)
        }
        2 => {
            let body = object([("groups", array([member.group.as_str()]))]);
            draft.request(DESCRIBE_GROUPS, body)
        }
        3 => member.sync(draft, &[]),
        _ => member.join(draft),
    };
    draft.ask(request);
}

pub fn one_member(draft: &mut Draft<'_>) {
    let group = group_for(draft);
    let member = Member::new(draft, &group, 0);
    join_alone(draft, &member);
    let sync = member.sync(draft, &[&member]);
    draft.ask(sync);
    for _ in 0..draft.between(1..=4) {
        any_act(draft, &member);
    }
    if draft.chance(0.7) {
        let leave = member.leave(draft);
        draft.ask(leave);
        if draft.chance(0.5) {
            any_act(draft, &member);
        }
    }
}

/// A second member makes the group rebalance; the first learns of it and joins again.
pub fn two_members(draft: &mut Draft<'_>) {
    let group = group_for(draft);
    let first = Member::new(draft, &group, 0);
    let second = Member::new(draft, &group, 1);
    join_alone(draft, &first);
    let sync = first.sync(draft, &[&first]);
    draft.ask(sync);
    // Where the version asks for it, the second member is given its id first.
    let join = second.join(draft);
    draft.begin(join, Until::GroupRebalances(group.clone()));
    if draft.chance(0.7) {
        let heartbeat = first.heartbeat(draft);
        draft.ask(heartbeat);
    }
    let rejoins = draft.chance(0.9);
    if rejoins {
        let join = first.join(draft);
        draft.ask(join);
    }
    draft.collect(2);
    let join = second.join(draft);
    draft.begin(join, Until::GroupRebalances(group.clone()));
    if rejoins {
        let join = first.join(draft);
        draft.ask(join);
    }
    draft.collect(2);
    let sync = second.sync(draft, &[]);
    draft.begin(sync, Until::Sent);
    let sync = first.sync(draft, &[&first, &second]);
    draft.ask(sync);
    draft.collect(2);
    for _ in 0..draft.between(1..=3) {
        let member = draft.pick(&[&first, &second]).clone();
        any_act(draft, &member);
    }
    for member in [&first, &second] {
        if draft.chance(0.7) {
            let leave = member.leave(draft);
            draft.ask(leave);
        }
    }
}

/// A member with an instance id that comes back under a new id, and its old self.
pub fn static_member(draft: &mut Draft<'_>) {
    let group = group_for(draft);
    let instance = Some("instance".to_owned());
    let mut member = Member::new(draft, &group, 0);
    member.instance_id.clone_from(&instance);
    let join = member.join(draft);
    draft.ask(join);
    let sync = member.sync(draft, &[&member]);
    draft.ask(sync);
    let mut replacement = Member::new(draft, &group, 1);
    replacement.instance_id = instance;
    let join = replacement.join(draft);
    draft.ask(join);
    let sync = replacement.sync(draft, &[&replacement]);
    draft.ask(sync);
    for _ in 0..draft.between(2..=4) {
        let member = draft.pick(&[&member, &replacement]).clone();
        any_act(draft, &member);
    }
    // A static member may be removed by its instance id alone.
    let body = object([
        ("groupId", group.as_str().into()),
        ("memberId", replacement.id()),
        (
            "members",
            array([object([
                ("memberId", draft.pick(&["", "nobody"]).into()),
                (
                    "groupInstanceId",
                    draft.mostly("instance", &["nobody"]).into(),
                ),
            ])]),
        ),
    ]);
    draft.ask_with(LEAVE_GROUP, body);
}

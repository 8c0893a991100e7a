//! Fetch with and without sessions.

use super::draft::{Draft, TopicRef};
use crate::differential::template::{Template, array, object, variable};
use crate::schema::Versions;

pub const FETCH: i16 = 1;

/// The first version with sessions.
const SESSION_VERSIONS: Versions = Versions {
    first: 7,
    last: i16::MAX,
};

const NO_SESSION: i32 = 0;
const FULL: i32 = 0;
const FINAL: i32 = -1;

pub fn sessionless(draft: &mut Draft<'_>) {
    let topics = draft.some_topics(3);
    let topics = topics
        .into_iter()
        .map(|topic| {
            let partitions = draft.some_partitions(&topic, 3);
            fetch_topic(draft, &topic, &partitions)
        })
        .collect();
    let body = body(draft, topics);
    let body = if draft.chance(0.05) {
        body.with("replicaId", draft.pick(&[1, 2, -2]))
    } else {
        body
    };
    draft.ask_with(FETCH, body);
}

/// A fetch of what is committed (or of all that is there), which is answered at once: from the beginning, or from
/// within transactions that began before.
pub fn of_transactions(
    draft: &mut Draft<'_>,
    topic: &TopicRef,
    partitions: &[i32],
    is_committed: bool,
) -> Template {
    let from_the_beginning = draft.chance(0.6);
    let partitions = partitions.iter().map(|partition| {
        let offset = if from_the_beginning {
            0
        } else {
            let end = draft.next_offset(&topic.name, *partition);
            draft.between(0..=end)
        };
        object([
            ("partition", (*partition).into()),
            ("currentLeaderEpoch", (-1).into()),
            ("fetchOffset", offset.into()),
            (
                "partitionMaxBytes",
                draft.nearly_always(1 << 20, &[150, 300, 1]).into(),
            ),
        ])
    });
    let partitions = array(partitions.collect::<Vec<_>>());
    let topic = object([
        ("topic", topic.name.as_str().into()),
        ("topicId", topic.id.clone()),
        ("partitions", partitions),
    ]);
    object([
        ("maxWaitMs", 0.into()),
        ("minBytes", 0.into()),
        ("maxBytes", i32::MAX.into()),
        ("isolationLevel", i16::from(is_committed).into()),
        ("sessionId", NO_SESSION.into()),
        ("sessionEpoch", FINAL.into()),
        ("topics", array([topic])),
    ])
}

/// One wait of at most some milliseconds, the rest answers at once.
fn body(draft: &mut Draft<'_>, topics: Vec<Template>) -> Template {
    object([
        ("maxWaitMs", draft.mostly(0, &[30, 0, -1]).into()),
        ("minBytes", draft.mostly(1, &[0, 100, 1_000_000, -1]).into()),
        (
            "maxBytes",
            draft.mostly(i32::MAX, &[1_000, 100, 1, 0, -1]).into(),
        ),
        ("isolationLevel", i16::from(draft.chance(0.5)).into()),
        ("sessionId", NO_SESSION.into()),
        ("sessionEpoch", FINAL.into()),
        ("topics", array(topics)),
        ("rackId", draft.mostly("", &["rack"]).into()),
    ])
}

/// A topic in a fetch, from anywhere in its partitions.
pub fn fetch_topic(draft: &mut Draft<'_>, topic: &TopicRef, partitions: &[i32]) -> Template {
    let partitions = partitions.iter().map(|partition| {
        object([
            ("partition", (*partition).into()),
            ("currentLeaderEpoch", draft.current_leader_epoch().into()),
            ("fetchOffset", draft.offset(&topic.name, *partition).into()),
            ("lastFetchedEpoch", draft.mostly(-1, &[0, 0, 1, -2]).into()),
            (
                "partitionMaxBytes",
                draft.mostly(1 << 20, &[200, 100, 1, 0, -1]).into(),
            ),
        ])
    });
    let partitions = array(partitions.collect::<Vec<_>>());
    object([
        ("topic", topic.name.as_str().into()),
        ("topicId", topic.id.clone()),
        ("partitions", partitions),
    ])
}

/// Opens a session, goes on with it, changes its partitions, closes it, and gets ids and epochs wrong.
pub fn session(draft: &mut Draft<'_>) {
    let session = format!("session{}", draft.fresh_number());
    // Names and ids can't be mixed in a session.
    let version = draft.version_in(FETCH, SESSION_VERSIONS);
    let version_afterwards = |draft: &mut Draft<'_>| {
        if draft.chance(0.9) {
            version
        } else {
            draft.version_in(FETCH, SESSION_VERSIONS)
        }
    };
    let topics = draft.some_topics(2);
    let opened: Vec<Template> = topics
        .iter()
        .map(|topic| {
            let partitions = draft.some_partitions(topic, 3);
            fetch_topic(draft, topic, &partitions)
        })
        .collect();
    let open = body(draft, opened).with("sessionEpoch", FULL);
    let open = draft
        .request_at(FETCH, version, open)
        .capture(&session, "sessionId");
    draft.ask(open);
    let mut epoch = 1;
    for _ in 0..draft.between(1..=4) {
        let changed = if draft.chance(0.4) {
            let topic = draft.any_topic();
            let partitions = draft.some_partitions(&topic, 2);
            vec![fetch_topic(draft, &topic, &partitions)]
        } else {
            Vec::new()
        };
        let forgotten = if draft.chance(0.3) {
            let topic = draft.pick(&topics);
            let partitions = draft.some_partitions(&topic, 2);
            array([object([
                ("topic", topic.name.into()),
                ("topicId", topic.id),
                ("partitions", array(partitions)),
            ])])
        } else {
            array([] as [Template; 0])
        };
        let sent_epoch = draft.mostly(epoch, &[epoch + 1, epoch - 1, FINAL, FULL, i32::MAX, -2]);
        let id = if draft.chance(0.92) {
            variable(&session, NO_SESSION)
        } else {
            draft.pick(&[NO_SESSION, 12_345, -1]).into()
        };
        let go_on = body(draft, changed)
            .with("sessionId", id)
            .with("sessionEpoch", sent_epoch)
            .with("forgottenTopicsData", forgotten);
        let version = version_afterwards(draft);
        let go_on = draft.request_at(FETCH, version, go_on);
        draft.ask(go_on);
        if sent_epoch == epoch {
            epoch += 1;
        }
    }
    let close = body(draft, Vec::new())
        .with("sessionId", variable(&session, NO_SESSION))
        .with("sessionEpoch", FINAL);
    let close = draft.request_at(FETCH, version, close);
    draft.ask(close);
}

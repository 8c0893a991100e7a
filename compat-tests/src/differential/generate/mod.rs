//! Draws sequences: topics first, then steps from weighted families.
//!
//! A family is one kind of conversation about one or a few APIs. Most of what it sends is right, so that the servers get
//! somewhere; the rest is wrong in one place.

mod cluster;
mod commits;
mod configs;
mod draft;
mod features;
mod fetch;
mod frames;
mod groups;
mod idempotence;
mod members;
mod metadata;
mod offsets;
mod partitions;
mod produce;
mod topics;
mod transactions;

use draft::Draft;
pub use draft::UNKNOWN_ID;

use super::plan::{Ranges, Sequence};

/// The bounds of a sequence's length. A family may add several steps at once, so the upper one is soft.
const STEPS_MIN: i64 = 5;
const STEPS_MAX: i64 = 25;

/// One kind of conversation.
struct Family {
    /// The APIs it needs; it is left out when one of them is not served.
    apis: &'static [i16],
    weight: u32,
    draw: fn(&mut Draft<'_>),
}

const fn family(apis: &'static [i16], weight: u32, draw: fn(&mut Draft<'_>)) -> Family {
    Family { apis, weight, draw }
}

/// What a transaction touches.
const TRANSACTIONAL: &[i16] = &[
    0, 1, 2, 9, 11, 13, 14, 22, 24, 25, 26, 28, 42, 47, 61, 65, 66,
];

/// Conversations that are whole sequences, and how many sequences there are for one of them, the rarest first.
const RARE_FAMILIES: &[(u64, Family)] = &[
    (800, family(&[22, 26, 65], 1, transactions::exhaustion)),
    (
        50,
        family(
            &[18, 22, 24, 25, 26, 28, 57, 61, 65, 66],
            1,
            features::older_transaction_version,
        ),
    ),
];

const FAMILIES: &[Family] = &[
    family(&[0], 12, produce::good),
    family(&[0], 12, produce::broken),
    family(&[0], 3, produce::unacknowledged),
    family(&[0, 22], 5, idempotence::conversation),
    family(&[22], 4, idempotence::init_producer_id),
    family(&[1], 14, fetch::sessionless),
    family(&[1], 5, fetch::session),
    family(&[2], 9, offsets::list_offsets),
    family(&[23], 6, offsets::offset_for_leader_epoch),
    family(&[3], 8, metadata::metadata),
    family(&[75], 5, metadata::describe_topic_partitions),
    family(&[10], 5, groups::find_coordinator),
    family(&[11, 12, 13, 14, 15], 5, members::one_member),
    family(&[11, 12, 13, 14, 15], 3, members::two_members),
    family(&[11, 13, 14, 15], 3, members::static_member),
    family(&[11, 12, 13, 14], 6, groups::wrong_member_calls),
    family(&[8], 7, commits::commit),
    family(&[9], 7, commits::fetch),
    family(&[47], 4, commits::delete),
    family(&[15], 4, groups::describe),
    family(&[16], 4, groups::list),
    family(&[42], 4, groups::delete),
    family(&[19], 7, topics::create),
    family(&[20], 4, topics::delete),
    family(&[37], 5, topics::create_partitions),
    family(&[21], 5, partitions::delete_records),
    family(&[43], 3, partitions::elect_leaders),
    family(&[45], 3, partitions::reassign),
    family(&[46], 3, partitions::list_reassignments),
    family(&[32], 7, configs::describe),
    family(&[44], 7, configs::alter_incrementally),
    family(&[33], 4, configs::alter),
    family(&[18], 4, cluster::api_versions),
    family(&[60], 4, cluster::describe_cluster),
    family(&[35], 3, cluster::describe_log_dirs),
    family(&[55], 3, cluster::describe_quorum),
    family(&[29, 30, 31], 4, cluster::acls),
    family(TRANSACTIONAL, 6, transactions::explicit),
    family(TRANSACTIONAL, 6, transactions::implicit),
    family(TRANSACTIONAL, 5, transactions::fencing),
    family(TRANSACTIONAL, 4, transactions::interleaved),
    family(TRANSACTIONAL, 4, transactions::offsets),
    family(&[0, 1, 22, 24, 26, 27], 4, transactions::markers),
    family(&[24, 25, 26, 27, 28], 6, transactions::strangers),
    family(&[22, 26], 4, transactions::init_producer_id),
    family(&[10, 26], 3, transactions::find_coordinator),
    family(&[61], 3, transactions::describe_producers),
    family(&[65], 3, transactions::describe_transactions),
    family(&[66], 3, transactions::list_transactions),
    family(&[57], 4, features::ask),
    family(&[18], 4, frames::damaged),
    family(&[18], 2, frames::unsupported_version),
];

/// Restricts sequences to some APIs.
#[derive(Debug, Default, Clone)]
pub struct Filter {
    /// Empty for all.
    pub only_apis: Vec<i16>,
}

impl Filter {
    fn allows(&self, family: &Family) -> bool {
        self.only_apis.is_empty() || family.apis.iter().any(|api| self.only_apis.contains(api))
    }
}

/// The sequence with this index of this seed. The ranges and the filter take part in what is drawn.
pub fn generate(seed: u64, index: u64, ranges: &Ranges, now_ms: i64, filter: &Filter) -> Sequence {
    let mut draft = Draft::new(seed, index, ranges, now_ms);
    topics::set_up(&mut draft);
    let rare = RARE_FAMILIES.iter().find(|(every, family)| {
        index % every == every - 1
            && filter.allows(family)
            && family.apis.iter().all(|api| draft.serves(*api))
    });
    if let Some((_, family)) = rare {
        (family.draw)(&mut draft);
        return draft.finish(seed, index);
    }
    let families: Vec<&Family> = FAMILIES
        .iter()
        .filter(|family| filter.allows(family))
        .filter(|family| family.apis.iter().all(|api| draft.serves(*api)))
        .collect();
    if !families.is_empty() {
        let weights: Vec<u32> = families.iter().map(|family| family.weight).collect();
        let end = draft.step_count() + draft.between(STEPS_MIN..=STEPS_MAX) as usize;
        while draft.step_count() < end {
            let chosen = draft.weighted(&weights);
            (families[chosen].draw)(&mut draft);
        }
    }
    draft.finish(seed, index)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::differential::exchange::{Head, encode_request};
    use crate::differential::plan::{Request, SERVED_APIS, Step};
    use crate::differential::template::Variables;
    use crate::kafka::KafkaJars;
    use crate::schema::{Direction, Schemas, Value};

    const NOW_MS: i64 = 1_800_000_000_000;

    fn schemas() -> Schemas {
        let jars = KafkaJars::locate().expect("Apache Kafka's jars");
        Schemas::from_jar(&jars.clients_jar()).expect("readable schemas")
    }

    fn all_ranges(schemas: &Schemas) -> Ranges {
        SERVED_APIS
            .iter()
            .map(|api_key| {
                let request = schemas.message(*api_key, Direction::Request);
                (
                    *api_key,
                    request.expect("a served API has a schema").versions,
                )
            })
            .collect()
    }

    fn requests(sequence: &Sequence) -> impl Iterator<Item = &Request> {
        sequence.steps.iter().filter_map(|step| match step {
            Step::Ask(request) | Step::Begin(request, _) | Step::Repeat(request, _) => {
                Some(request)
            }
            Step::Collect(_) => None,
        })
    }

    /// Draws a thousand sequences and encodes all their requests: they fit the schemas and, together, cover every served
    /// API at every version.
    #[test]
    fn every_request_fits_its_schema_and_every_version_is_drawn() {
        let schemas = schemas();
        let ranges = all_ranges(&schemas);
        let mut drawn = BTreeSet::new();
        for index in 0..1_000 {
            let sequence = generate(1, index, &ranges, NOW_MS, &Filter::default());
            for request in requests(&sequence) {
                let head = Head {
                    api_key: request.api_key,
                    version: request.version,
                    correlation: 1,
                    client_id: request.client_id.as_deref(),
                    damage: request.damage.as_ref(),
                };
                let body = request.body.resolve(&Variables::default());
                encode_request(&schemas, head, &body).expect("a request that fits its schema");
                drawn.insert((request.api_key, request.version));
            }
        }
        for (api_key, versions) in &ranges {
            for version in versions.first..=versions.last {
                let name = schemas.api_name(*api_key);
                assert!(drawn.contains(&(*api_key, version)), "{name} v{version}");
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_sequence_every_time() {
        let ranges = all_ranges(&schemas());
        for index in 0..50 {
            let [first, second] = [(); 2]
                .map(|()| generate(7, index, &ranges, NOW_MS, &Filter::default()))
                .map(|sequence| format!("{sequence:?}"));
            assert_eq!(first, second);
        }
    }

    /// Draws many sequences and looks at every UpdateFeatures: one that could change a feature stands in a sequence of
    /// its own, which leaves transaction.version as it was.
    #[test]
    fn features_are_changed_in_sequences_of_their_own_and_changed_back() {
        let ranges = all_ranges(&schemas());
        let mut changing_sequences = 0;
        for index in 0..1_000 {
            let sequence = generate(3, index, &ranges, NOW_MS, &Filter::default());
            let mut level = features::LATEST_TRANSACTION_VERSION;
            for request in requests(&sequence).filter(|request| request.api_key == 57) {
                let body = request.body.resolve(&Variables::default());
                let only_asks = body.field("validateOnly") == Some(&true.into());
                if sequence.is_alone {
                    let wanted = body.at("featureUpdates.0.maxVersionLevel");
                    let wanted = wanted.and_then(Value::integer).expect("a level");
                    level = i16::try_from(wanted).expect("an int16");
                } else if !only_asks || request.version == 0 {
                    let updates = body.field("featureUpdates").expect("updates");
                    assert!(updates.elements().iter().all(features::is_refused));
                }
            }
            assert_eq!(level, features::LATEST_TRANSACTION_VERSION);
            changing_sequences += usize::from(sequence.is_alone);
        }
        assert!(changing_sequences >= 10);
    }

    /// Draws the sequence in which a producer uses up its epochs: every id and epoch in it comes from an answer, and
    /// there are as many calls as there are epochs.
    #[test]
    fn a_producer_uses_up_its_epochs() {
        let ranges = all_ranges(&schemas());
        let sequence = generate(1, 799, &ranges, NOW_MS, &Filter::default());
        let repeated: usize = sequence
            .steps
            .iter()
            .map(|step| match step {
                Step::Repeat(request, times) if request.api_key == 22 => *times,
                _ => 0,
            })
            .sum();
        let before = sequence
            .steps
            .iter()
            .position(|step| matches!(step, Step::Repeat(..)))
            .expect("a repetition");
        assert!(matches!(&sequence.steps[before - 1], Step::Ask(first) if first.api_key == 22));
        assert!(matches!(&sequence.steps[before + 1], Step::Ask(last) if last.api_key == 22));
        // The first call gives epoch 0.
        assert_eq!(repeated + 1, i16::MAX as usize - 1);
    }
}

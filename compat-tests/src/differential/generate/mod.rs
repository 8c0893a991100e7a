//! Draws sequences: topics first, then steps from weighted families.
//!
//! A family is one kind of conversation about one or a few APIs. Most of what it sends is right, so that the servers get
//! somewhere; the rest is wrong in one place.

mod cluster;
mod commits;
mod configs;
mod draft;
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
    use crate::schema::{Direction, Schemas};

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
            Step::Ask(request) | Step::Begin(request, _) => Some(request),
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
}

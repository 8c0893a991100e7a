//! What a run must have come across before its agreement about transactions says anything.

use std::collections::{BTreeMap, BTreeSet};

use super::error_names::error_name;
use super::plan::Ranges;
use crate::schema::Schemas;

/// APIs that must have answered without an error at every version.
const EVERY_VERSION: &[i16] = &[22, 24, 25, 26, 27, 28, 57, 61, 65, 66];

/// The error codes that each API must have answered.
const ERROR_CODES: &[(i16, &[i64])] = &[
    // Produce: sequence, epoch, state, mapping, no transactional id, bad records, not in the transaction.
    (0, &[0, 45, 47, 48, 49, 53, 87, 120]),
    (1, &[0]),
    (2, &[0]),
    // OffsetFetch: offsets that a transaction is about to change.
    (9, &[0, 88]),
    (10, &[0]),
    // InitProducerId: request, epoch and its newer name, timeout, a transaction that is being ended.
    (22, &[0, 42, 47, 50, 51, 90]),
    // AddPartitionsToTxn: an unknown partition and what it takes along, an id without a transaction.
    (24, &[0, 3, 42, 47, 49, 55, 90, 120]),
    (25, &[0, 42, 47, 49, 90]),
    (26, &[0, 42, 47, 48, 49, 90]),
    // WriteTxnMarkers: an older epoch of the producer, and of the coordinator.
    (27, &[0, 3, 47, 52]),
    // TxnOffsetCommit: generation, group, member, and what Produce meets.
    (28, &[0, 3, 22, 24, 25, 47, 48, 49, 120]),
    (57, &[0, 95]),
    (61, &[0, 3, 17]),
    (65, &[0, 42, 105]),
    (66, &[0, 128]),
];

/// Which versions have answered with which error codes, and how often.
#[derive(Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<(i16, i16, i64), usize>,
}

impl Coverage {
    /// Counts one answer.
    pub fn add(&mut self, api_key: i16, version: i16, error_codes: &BTreeSet<i64>) {
        for code in error_codes {
            *self.counts.entry((api_key, version, *code)).or_default() += 1;
        }
    }

    fn of_api(&self, api_key: i16) -> impl Iterator<Item = (i16, i64, usize)> {
        self.counts
            .iter()
            .filter(move |((key, ..), _)| *key == api_key)
            .map(|((_, version, code), count)| (*version, *code, *count))
    }

    /// Error codes and how often they came up, one API a line.
    pub fn render(&self, schemas: &Schemas) -> String {
        let apis: BTreeSet<i16> = self.counts.keys().map(|(api_key, ..)| *api_key).collect();
        let mut out = String::new();
        for api_key in apis {
            let mut codes: BTreeMap<i64, usize> = BTreeMap::new();
            for (_, code, count) in self.of_api(api_key) {
                *codes.entry(code).or_default() += count;
            }
            let codes: Vec<_> = codes
                .iter()
                .map(|(code, count)| format!("{} x{count}", error_name(*code)))
                .collect();
            let name = schemas.api_name(api_key);
            out.push_str(&format!("{name}: {}\n", codes.join(", ")));
        }
        out
    }

    /// What has not come up: an API and a version or an error code, one each.
    pub fn gaps(&self, schemas: &Schemas, ranges: &Ranges) -> Vec<String> {
        let mut gaps = Vec::new();
        for (api_key, range) in EVERY_VERSION
            .iter()
            .filter_map(|key| Some((*key, *ranges.get(key)?)))
        {
            for version in range.first..=range.last {
                if !self.counts.contains_key(&(api_key, version, 0)) {
                    let name = schemas.api_name(api_key);
                    gaps.push(format!("{name} v{version} without an error"));
                }
            }
        }
        for (api_key, codes) in ERROR_CODES {
            for code in *codes {
                if !self.of_api(*api_key).any(|(_, seen, _)| seen == *code) {
                    let name = schemas.api_name(*api_key);
                    gaps.push(format!("{name} with {}", error_name(*code)));
                }
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::KafkaJars;
    use crate::schema::Versions;

    /// Everything at once leaves no gap; each thing taken away is one, and is named.
    #[test]
    fn what_has_not_come_up_is_named() {
        let jars = KafkaJars::locate().expect("Apache Kafka's jars");
        let schemas = Schemas::from_jar(&jars.clients_jar()).expect("readable schemas");
        let versions = Versions { first: 0, last: 5 };
        let ranges = Ranges::from([(26, versions)]);
        let all: Vec<(i16, i16, i64)> = ERROR_CODES
            .iter()
            .flat_map(|(api_key, codes)| codes.iter().map(|code| (*api_key, 0, *code)))
            .chain((1..=5).map(|version| (26, version, 0)))
            .collect();
        for left_out in std::iter::once(None).chain(all.iter().map(Some)) {
            let mut coverage = Coverage::default();
            for seen in all.iter().filter(|seen| Some(*seen) != left_out) {
                coverage.add(seen.0, seen.1, &BTreeSet::from([seen.2]));
            }
            let gaps = coverage.gaps(&schemas, &ranges);
            match left_out {
                None => assert_eq!(gaps, [] as [String; 0]),
                Some((26, version, 0)) => {
                    assert_eq!(gaps, [format!("EndTxn v{version} without an error")]);
                }
                Some((api_key, _, code)) => {
                    let name = schemas.api_name(*api_key);
                    assert_eq!(gaps, [format!("{name} with {}", error_name(*code))]);
                }
            }
        }
    }
}

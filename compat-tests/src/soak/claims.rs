//! Who owned which partition in which generation of a group.

use std::collections::BTreeMap;

use crate::soak::anomaly::{Anomaly, Kind};

#[derive(Debug, Default)]
pub struct Claims {
    owners: BTreeMap<(i32, i32), String>,
}

impl Claims {
    /// The server has told `member` that it owns these partitions in this generation.
    pub fn claim(&mut self, generation: i32, partitions: &[i32], member: &str) -> Vec<Anomaly> {
        let mut anomalies = Vec::new();
        for partition in partitions {
            let owner = self
                .owners
                .entry((generation, *partition))
                .or_insert_with(|| member.to_owned());
            if owner != member {
                let story =
                    format!("generation {generation}, partition {partition}: {owner} and {member}");
                anomalies.push(Anomaly::new(Kind::AssignedTwice, story));
            }
        }
        anomalies
    }

    pub fn generations(&self) -> usize {
        let mut generations: Vec<_> = self
            .owners
            .keys()
            .map(|(generation, _)| generation)
            .collect();
        generations.dedup();
        generations.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_owners_in_one_generation_are_found() {
        let mut claims = Claims::default();
        assert_eq!(claims.claim(1, &[0, 1], "a"), []);
        assert_eq!(claims.claim(1, &[2], "b"), []);
        assert_eq!(claims.claim(1, &[0, 1], "a"), [], "told again");
        assert_eq!(claims.claim(2, &[0, 1, 2], "b"), []);
        assert_eq!(claims.generations(), 2);
        let kinds: Vec<_> = claims
            .claim(2, &[1], "a")
            .iter()
            .map(|it| it.kind)
            .collect();
        assert_eq!(kinds, [Kind::AssignedTwice]);
    }
}

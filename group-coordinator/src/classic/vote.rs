//! Which protocol a generation uses.

use std::collections::BTreeMap;

use super::member::Member;
use super::members::Members;

/// How many members support each protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supporters {
    counts: BTreeMap<String, usize>,
}

impl Supporters {
    pub fn of<'a>(members: impl Iterator<Item = &'a Member>) -> Self {
        let mut supporters = Self::default();
        members.for_each(|member| supporters.add(member));
        supporters
    }

    pub fn add(&mut self, member: &Member) {
        for name in member.protocol_names() {
            match self.counts.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    self.counts.insert(name.to_owned(), 1);
                }
            }
        }
    }

    pub fn remove(&mut self, member: &Member) {
        for name in member.protocol_names() {
            if let Some(count) = self.counts.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(name);
                }
            }
        }
    }

    pub fn count(&self, protocol: &str) -> usize {
        self.counts.get(protocol).copied().unwrap_or(0)
    }
}

/// Every member votes for the first of its protocols that all members support; most votes win. Without any
/// member, or without a protocol that all support, there is no winner.
///
/// Kafka collects the votes in a `java.util.HashMap` and takes the first of the best in the map's own order. Two
/// members with opposite preferences are common, so that order is followed here.
pub fn select_protocol(members: &Members, supporters: &Supporters) -> Option<String> {
    let is_candidate = |name: &str| supporters.count(name) == members.len();
    let mut votes: Vec<(&str, usize)> = Vec::new();
    for member in members.iter() {
        let choice = member
            .protocols
            .iter()
            .find(|protocol| is_candidate(&protocol.name))?;
        match votes.iter_mut().find(|(name, _)| *name == choice.name) {
            Some((_, count)) => *count += 1,
            None => votes.push((&choice.name, 1)),
        }
    }
    let most = votes.iter().map(|&(_, count)| count).max()?;
    sort_like_hash_map(&mut votes);
    votes
        .into_iter()
        .find(|&(_, count)| count == most)
        .map(|(name, _)| name.to_owned())
}

/// Puts entries into the order in which a `java.util.HashMap` walks them. The sort is stable: names that share a
/// slot stay in the order in which they came.
fn sort_like_hash_map<T>(entries: &mut [(&str, T)]) {
    let slots = hash_map_slots(entries.len());
    entries.sort_by_key(|(name, _)| {
        let hash = java_hash(name);
        (hash ^ (hash >> 16)) % slots
    });
}

/// `String.hashCode` of Java.
fn java_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

/// The number of slots of a `HashMap` with this many keys: a power of two, at least 16, at most three quarters full.
fn hash_map_slots(key_count: usize) -> u32 {
    let mut slots = 16_u32;
    while key_count > slots as usize / 4 * 3 {
        slots *= 2;
    }
    slots
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::command::Protocol;

    fn member(member_id: usize, protocols: &[&str]) -> Member {
        Member {
            member_id: member_id.to_string(),
            instance_id: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout_ms: 0,
            session_timeout_ms: 0,
            protocols: protocols
                .iter()
                .map(|name| Protocol {
                    name: (*name).to_owned(),
                    metadata: Bytes::new(),
                })
                .collect(),
            assignment: Bytes::new(),
            join: None,
            sync: None,
            is_new: false,
        }
    }

    fn selected(preferences: &[&[&str]]) -> Option<String> {
        let mut members = Members::default();
        for (id, names) in preferences.iter().enumerate() {
            members.insert(member(id, names));
        }
        select_protocol(&members, &Supporters::of(members.iter()))
    }

    /// From Kafka's ClassicGroupTest.testSelectProtocol, with the draw decided as a HashMap decides it.
    #[test]
    fn the_most_wanted_protocol_that_all_support_wins() {
        assert_eq!(
            selected(&[&["range", "roundrobin"]]).as_deref(),
            Some("range")
        );
        let draw: &[&[&str]] = &[&["range", "roundrobin"], &["roundrobin", "range"]];
        assert_eq!(selected(draw).as_deref(), Some("range"));
        let majority: &[&[&str]] = &[
            &["range", "roundrobin"],
            &["roundrobin", "range"],
            &["roundrobin", "range"],
        ];
        assert_eq!(selected(majority).as_deref(), Some("roundrobin"));
        let only_one: &[&[&str]] = &[&["range", "roundrobin"], &["blah", "roundrobin"]];
        assert_eq!(selected(only_one).as_deref(), Some("roundrobin"));
    }

    /// Who votes first does not matter in a draw, and a member that repeats itself has one vote.
    #[test]
    fn a_draw_does_not_depend_on_the_order_of_members() {
        let one_way = selected(&[&["a", "b"], &["b", "a"]]);
        let other_way = selected(&[&["b", "a"], &["a", "b"]]);
        assert_eq!(one_way, other_way);
        assert_eq!(selected(&[&["a", "a"], &["b", "a"]]).as_deref(), Some("a"));
        assert_eq!(selected(&[]), None);
        assert_eq!(selected(&[&["a"], &["b"]]), None);
    }

    /// Values printed by Java's own String.hashCode.
    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("range"), 108280125);
        assert_eq!(java_hash("roundrobin") as i32, -128548644);
        assert_eq!(java_hash("é\u{1f600}"), 1996812);
    }

    /// The order that Java's own HashMap prints for thirteen keys, one more than its first table takes.
    #[test]
    fn names_are_walked_like_a_hash_map() {
        let walked = [
            "a",
            "b",
            "range",
            "roundrobin",
            "cooperative-sticky",
            "sessioned",
            "default",
            "compatible",
            "sticky",
            "v0",
            "connect",
            "sr",
            "blah",
        ];
        let inserted = [
            "roundrobin",
            "range",
            "sticky",
            "cooperative-sticky",
            "connect",
            "sr",
            "a",
            "b",
            "blah",
            "v0",
            "default",
            "compatible",
            "sessioned",
        ];
        let mut entries = inserted.map(|name| (name, ()));
        sort_like_hash_map(&mut entries);
        assert_eq!(entries.map(|(name, ())| name), walked);
    }
}

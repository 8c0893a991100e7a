//! The order in which Apache Kafka answers for several groups.
//!
//! Kafka collects the groups of a request by partition of `__consumer_offsets` in a `java.util.HashMap`, and answers
//! partition by partition in the map's own order. Nobody should rely on it, but answers that can be compared field
//! by field are worth these few lines.

use std::collections::BTreeMap;

use kafka_protocol::messages::GroupId;

use crate::cluster::topic_name::GROUP_METADATA_TOPIC_NAME;
use crate::coordinator::partition_for;

/// The order of answers to DescribeGroups: by partition, and within one as asked.
pub fn by_partition(group_ids: Vec<GroupId>, partition_count: usize) -> Vec<GroupId> {
    partitions(group_ids, partition_count)
        .into_iter()
        .flatten()
        .collect()
}

/// The order of answers to DeleteGroups, whose groups are distinct: by partition, and within one as a
/// `java.util.HashSet` walks them.
pub fn by_partition_and_hash(group_ids: Vec<GroupId>, partition_count: usize) -> Vec<GroupId> {
    let mut partitions = partitions(group_ids, partition_count);
    for group_ids in &mut partitions {
        let slots = slots_for_copy(group_ids.len());
        group_ids.sort_by_key(|group_id| slot(java_hash(group_id), slots));
    }
    partitions.into_iter().flatten().collect()
}

/// The groups of each partition, partitions in the order of Kafka's map.
fn partitions(group_ids: Vec<GroupId>, partition_count: usize) -> Vec<Vec<GroupId>> {
    // Without an offsets topic every group is answered alike, and the order of the request does.
    if partition_count == 0 {
        return vec![group_ids];
    }
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut partitions: Vec<(u32, Vec<GroupId>)> = Vec::new();
    for group_id in group_ids {
        let partition = partition_for(&group_id, partition_count);
        let place = *places.entry(partition).or_insert_with(|| {
            partitions.push((topic_partition_hash(partition), Vec::new()));
            partitions.len() - 1
        });
        partitions[place].1.push(group_id);
    }
    let slots = slots_for_growth(partitions.len());
    partitions.sort_by_key(|(hash, _)| slot(*hash, slots));
    partitions
        .into_iter()
        .map(|(_, group_ids)| group_ids)
        .collect()
}

/// `TopicPartition.hashCode` of a partition of the offsets topic.
fn topic_partition_hash(partition: usize) -> u32 {
    let partition = u32::try_from(partition).unwrap_or(0);
    (31 + partition)
        .wrapping_mul(31)
        .wrapping_add(java_hash(GROUP_METADATA_TOPIC_NAME))
}

/// `String.hashCode`.
fn java_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

/// Where a hash goes in a table of `slots`, a power of two.
fn slot(hash: u32, slots: usize) -> usize {
    (hash ^ (hash >> 16)) as usize & (slots - 1)
}

/// The table of a map that grew to `count` keys: doubled whenever it would be more than three quarters full.
fn slots_for_growth(count: usize) -> usize {
    let mut slots = 16;
    while count > slots / 4 * 3 {
        slots *= 2;
    }
    slots
}

/// The table of a set that was copied from `count` elements: as small as three quarters full allows.
fn slots_for_copy(count: usize) -> usize {
    (count * 4).div_ceil(3).next_power_of_two().max(16)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn ids(names: &[&str]) -> Vec<GroupId> {
        names
            .iter()
            .map(|name| GroupId(StrBytes::from_string((*name).to_owned())))
            .collect()
    }

    /// As Java's own HashMap of TopicPartitions walks them: four partitions, with two groups in one of them.
    #[test]
    fn groups_of_a_partition_are_answered_together() {
        let ordered = by_partition(ids(&["e", "c", "d", "b", "a"]), 4);
        assert_eq!(ordered, ids(&["d", "c", "e", "a", "b"]));
    }

    /// The same with fifteen of fifty partitions, for which the map has grown, and Java's own HashSet within each.
    #[test]
    fn groups_to_delete_are_answered_by_hash() {
        let asked = ids(&[
            "e", "c", "d", "b", "a", "my-group", "other", "x1", "x2", "x3", "x4", "x5", "x6", "x7",
            "x8", "x9", "y1", "y2",
        ]);
        let answered = ids(&[
            "a", "b", "my-group", "x5", "x6", "x3", "x4", "x1", "x2", "c", "d", "y1", "x9", "x7",
            "x8", "other", "e", "y2",
        ]);
        assert_eq!(by_partition_and_hash(asked, 50), answered);
    }

    #[test]
    fn without_an_offsets_topic_the_order_stays() {
        assert_eq!(by_partition(ids(&["b", "a"]), 0), ids(&["b", "a"]));
    }
}

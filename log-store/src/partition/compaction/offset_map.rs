//! The last offset of every key, in a memory that is fixed beforehand. Kafka's `SkimpyOffsetMap`.
//!
//! Keys are known by a hash of 128 bits, so that an entry takes 24 bytes however long its key is.
//! Two keys with the same hash would be taken for one. The hash is seeded, so that nobody who does
//! not know the seed can make such keys.

use twox_hash::XxHash3_128;

use crate::Offset;

/// Two halves of the hash, and the offset plus one: 0 stands for a free slot.
type Slot = [u64; 3];

const SLOT_BYTES: u64 = size_of::<Slot>() as u64;
const FREE: Slot = [0; 3];

#[derive(Debug)]
pub(super) struct OffsetMap {
    slots: Vec<Slot>,
    seed: u64,
    entries: usize,
    entries_max: usize,
    latest: Offset,
}

impl OffsetMap {
    /// A map that takes at most `memory_bytes`, for at most `keys_max` keys. `load_factor` says how
    /// full it may become: the fuller, the longer the search. It takes one key at least.
    pub(super) fn new(memory_bytes: u64, load_factor: f64, keys_max: u64, seed: u64) -> OffsetMap {
        let load_factor = load_factor.clamp(LOAD_FACTOR_MIN, LOAD_FACTOR_MAX);
        let slots_wanted = (keys_max as f64 / load_factor).ceil() as u64 + 1;
        let slots = slots_wanted.min(memory_bytes / SLOT_BYTES).max(SLOTS_MIN);
        let entries_max = ((slots as f64 * load_factor) as usize).max(1);
        OffsetMap {
            // Zeros that the system gives when they are touched.
            slots: vec![FREE; slots as usize],
            seed,
            entries: 0,
            entries_max,
            latest: Offset::NONE,
        }
    }

    /// Notes that `key` was written at `offset`. `false` when there is no room: nothing has changed
    /// then.
    #[must_use]
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        if self.entries >= self.entries_max {
            return false;
        }
        let hash = self.hash(key);
        let index = self.find(hash);
        if self.slots[index] == FREE {
            self.entries += 1;
        }
        self.slots[index] = [hash[0], hash[1], (offset.0 + 1) as u64];
        self.latest = offset;
        true
    }

    /// Where `key` was written last.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let [_, _, offset] = self.slots[self.find(self.hash(key))];
        (offset > 0).then(|| Offset(offset as i64 - 1))
    }

    /// Up to where (inclusive) the map knows all keys.
    pub(super) fn latest(&self) -> Offset {
        self.latest
    }

    /// Everything up to `latest` (inclusive) was put.
    pub(super) fn reached(&mut self, latest: Offset) {
        self.latest = latest;
    }

    pub(super) fn entry_count(&self) -> usize {
        self.entries
    }

    /// The slot that has the hash, or the free one that it would get. There always is a free one.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mut index = (hash[0] % self.slots.len() as u64) as usize;
        loop {
            let [first, second, offset] = self.slots[index];
            if offset == 0 || [first, second] == hash {
                return index;
            }
            index = (index + 1) % self.slots.len();
        }
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, key);
        [(hash >> 64) as u64, hash as u64]
    }
}

/// Below 1, so that every search ends at a free slot.
const LOAD_FACTOR_MAX: f64 = 0.99;
const LOAD_FACTOR_MIN: f64 = 0.01;
const SLOTS_MIN: u64 = 2;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::OffsetMap;
    use crate::Offset;
    use crate::testing::Random;

    #[test]
    fn the_last_offset_of_every_key_is_found() {
        // Random keys, some of them again, against a map that keeps the keys themselves.
        let mut random = Random(7);
        let mut map = OffsetMap::new(1 << 20, 0.9, 5000, 3);
        let mut model = HashMap::new();
        for offset in 0..5000 {
            let key = random.below(1500).to_be_bytes();
            let key = &key[8 - random.below(3) as usize..];
            assert!(map.put(key, Offset(offset)));
            model.insert(key.to_vec(), Offset(offset));
        }
        assert_eq!(map.entry_count(), model.len());
        assert_eq!(map.latest(), Offset(4999));
        for (key, offset) in &model {
            assert_eq!(map.get(key), Some(*offset));
        }
        assert_eq!(map.get(b"another key"), None);
    }

    #[test]
    fn a_full_map_takes_nothing_more_and_forgets_nothing() {
        // Ten slots of which nine may be taken.
        let mut map = OffsetMap::new(240, 0.9, 1000, 0);
        let taken = (0..1000_i64)
            .take_while(|offset| map.put(&offset.to_be_bytes(), Offset(*offset)))
            .count();
        assert_eq!(taken, 9);
        assert_eq!(map.latest(), Offset(8));
        for offset in 0..9_i64 {
            assert_eq!(map.get(&offset.to_be_bytes()), Some(Offset(offset)));
        }
        assert_eq!(map.get(&9_i64.to_be_bytes()), None);
    }

    #[test]
    fn the_smallest_map_takes_a_key() {
        // Or else cleaning would never get on.
        let mut map = OffsetMap::new(0, 0.5, 1, 0);
        assert!(map.put(b"key", Offset(0)));
        assert!(!map.put(b"other", Offset(1)));
        assert_eq!(map.get(b"key"), Some(Offset(0)));
        assert_eq!(map.get(b"other"), None);
    }
}

//! Random numbers that are the same on every machine and for ever, so that a seed in a report can be used again.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// A generator of its own for one API, version and round.
    pub fn of_case(seed: u64, api_key: i16, version: i16, round: u64) -> Self {
        let mut mixed = Random(seed ^ round << 32 ^ (api_key as u64) << 16 ^ version as u64);
        Random(mixed.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Text of up to `length_max` characters of one to four bytes.
    pub fn text(&mut self, length_max: usize) -> String {
        let alphabet = ['a', 'B', '7', '-', '.', '\0', 'ß', 'ł', '漢', '€', '🦀'];
        (0..self.below(length_max + 1))
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }
}

//! The variable-length integers inside records: base 128, least significant group first, zig-zag.

/// The longest encodings of an `i32` and an `i64`.
pub const VARINT_BYTES_MAX: usize = 5;
pub const VARLONG_BYTES_MAX: usize = 10;

/// Why there is no number at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarintError {
    /// The bytes end within the number.
    Truncated,
    /// The number does not end within the bytes that its type may take.
    Overlong,
}

/// Takes an `i32` off the front of `bytes`. Surplus bits of a fifth byte are dropped, as in Kafka.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Result<i32, VarintError> {
    if let Some(raw) = take_short(bytes) {
        return Ok(unzigzag_32(raw));
    }
    let raw = take_groups(bytes, VARINT_BYTES_MAX)?;
    Ok(unzigzag_32(raw as u32))
}

/// Takes an `i64` off the front of `bytes`. Surplus bits of a tenth byte are dropped, as in Kafka.
#[inline]
pub fn take_varlong(bytes: &mut &[u8]) -> Result<i64, VarintError> {
    if let Some(raw) = take_short(bytes) {
        return Ok(unzigzag_64(raw.into()));
    }
    take_groups(bytes, VARLONG_BYTES_MAX).map(unzigzag_64)
}

pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_groups(out, u64::from(zigzag_32(value)));
}

pub fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_groups(out, zigzag_64(value));
}

/// Bytes that [`put_varint`] writes for `value`.
pub fn varint_bytes(value: i32) -> usize {
    groups_bytes(u64::from(zigzag_32(value)))
}

/// Bytes that [`put_varlong`] writes for `value`.
pub fn varlong_bytes(value: i64) -> usize {
    groups_bytes(zigzag_64(value))
}

/// Takes a number of one or two bytes, as nearly all lengths and deltas in a record are. `None` leaves `bytes` alone.
#[inline]
fn take_short(bytes: &mut &[u8]) -> Option<u32> {
    match **bytes {
        [first @ ..0x80, ref rest @ ..] => {
            *bytes = rest;
            Some(first.into())
        }
        [first, second @ ..0x80, ref rest @ ..] => {
            *bytes = rest;
            Some(u32::from(first & 0x7f) | u32::from(second) << 7)
        }
        _ => None,
    }
}

#[inline(never)]
fn take_groups(bytes: &mut &[u8], groups_max: usize) -> Result<u64, VarintError> {
    let mut raw = 0u64;
    for (group, &byte) in bytes.iter().take(groups_max).enumerate() {
        raw |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            *bytes = &bytes[group + 1..];
            return Ok(raw);
        }
    }
    if bytes.len() < groups_max {
        Err(VarintError::Truncated)
    } else {
        Err(VarintError::Overlong)
    }
}

fn put_groups(out: &mut Vec<u8>, mut raw: u64) {
    while raw >= 0x80 {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

fn groups_bytes(raw: u64) -> usize {
    let bits = 64 - (raw | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Undoes zig-zag: 0, 1, 2, 3 stand for 0, -1, 1, -2.
pub fn unzigzag_32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

pub fn unzigzag_64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

fn zigzag_32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_encodings_are_those_of_the_protocol() {
        // Values around the borders of one and two bytes, and the ends of the range.
        let cases: [(i32, &[u8]); 7] = [
            (0, &[0x00]),
            (-1, &[0x01]),
            (63, &[0x7e]),
            (64, &[0x80, 0x01]),
            (-65, &[0x81, 0x01]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(take_varint(&mut &bytes[..]), Ok(value));
        }
    }

    #[test]
    fn a_number_that_does_not_end_is_told_from_one_that_is_cut_off() {
        assert_eq!(
            take_varint(&mut &[0x80; 4][..]),
            Err(VarintError::Truncated)
        );
        assert_eq!(take_varint(&mut &[0x80; 5][..]), Err(VarintError::Overlong));
        assert_eq!(
            take_varlong(&mut &[0x80; 9][..]),
            Err(VarintError::Truncated)
        );
        assert_eq!(
            take_varlong(&mut &[0x80; 10][..]),
            Err(VarintError::Overlong)
        );
        assert_eq!(take_varint(&mut &[][..]), Err(VarintError::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(int in any::<i32>(), long in any::<i64>(), tail in any::<u8>()) {
            let mut out = Vec::new();
            put_varint(&mut out, int);
            prop_assert_eq!(out.len(), varint_bytes(int));
            put_varlong(&mut out, long);
            prop_assert_eq!(out.len(), varint_bytes(int) + varlong_bytes(long));
            out.push(tail);
            let mut rest = &out[..];
            prop_assert_eq!(take_varint(&mut rest), Ok(int));
            prop_assert_eq!(take_varlong(&mut rest), Ok(long));
            prop_assert_eq!(rest, &[tail][..]);
        }
    }
}

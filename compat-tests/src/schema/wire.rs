//! The primitive types of the Kafka protocol on the wire, big-endian throughout.

/// Appends an unsigned variable-length integer, seven bits a byte, lowest first.
pub(super) fn put_unsigned_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The rest of a message. Every method takes from the front, or fails and says what was missing.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| format!("{count} bytes wanted, {} left", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("take gave as many bytes as asked"))
    }

    pub(super) fn int8(&mut self) -> Result<i8, String> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn int16(&mut self) -> Result<i16, String> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn int32(&mut self) -> Result<i32, String> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn int64(&mut self) -> Result<i64, String> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn unsigned_varint(&mut self) -> Result<u32, String> {
        let mut number = 0_u32;
        for shift in (0..).step_by(7) {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift > 28 || (shift == 28 && bits > 0x0f) {
                return Err("a variable-length integer exceeds 32 bits".to_owned());
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(number)
    }
}

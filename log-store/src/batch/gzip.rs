//! gzip members (RFC 1952), read the way Java's `GZIPInputStream` reads them.
//!
//! Brokers and consumers of the Java kind stop at the first byte after a member that does not
//! start another one, and only then. Header and trailer are read here, since where exactly an
//! error is noticed decides which answer Kafka gives.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::compression::{DecompressError, PIECE_BYTES};

/// Compressed bytes that are given to the decoder at a time, as in Kafka's `GzipCompression`.
const INPUT_BYTES: usize = 8 * 1024;
const MAGIC: [u8; 2] = [0x1f, 0x8b];
const METHOD_DEFLATE: u8 = 8;
const FLAG_HEADER_CRC: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
/// Up to so many bytes after a member are padding that is not even looked at: the next member
/// would need ten for its header and eight for its trailer, and at least one in between.
const PADDING_BYTES_MAX: usize = 18;

/// Decompresses members, one after the other.
pub struct GzipMembers<'a> {
    inflate: Decompress,
    /// What has not been decompressed yet.
    section: &'a [u8],
    /// How much of it the decoder has been given.
    input_bytes: usize,
    crc: Crc,
    state: State,
    piece: Vec<u8>,
    piece_bytes: usize,
}

enum State {
    InMember,
    AtTrailer,
    Finished,
}

impl<'a> GzipMembers<'a> {
    pub fn open(mut section: &'a [u8]) -> Result<GzipMembers<'a>, DecompressError> {
        skip_header(&mut section)?;
        Ok(GzipMembers {
            inflate: Decompress::new(false),
            section,
            input_bytes: 0,
            crc: Crc::new(),
            state: State::InMember,
            piece: vec![0; PIECE_BYTES],
            piece_bytes: 0,
        })
    }

    pub fn piece(&self) -> &[u8] {
        &self.piece[..self.piece_bytes]
    }

    /// Goes to the next piece; to an empty one after the last member.
    pub fn advance(&mut self) -> Result<(), DecompressError> {
        self.piece_bytes = 0;
        while self.piece_bytes == 0 {
            match self.state {
                State::InMember => self.inflate()?,
                State::AtTrailer => self.finish_member()?,
                State::Finished => break,
            }
        }
        Ok(())
    }

    /// Gives the decoder one round of input. An error takes the bytes of the whole round with it.
    fn inflate(&mut self) -> Result<(), DecompressError> {
        if self.input_bytes == 0 {
            self.input_bytes = self.section.len().min(INPUT_BYTES);
        }
        let (consumed_before, produced_before) =
            (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(
                &self.section[..self.input_bytes],
                &mut self.piece,
                FlushDecompress::None,
            )
            .map_err(|_| corrupt("bad deflate stream"))?;
        let consumed = (self.inflate.total_in() - consumed_before) as usize;
        self.piece_bytes = (self.inflate.total_out() - produced_before) as usize;
        self.section = &self.section[consumed..];
        self.input_bytes -= consumed;
        self.crc.update(&self.piece[..self.piece_bytes]);
        match status {
            Status::StreamEnd => self.state = State::AtTrailer,
            // There is room in the piece, so only the end of the section can stop the decoder.
            Status::Ok | Status::BufError if consumed == 0 && self.piece_bytes == 0 => {
                return Err(corrupt("gzip member ends too early"));
            }
            Status::Ok | Status::BufError => {}
        }
        Ok(())
    }

    /// Compares the trailer, and goes on to the next member if there is one.
    fn finish_member(&mut self) -> Result<(), DecompressError> {
        let bytes_before = self.section.len();
        let has_more_input = bytes_before > self.input_bytes;
        let mut rest = self.section;
        let crc = u32::from_le_bytes(take(&mut rest)?);
        let plain_bytes = u32::from_le_bytes(take(&mut rest)?);
        if crc != self.crc.sum() || plain_bytes != self.crc.amount() {
            return Err(corrupt("bad gzip trailer"));
        }
        let may_have_next = has_more_input || rest.len() > PADDING_BYTES_MAX;
        if may_have_next && skip_header(&mut rest).is_ok() {
            self.inflate.reset(false);
            self.crc.reset();
            self.input_bytes = self.input_bytes.saturating_sub(bytes_before - rest.len());
            self.section = rest;
            self.state = State::InMember;
        } else {
            self.state = State::Finished;
        }
        Ok(())
    }
}

/// Takes a member's header off the front of `bytes`.
fn skip_header(bytes: &mut &[u8]) -> Result<(), DecompressError> {
    let header = *bytes;
    let magic: [u8; 2] = take(bytes)?;
    let [method, flags, ..]: [u8; 8] = take(bytes)?;
    if magic != MAGIC || method != METHOD_DEFLATE {
        return Err(corrupt("not a gzip member"));
    }
    if flags & FLAG_EXTRA != 0 {
        let extra_bytes = u16::from_le_bytes(take(bytes)?);
        *bytes = bytes
            .get(usize::from(extra_bytes)..)
            .ok_or(corrupt("gzip header ends too early"))?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            while take::<1>(bytes)? != [0] {}
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        let mut crc = Crc::new();
        crc.update(&header[..header.len() - bytes.len()]);
        if u16::from_le_bytes(take(bytes)?) != crc.sum() as u16 {
            return Err(corrupt("bad gzip header checksum"));
        }
    }
    Ok(())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecompressError> {
    let Some((field, rest)) = bytes.split_first_chunk::<N>() else {
        return Err(corrupt("gzip member ends too early"));
    };
    *bytes = rest;
    Ok(*field)
}

fn corrupt(reason: &'static str) -> DecompressError {
    DecompressError::Corrupt { reason }
}

//! The codecs of the records section, with an end to what they may produce.
//!
//! Everything that decompresses goes through [`Decompressor`], which hands out the plain bytes
//! piece by piece: a batch can be checked without ever being held decompressed in whole, and a
//! bomb is cut off at the cap.

use std::fmt;
use std::io::Write;

use super::attributes::Codec;
use super::gzip::GzipMembers;
use super::lz4::{self, Lz4Frame};
use super::snappy::{self, SnappyChunks};
use super::zstd_frames::ZstdFrames;

/// Bytes that gzip and zstd decompress at a time; what Kafka's readers take as well.
pub(super) const PIECE_BYTES: usize = 16 * 1024;

/// How to compress the records section of a new batch.
///
/// Levels are those of the codec: gzip 0 to 9, lz4 1 to 17 (9 stands for the fast encoder), zstd
/// -131072 to 22.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Gzip(i32),
    Snappy,
    Lz4(i32),
    Zstd(i32),
}

/// gzip's own way of saying "the default level".
const GZIP_LEVEL_DEFAULT: i32 = -1;

impl Compression {
    pub fn codec(self) -> Codec {
        match self {
            Compression::None => Codec::None,
            Compression::Gzip(_) => Codec::Gzip,
            Compression::Snappy => Codec::Snappy,
            Compression::Lz4(_) => Codec::Lz4,
            Compression::Zstd(_) => Codec::Zstd,
        }
    }

    /// `codec` at the level that Kafka takes when none is configured (KIP-390).
    pub fn default_of(codec: Codec) -> Compression {
        match codec {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip(GZIP_LEVEL_DEFAULT),
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4(lz4::LEVEL_DEFAULT),
            Codec::Zstd => Compression::Zstd(3),
        }
    }

    /// Compresses a whole records section. Levels outside the codec's range are moved into it.
    pub fn compress(self, plain: Vec<u8>) -> Vec<u8> {
        match self {
            Compression::None => plain,
            Compression::Gzip(level) => compress_gzip(&plain, level),
            Compression::Snappy => snappy::compress(&plain),
            Compression::Lz4(level) => lz4::compress(&plain, level),
            Compression::Zstd(level) => {
                let levels = zstd::compression_level_range();
                let level = level.clamp(*levels.start(), *levels.end());
                zstd::bulk::compress(&plain, level)
                    .expect("zstd gives itself room for the longest result")
            }
        }
    }
}

fn compress_gzip(plain: &[u8], level: i32) -> Vec<u8> {
    let level = match u32::try_from(level) {
        Ok(level) => flate2::Compression::new(level.min(9)),
        Err(_) => flate2::Compression::default(),
    };
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(plain.len() / 2), level);
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("writing to a vector does not fail")
}

/// Why bytes do not decompress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecompressError {
    /// The bytes are not what their codec writes, or end too early.
    Corrupt { reason: &'static str },
    /// The plain bytes are more than the cap allows.
    TooLarge,
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecompressError::Corrupt { reason } => {
                write!(f, "records do not decompress: {reason}")
            }
            DecompressError::TooLarge => f.write_str("records are too large when decompressed"),
        }
    }
}

impl std::error::Error for DecompressError {}

/// Decompresses a records section piece by piece.
///
/// Memory: a piece of 16 KiB and the codec's own window for gzip and zstd, a block of up to 4 MiB
/// for lz4, a chunk of at most the cap for snappy.
pub struct Decompressor<'a> {
    source: Source<'a>,
    /// How much of the current piece has been consumed.
    position: usize,
    /// How many plain bytes may still come.
    bytes_left: usize,
}

enum Source<'a> {
    Plain { section: &'a [u8], piece: &'a [u8] },
    Gzip(GzipMembers<'a>),
    Snappy(SnappyChunks<'a>),
    Lz4(Lz4Frame<'a>),
    Zstd(ZstdFrames<'a>),
}

impl<'a> Decompressor<'a> {
    /// Starts on `section`, which may give at most `bytes_max` plain bytes.
    ///
    /// # Errors
    /// When the section does not even start as its codec wants it.
    pub fn new(
        codec: Codec,
        section: &'a [u8],
        bytes_max: usize,
    ) -> Result<Decompressor<'a>, DecompressError> {
        let source = match codec {
            Codec::None => Source::Plain {
                section,
                piece: &[],
            },
            Codec::Gzip => Source::Gzip(GzipMembers::open(section)?),
            Codec::Snappy => Source::Snappy(SnappyChunks::open(section)?),
            Codec::Lz4 => Source::Lz4(Lz4Frame::open(section)?),
            Codec::Zstd => Source::Zstd(ZstdFrames::open(section)?),
        };
        Ok(Decompressor {
            source,
            position: 0,
            bytes_left: bytes_max,
        })
    }

    /// The plain bytes that come next, as many as are at hand; empty at the end.
    ///
    /// # Errors
    /// Every further call is meaningless after an error.
    pub fn fill(&mut self) -> Result<&[u8], DecompressError> {
        if self.position == self.source.piece().len() {
            self.source.advance(self.bytes_left)?;
            self.position = 0;
            self.bytes_left = self
                .bytes_left
                .checked_sub(self.source.piece().len())
                .ok_or(DecompressError::TooLarge)?;
        }
        Ok(&self.source.piece()[self.position..])
    }

    /// What is left of the current piece, which may be nothing before the end as well.
    pub fn at_hand(&self) -> &[u8] {
        &self.source.piece()[self.position..]
    }

    /// Marks the next `bytes` as done. They must be among those that [`Self::fill`] has returned.
    pub fn consume(&mut self, bytes: usize) {
        self.position += bytes;
        assert!(self.position <= self.source.piece().len());
    }
}

impl Source<'_> {
    /// Puts the next piece in the place of the current one; an empty one at the end.
    fn advance(&mut self, bytes_left: usize) -> Result<(), DecompressError> {
        match self {
            Source::Plain { section, piece } => {
                *piece = std::mem::take(section);
                Ok(())
            }
            Source::Gzip(members) => members.advance(),
            Source::Snappy(chunks) => chunks.advance(bytes_left),
            Source::Lz4(frame) => frame.advance(),
            Source::Zstd(frames) => frames.advance(),
        }
    }

    fn piece(&self) -> &[u8] {
        match self {
            Source::Plain { piece, .. } => piece,
            Source::Gzip(members) => members.piece(),
            Source::Snappy(chunks) => chunks.piece(),
            Source::Lz4(frame) => frame.piece(),
            Source::Zstd(frames) => frames.piece(),
        }
    }
}

/// Decompresses a whole section of at most `bytes_max` plain bytes.
///
/// On an error, `plain` holds what could be read up to there.
pub fn decompress(
    codec: Codec,
    section: &[u8],
    bytes_max: usize,
    plain: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let mut decompressor = Decompressor::new(codec, section, bytes_max)?;
    loop {
        let piece = decompressor.fill()?;
        if piece.is_empty() {
            return Ok(());
        }
        plain.extend_from_slice(piece);
        let piece_bytes = piece.len();
        decompressor.consume(piece_bytes);
    }
}

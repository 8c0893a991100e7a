//! The compression codecs of record batches, both ways.

use std::io::{self, Read, Write};

/// More than any batch of a sequence expands to; a corrupt one can't fill the memory.
const DECOMPRESSED_BYTES_MAX: u64 = 16 << 20;

/// The framing that Kafka's snappy streams carry: magic, version 1, compatible version 1.
const XERIAL_HEADER: [u8; 16] = [
    0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
];

/// A codec, numbered as in the attributes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec in the attributes of a batch; `None` for the numbers that mean nothing.
    pub fn of_attributes(attributes: i16) -> Option<Self> {
        Self::ALL.get(usize::from(attributes as u8 & 7)).copied()
    }

    pub fn compress(self, plain: &[u8]) -> Vec<u8> {
        self.try_compress(plain)
            .expect("compressing into memory does not fail")
    }

    fn try_compress(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(plain.to_vec()),
            Self::Gzip => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(plain)?;
                encoder.finish()
            }
            Self::Snappy => {
                let block = snap::raw::Encoder::new().compress_vec(plain)?;
                let mut out = XERIAL_HEADER.to_vec();
                let length = u32::try_from(block.len()).map_err(io::Error::other)?;
                out.extend(length.to_be_bytes());
                out.extend(block);
                Ok(out)
            }
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(plain)?;
                encoder.finish().map_err(io::Error::other)
            }
            Self::Zstd => zstd::encode_all(plain, 3),
        }
    }

    pub fn decompress(self, compressed: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(compressed.to_vec()),
            Self::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(compressed)),
            Self::Snappy => decompress_snappy(compressed),
            Self::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(compressed)),
            Self::Zstd => read_bounded(zstd::Decoder::new(compressed)?),
        }
    }
}

fn read_bounded(stream: impl Read) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    stream
        .take(DECOMPRESSED_BYTES_MAX)
        .read_to_end(&mut plain)?;
    Ok(plain)
}

fn decompress_snappy(compressed: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = snap::raw::Decoder::new();
    let Some(mut blocks) = compressed.strip_prefix(&XERIAL_HEADER) else {
        return Ok(decoder.decompress_vec(compressed)?);
    };
    let mut plain = Vec::new();
    while let Some((length, rest)) = blocks.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (block, rest) = rest
            .split_at_checked(length)
            .ok_or_else(|| io::Error::other("a snappy block is cut off"))?;
        plain.extend(decoder.decompress_vec(block)?);
        blocks = rest;
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_gives_back_what_it_took() {
        let plain: Vec<u8> = (0..5_000_u32).map(|number| (number % 97) as u8).collect();
        for codec in Codec::ALL {
            let compressed = codec.compress(&plain);
            assert_eq!(codec.decompress(&compressed).expect("own bytes"), plain);
        }
    }
}

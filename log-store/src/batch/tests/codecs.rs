//! The codecs: everything comes back, foreign framings are understood, bombs are cut off.

use super::support::{build, refusal, rules, samples};
use crate::batch::compression::{Decompressor, decompress};
use crate::batch::{
    BatchBuilder, BatchError, BatchSettings, Codec, Compression, CompressionTarget,
    DecompressError, Rules,
};

/// Texts of several lengths around the borders of blocks, chunks and pieces, some that compress
/// well and some that do not.
fn texts() -> Vec<Vec<u8>> {
    let lengths = [
        0, 1, 2047, 2048, 2049, 16_384, 32_768, 32_769, 65_536, 65_537, 300_000,
    ];
    let mut texts = Vec::new();
    for length in lengths {
        texts.push(vec![b'x'; length]);
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        texts.push(
            (0..length)
                .map(|_| {
                    state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect(),
        );
    }
    texts
}

#[test]
fn what_is_compressed_comes_back_at_every_level() {
    let compressions = [
        Compression::None,
        Compression::Gzip(-1),
        Compression::Gzip(0),
        Compression::Gzip(9),
        Compression::Gzip(i32::MAX),
        Compression::Snappy,
        Compression::Lz4(9),
        Compression::Zstd(i32::MIN),
        Compression::Zstd(3),
        Compression::Zstd(19),
    ];
    for text in texts() {
        for compression in compressions {
            let section = compression.compress(text.clone());
            assert_eq!(plain(compression.codec(), &section), Ok(text.clone()));
        }
    }
}

#[test]
fn the_cap_is_exact() {
    // As many bytes as the cap come through, one more does not.
    for codec in Codec::ALL {
        let text = vec![b'x'; 100_000];
        let section = Compression::default_of(codec).compress(text.clone());
        let mut plain = Vec::new();
        assert_eq!(decompress(codec, &section, text.len(), &mut plain), Ok(()));
        let mut plain = Vec::new();
        let end = decompress(codec, &section, text.len() - 1, &mut plain);
        assert_eq!(end, Err(DecompressError::TooLarge));
    }
}

#[test]
fn a_bomb_is_refused_and_never_held() {
    // 8 MiB of the same byte behind a few kilobytes, against a cap of 1 MiB; kept and recompressed.
    let mut builder = BatchBuilder::new(BatchSettings::default());
    builder.push(0, None, Some(&vec![0; 8 << 20]), &[]);
    let bomb = builder.build().unwrap();
    for codec in &Codec::ALL[1..] {
        let mut header = *bomb.header();
        header.attributes.0 = codec.id().into();
        let section = Compression::default_of(*codec).compress(bomb.records_bytes().to_vec());
        let bomb = super::support::assembled(header, &section);
        for compression in [CompressionTarget::Producer, CompressionTarget::Uncompressed] {
            let rules = Rules {
                max_batch_bytes: i32::MAX,
                decompressed_bytes_max: 1 << 20,
                compression,
                ..rules()
            };
            assert_eq!(
                refusal(bomb.clone(), &rules),
                BatchError::TooLargeDecompressed { max_bytes: 1 << 20 },
                "{codec}"
            );
        }
    }
}

#[test]
fn a_snappy_block_that_lies_about_its_length_gets_no_memory() {
    // A bare block that announces 4 GiB - 1, and one that announces what it could just reach.
    for announced in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x80, 0x80, 0x40]] {
        let mut section = announced.to_vec();
        section.extend_from_slice(&[0; 8]);
        let mut decompressor = Decompressor::new(Codec::Snappy, &section, usize::MAX).unwrap();
        assert!(matches!(
            decompressor.fill(),
            Err(DecompressError::Corrupt { .. })
        ));
    }
    let honest = snap::raw::Encoder::new().compress_vec(&[0; 5000]).unwrap();
    let mut decompressor = Decompressor::new(Codec::Snappy, &honest, 4999).unwrap();
    assert_eq!(decompressor.fill(), Err(DecompressError::TooLarge));
}

#[test]
fn bare_snappy_is_understood_as_well_as_javas_framing() {
    // What librdkafka and Go clients send.
    for text in texts().into_iter().filter(|text| !text.is_empty()) {
        let section = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        assert_eq!(plain(Codec::Snappy, &section), Ok(text));
    }
}

#[test]
fn joined_streams_are_read_as_one_where_java_does_so() {
    // gzip members, zstd frames and snappy streams follow one another; lz4 ends with its frame.
    let text = b"one after the other ".repeat(10);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Zstd] {
        let section = Compression::default_of(codec).compress(text.clone());
        let joined = plain(codec, &section.repeat(3));
        assert_eq!(joined, Ok(text.repeat(3)), "{codec}");
    }
    let section = Compression::Lz4(9).compress(text.clone());
    assert_eq!(plain(Codec::Lz4, &section.repeat(3)), Ok(text));
}

#[test]
fn padding_after_a_gzip_member_is_ignored() {
    let text = b"padded".to_vec();
    let section = Compression::Gzip(-1).compress(text.clone());
    for padding in [1, 18, 19, 1000] {
        let padded = [&section[..], &vec![0; padding]].concat();
        assert_eq!(plain(Codec::Gzip, &padded), Ok(text.clone()));
    }
}

#[test]
fn optional_parts_of_a_gzip_header_are_passed_over() {
    // Extra field, name, comment and a header checksum, put in front of a plain member's body.
    let text = b"with a long header".to_vec();
    let section = Compression::Gzip(-1).compress(text.clone());
    let mut header = section[..10].to_vec();
    header[3] = 0x1e;
    header.extend_from_slice(b"\x03\x00abcname\x00comment\x00");
    let crc = crc_of_gzip_header(&header);
    header.extend_from_slice(&crc.to_le_bytes());
    let good = [&header[..], &section[10..]].concat();
    assert_eq!(plain(Codec::Gzip, &good), Ok(text));
    let last = header.len() - 1;
    header[last] ^= 1;
    let bad = [&header[..], &section[10..]].concat();
    assert!(plain(Codec::Gzip, &bad).is_err());
}

fn crc_of_gzip_header(header: &[u8]) -> u16 {
    let mut crc = flate2::Crc::new();
    crc.update(header);
    crc.sum() as u16
}

#[test]
fn lz4_frames_of_other_encoders_are_understood() {
    // With block checksums, a content checksum, a content size and large blocks, as pierrec/lz4
    // (Go) and liblz4 (librdkafka) may write them.
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let text = b"frames and more frames ".repeat(20_000);
    for block_size in [BlockSize::Max64KB, BlockSize::Max4MB] {
        let info = FrameInfo::new()
            .block_mode(BlockMode::Independent)
            .block_size(block_size)
            .block_checksums(true)
            .content_checksum(true)
            .content_size(Some(text.len() as u64));
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&text).unwrap();
        let section = encoder.finish().unwrap();
        assert_eq!(plain(Codec::Lz4, &section), Ok(text.clone()));
        // A block checksum that does not fit is noticed.
        let mut spoilt = section;
        let at = spoilt.len() - 12;
        spoilt[at] ^= 1;
        assert!(plain(Codec::Lz4, &spoilt).is_err());
    }
}

#[test]
fn linked_lz4_blocks_are_refused_as_by_javas_consumers() {
    use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};
    use std::io::Write;
    let info = FrameInfo::new().block_mode(BlockMode::Linked);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(b"linked").unwrap();
    let section = encoder.finish().unwrap();
    assert!(plain(Codec::Lz4, &section).is_err());
}

#[test]
fn a_section_that_is_cut_off_is_an_error_at_every_length() {
    // Except where nothing is missing but padding, or the cut leaves an empty stream.
    let text = b"cut me off somewhere ".repeat(5);
    for codec in &Codec::ALL[1..] {
        let section = Compression::default_of(*codec).compress(text.clone());
        for length in 0..section.len() {
            match plain(*codec, &section[..length]) {
                Ok(plain) => {
                    assert!(plain.len() < text.len(), "{codec} at {length}");
                    let is_between_chunks = *codec == Codec::Snappy && length < 20;
                    assert!(is_between_chunks || length == 0, "{codec} at {length}");
                }
                Err(DecompressError::Corrupt { .. }) => {}
                Err(DecompressError::TooLarge) => panic!("{codec} at {length}"),
            }
        }
    }
}

#[test]
fn a_gzip_trailer_that_does_not_fit_is_unreadable() {
    // The records read well; Kafka finds out when it looks whether anything follows them.
    let settings = BatchSettings {
        compression: Compression::Gzip(-1),
        ..BatchSettings::default()
    };
    let batch = build(settings, &samples()).into_bytes();
    for from_end in 1..=8 {
        let at = batch.len() - from_end;
        let spoilt = super::support::changed(&batch, |bytes| bytes[at] ^= 0x55);
        let error = refusal(spoilt, &rules());
        assert!(matches!(error, BatchError::Unreadable { .. }), "{error:?}");
    }
}

fn plain(codec: Codec, section: &[u8]) -> Result<Vec<u8>, DecompressError> {
    let mut plain = Vec::new();
    decompress(codec, section, usize::MAX, &mut plain).map(|()| plain)
}

/// Lines that repeat at some distance, which the high-compression encoder finds and the fast one misses.
#[test]
fn an_lz4_level_other_than_the_default_compresses_better() {
    let lines = (0..2000).map(|n: u32| format!("{} {} {}\n", n % 97, n % 89, n.pow(2) % 1013));
    let text = lines.collect::<String>().into_bytes();
    let fast = Compression::Lz4(9).compress(text.clone());
    for level in [1, 8, 10, 17] {
        let section = Compression::Lz4(level).compress(text.clone());
        assert_eq!(
            plain(Codec::Lz4, &section),
            Ok(text.clone()),
            "level {level}"
        );
        assert!(
            section.len() < fast.len(),
            "level {level}: {}",
            section.len()
        );
    }
}

//! The seeds of the fuzz target: a valid request frame of each API at its first and last version.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use klamm_codec::{Api, DecodeError, HeaderError, apis, decode_request_header};

use crate::apis::decode_any;
use crate::bodies::{Style, random_body};
use crate::random::Random;

#[test]
fn the_seeds_hold_a_frame_of_every_api_at_its_first_and_last_decodable_version() {
    // KLAMM_WRITE_SEEDS=1 writes the files anew after the table has changed.
    let made = make_frames();
    if std::env::var_os("KLAMM_WRITE_SEEDS").is_some() {
        let folder = folder();
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the folder can be made");
        for (name, frame) in &made {
            fs::write(folder.join(name), frame).expect("the file can be written");
        }
    }
    assert_eq!(committed_frames(), made);
}

/// The committed frames by file name, without their length prefixes.
pub fn committed_frames() -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder()).expect("the seeds are in the repository");
    let frames = entries.map(|entry| {
        let entry = entry.expect("the folder can be listed");
        let name = entry.file_name().into_string().expect("names are ASCII");
        (name, fs::read(entry.path()).expect("the file can be read"))
    });
    frames.collect()
}

/// What the fuzz target does with a frame. A body of an API without a message type counts as decoded.
pub fn decode_frame(frame: &[u8]) -> Result<Result<(), DecodeError>, HeaderError> {
    let (header, body) = decode_request_header(Bytes::copy_from_slice(frame))?;
    Ok(decode_any(header.api_key, header.api_version, body).unwrap_or(Ok(())))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/request_frame")
}

fn make_frames() -> BTreeMap<String, Vec<u8>> {
    let mut frames = BTreeMap::new();
    for api in apis() {
        let decodable: Vec<i16> = (api.versions.first..=api.versions.last)
            .filter(|version| !matches!(decode_frame(&make_frame(api, *version)), Ok(Err(_))))
            .collect();
        for version in [decodable.first(), decodable.last()].into_iter().flatten() {
            frames.insert(format!("{}-{version}", api.name), make_frame(api, *version));
        }
    }
    frames
}

fn make_frame(api: &'static Api, version: i16) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(api.key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(7_i32.to_be_bytes());
    frame.extend(b"\x00\x06client");
    if api.request_header_version(version) == 2 {
        frame.push(0);
    }
    let mut random = Random::of_case(0, api.key, version, 0);
    frame.extend(random_body(api, version, Style::Full, &mut random).bytes);
    frame
}

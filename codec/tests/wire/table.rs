//! The shape table against Kafka's own schemas, and against itself.

use std::env;
use std::path::Path;
use std::process::Command;

use klamm_codec::{Field, Kind, apis, find_api};

use crate::bodies::every_version;

/// The APIs that a broker of Apache Kafka 4.3.1 takes from clients and other brokers, with their last versions, as its
/// answer to ApiVersions has them.
#[rustfmt::skip]
const ADVERTISED: [(i16, i16); 75] = [
    (0, 13), (1, 18), (2, 11), (3, 13), (8, 10), (9, 10), (10, 6), (11, 9), (12, 4), (13, 5),
    (14, 5), (15, 6), (16, 5), (17, 1), (18, 4), (19, 7), (20, 6), (21, 2), (22, 5), (23, 4),
    (24, 5), (25, 4), (26, 5), (27, 2), (28, 5), (29, 3), (30, 3), (31, 3), (32, 4), (33, 2),
    (34, 2), (35, 5), (36, 2), (37, 3), (38, 3), (39, 2), (40, 2), (41, 3), (42, 2), (43, 2),
    (44, 1), (45, 1), (46, 0), (47, 0), (48, 1), (49, 1), (50, 0), (51, 0), (55, 2), (57, 2),
    (60, 2), (61, 0), (64, 0), (65, 0), (66, 2), (68, 1), (69, 1), (74, 1), (75, 0), (76, 1),
    (77, 1), (78, 2), (79, 2), (80, 1), (81, 0), (83, 0), (84, 0), (85, 1), (86, 0), (87, 1),
    (88, 0), (89, 0), (90, 1), (91, 0), (92, 0),
];

#[test]
fn the_table_is_what_the_generator_makes_of_kafkas_schemas() {
    // The schemas are Kafka's and not in the repository: KLAMM_KAFKA_SCHEMAS names a kafka-clients jar or a folder.
    let Some(schemas) = env::var_os("KLAMM_KAFKA_SCHEMAS") else {
        println!(
            "NOT CHECKED: KLAMM_KAFKA_SCHEMAS is not set, so the shape table was not compared with the schemas"
        );
        let is_waived = env::var("KLAMM_NO_SCHEMAS").is_ok_and(|value| value == "1");
        assert!(
            is_waived,
            "set KLAMM_KAFKA_SCHEMAS to a kafka-clients jar or a folder of message schemas, \
             or KLAMM_NO_SCHEMAS=1 to go without this check"
        );
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generator = root.join("../scripts/gen-shapes.py");
    let made = Command::new("python3")
        .arg(generator)
        .arg(schemas)
        .output()
        .expect("python3 can be started");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let committed =
        std::fs::read(root.join("src/shape/table.rs")).expect("the table is in the repository");
    assert!(
        made.stdout == committed,
        "codec/src/shape/table.rs is not what scripts/gen-shapes.py makes of {}",
        env::var("KLAMM_KAFKA_SCHEMAS").unwrap_or_default()
    );
}

#[test]
fn every_advertised_version_is_in_the_table() {
    for (api_key, last_version) in ADVERTISED {
        let api = find_api(api_key).unwrap_or_else(|| panic!("api key {api_key} has no row"));
        assert!(
            api.versions.contains(last_version),
            "{} {last_version}",
            api.name
        );
    }
}

#[test]
fn rows_are_ordered_by_key_and_found_by_it() {
    assert!(apis().is_sorted_by(|left, right| left.key < right.key));
    assert!(
        apis()
            .iter()
            .all(|api| find_api(api.key).is_some_and(|found| found.name == api.name))
    );
    assert!((-1..100).filter(|key| find_api(*key).is_some()).count() == apis().len());
}

#[test]
fn every_value_takes_at_least_one_byte_so_that_bytes_bound_every_array() {
    fn check(name: &str, kind: &Kind, version: i16, is_flexible: bool) {
        assert!(
            kind.least_bytes(version, is_flexible) > 0,
            "{name} {version}"
        );
        match kind {
            Kind::Array(element) => check(name, element, version, is_flexible),
            Kind::Struct(fields) => check_fields(fields, version, is_flexible),
            _ => {}
        }
    }
    fn check_fields(fields: &[Field], version: i16, is_flexible: bool) {
        for field in fields
            .iter()
            .filter(|field| field.versions.contains(version))
        {
            check(field.name, &field.kind, version, is_flexible);
        }
    }
    for (api, version) in every_version() {
        check_fields(api.fields, version, api.flexible.contains(version));
    }
}

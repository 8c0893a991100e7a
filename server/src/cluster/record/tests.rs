//! Bytes of a metadata log that Apache Kafka 4.3.1 wrote, one constant for each record as `kafka-dump-log` names it.

use proptest::prelude::*;
use uuid::{Uuid, uuid};

use super::*;
use crate::cluster::view::{Endpoint, PartitionImage};

/// The level of `metadata.version` in the cluster that wrote the bytes.
const METADATA_VERSION: i16 = 30;

const TOPIC_ID: Uuid = uuid!("b38e76e0-6bb1-4da5-be1a-ee5348b2b326");
const DIRECTORY_ID: Uuid = uuid!("bf18166f-0ed7-17b9-2bd9-95ada48f87b9");

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn feature(name: &str, level_first: i16, level_last: i16) -> SupportedFeature {
    SupportedFeature {
        name: name.to_owned(),
        level_first,
        level_last,
    }
}

fn partition() -> PartitionImage {
    PartitionImage {
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        replicas: vec![1],
        isr: vec![1],
        adding_replicas: Vec::new(),
        removing_replicas: Vec::new(),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        directories: vec![DIRECTORY_ID],
        is_recovering: false,
    }
}

/// Shows that each record is read as Kafka meant it and written as Kafka wrote it.
#[track_caller]
fn is(hex: &str, record: MetadataRecord) {
    assert_eq!(decode(&bytes(hex)).as_ref(), Ok(&record));
    assert_eq!(encode(&record, METADATA_VERSION), bytes(hex));
}

#[test]
fn cluster_records_are_kafkas_bytes() {
    is(
        "01170001001212426f6f747374726170207265636f726473",
        MetadataRecord::BeginTransaction {
            name: Some("Bootstrap records".to_owned()),
        },
    );
    is("01180000", MetadataRecord::EndTransaction);
    is("01140000", MetadataRecord::NoOp);
    is(
        "010c00116d657461646174612e76657273696f6e001e00",
        MetadataRecord::FeatureLevel {
            name: "metadata.version".to_owned(),
            level: 30,
        },
    );
    is(
        "0104000401146d696e2e696e73796e632e7265706c69636173023100",
        MetadataRecord::Config {
            resource_type: 4,
            resource_name: String::new(),
            name: "min.insync.replicas".to_owned(),
            value: Some("1".to_owned()),
        },
    );
    is(
        "010400020b676f6c64656e2e6f6e650d726574656e74696f6e2e6d730000",
        MetadataRecord::Config {
            resource_type: 2,
            resource_name: "golden.one".to_owned(),
            name: "retention.ms".to_owned(),
            value: None,
        },
    );
    is(
        "010f0000000001000000000000000c00000000000003e800",
        MetadataRecord::ProducerIds {
            broker_id: 1,
            broker_epoch: 12,
            next_producer_id: 1000,
        },
    );
}

#[test]
fn topic_records_are_kafkas_bytes() {
    is(
        "0102000b676f6c64656e2e6f6e65b38e76e06bb14da5be1aee5348b2b32600",
        MetadataRecord::Topic {
            name: "golden.one".to_owned(),
            topic_id: TOPIC_ID,
        },
    );
    is(
        "010900b38e76e06bb14da5be1aee5348b2b32600",
        MetadataRecord::RemoveTopic { topic_id: TOPIC_ID },
    );
    is(
        "01030200000002b38e76e06bb14da5be1aee5348b2b32602000000010200000001010100000001000000000000000002\
         bf18166f0ed717b92bd995ada48f87b900",
        MetadataRecord::Partition(PartitionRecord {
            partition_id: 2,
            topic_id: TOPIC_ID,
            partition: partition(),
        }),
    );
    let change = PartitionChangeRecord {
        topic_id: uuid!("53b17294-4e1e-4da9-b8f4-584d54a09329"),
        ..PartitionChangeRecord::default()
    };
    // A shutdown takes the leader away, a start elects it again.
    is(
        "0105020000000053b172944e1e4da9b8f4584d54a09329040001010104ffffffff0605020000000107050200000001",
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            isr: Some(vec![]),
            leader: Some(-1),
            elr: Some(vec![1]),
            last_known_elr: Some(vec![1]),
            ..change.clone()
        }),
    );
    is(
        "0105020000000053b172944e1e4da9b8f4584d54a093290400050200000001010400000001060101070101",
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            isr: Some(vec![1]),
            leader: Some(1),
            elr: Some(vec![]),
            last_known_elr: Some(vec![]),
            ..change
        }),
    );
}

#[test]
fn broker_and_controller_records_are_kafkas_bytes() {
    let endpoint = |name: &str, port| Endpoint {
        name: name.to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        security_protocol: 0,
    };
    is(
        "011b000000000137bc0435b03944c3a5c9d38dc1663ceb00020b434f4e54524f4c4c45520a3132372e302e302e315fb5000000\
         080e67726f75702e76657273696f6e00000001000e6b726166742e76657273696f6e0000000100116d657461646174612e7665\
         7273696f6e0007001e000e73686172652e76657273696f6e00000001001073747265616d732e76657273696f6e000000010014\
         7472616e73616374696f6e2e76657273696f6e000000020021656c696769626c652e6c65616465722e7265706c696361732e76\
         657273696f6e000000010000",
        MetadataRecord::RegisterController(RegisterControllerRecord {
            controller_id: 1,
            incarnation_id: uuid!("37bc0435-b039-44c3-a5c9-d38dc1663ceb"),
            is_zk_migration_ready: false,
            endpoints: vec![endpoint("CONTROLLER", 24501)],
            features: vec![
                feature("group.version", 0, 1),
                feature("kraft.version", 0, 1),
                feature("metadata.version", 7, 30),
                feature("share.version", 0, 1),
                feature("streams.version", 0, 1),
                feature("transaction.version", 0, 2),
                feature("eligible.leader.replicas.version", 0, 1),
            ],
        }),
    );
    is(
        "0100040000000100ee7e2f8dc43a4d0f80dc54d9ca4409a6000000000000002b020a504c41494e544558540a3132372e302e30\
         2e315fb4000000080e73686172652e76657273696f6e00000001000e6b726166742e76657273696f6e00000001000e67726f75\
         702e76657273696f6e00000001001073747265616d732e76657273696f6e0000000100147472616e73616374696f6e2e766572\
         73696f6e000000020021656c696769626c652e6c65616465722e7265706c696361732e76657273696f6e0000000100116d6574\
         61646174612e76657273696f6e0007001e00037231010001001102bf18166f0ed717b92bd995ada48f87b9",
        MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            broker_id: 1,
            is_migrating_zk_broker: false,
            incarnation_id: uuid!("ee7e2f8d-c43a-4d0f-80dc-54d9ca4409a6"),
            broker_epoch: 43,
            endpoints: vec![endpoint("PLAINTEXT", 24500)],
            features: vec![
                feature("share.version", 0, 1),
                feature("kraft.version", 0, 1),
                feature("group.version", 0, 1),
                feature("streams.version", 0, 1),
                feature("transaction.version", 0, 2),
                feature("eligible.leader.replicas.version", 0, 1),
                feature("metadata.version", 7, 30),
            ],
            rack: Some("r1".to_owned()),
            is_fenced: true,
            is_in_controlled_shutdown: false,
            log_dirs: vec![DIRECTORY_ID],
            cordoned_log_dirs: None,
        }),
    );
    let change = BrokerRegistrationChangeRecord {
        broker_id: 1,
        broker_epoch: 12,
        ..BrokerRegistrationChangeRecord::default()
    };
    let unfenced = BrokerRegistrationChangeRecord {
        is_fenced: Some(false),
        ..change.clone()
    };
    is(
        "01110000000001000000000000000c010001ff",
        MetadataRecord::BrokerRegistrationChange(unfenced),
    );
    let cordoned = BrokerRegistrationChangeRecord {
        cordoned_log_dirs: Some(vec![]),
        ..change.clone()
    };
    is(
        "01110300000001000000000000000c01030101",
        MetadataRecord::BrokerRegistrationChange(cordoned),
    );
    let leaving = BrokerRegistrationChangeRecord {
        begins_controlled_shutdown: true,
        ..change
    };
    is(
        "01110100000001000000000000000c01010101",
        MetadataRecord::BrokerRegistrationChange(leaving),
    );
}

/// Kafka's JSON schemas: directories came with version 1 of partition records, eligible leader replicas with version 2.
#[test]
fn older_metadata_versions_get_older_record_versions() {
    let partition = PartitionImage {
        elr: vec![2],
        last_known_elr: vec![3],
        is_recovering: true,
        ..partition()
    };
    let record = MetadataRecord::Partition(PartitionRecord {
        partition_id: 0,
        topic_id: TOPIC_ID,
        partition,
    });
    for (metadata_version, record_version) in [(7, 0), (16, 0), (17, 1), (22, 1), (23, 2), (30, 2)]
    {
        let bytes = encode(&record, metadata_version);
        assert_eq!(
            bytes[2], record_version,
            "metadata version {metadata_version}"
        );
        let Ok(MetadataRecord::Partition(read)) = decode(&bytes) else {
            panic!("a partition record")
        };
        let has_elr = record_version >= 2;
        assert_eq!(read.partition.elr, if has_elr { vec![2] } else { vec![] });
        assert_eq!(
            read.partition.last_known_elr,
            if has_elr { vec![3] } else { vec![] }
        );
        assert_eq!(
            read.partition.directories.len(),
            usize::from(record_version >= 1)
        );
        assert!(read.partition.is_recovering);
    }
}

#[test]
fn records_without_a_part_in_the_image_keep_their_bytes() {
    // An AccessControlEntryRecord (type 18, version 0) with whatever body.
    let quota = bytes("01120001020304");
    let record = decode(&quota).unwrap();
    assert_eq!(
        record,
        MetadataRecord::Other {
            api_key: 18,
            version: 0,
            body: vec![1, 2, 3, 4]
        }
    );
    assert_eq!(encode(&record, METADATA_VERSION), quota);
}

#[test]
fn bytes_that_are_no_record_are_refused() {
    assert_eq!(decode(&[]), Err(RecordError::Truncated));
    assert_eq!(
        decode(&bytes("00020000")),
        Err(RecordError::FrameVersion(0))
    );
    assert_eq!(
        decode(&bytes("01020100")),
        Err(RecordError::Version {
            api_key: 2,
            version: 1
        })
    );
    assert_eq!(
        decode(&bytes("0114000000")),
        Err(RecordError::Garbage { bytes: 1 })
    );
    assert_eq!(
        decode(&bytes("010200ffffffffff00")),
        Err(RecordError::Varint)
    );
    // A string of 2 GiB, an array of 2 GiB, a topic without a name.
    assert_eq!(
        decode(&bytes("010200ffffffff0700")),
        Err(RecordError::Truncated)
    );
    assert_eq!(
        decode(&bytes(&format!(
            "01030200000000{}ffffffff07",
            "00".repeat(16)
        ))),
        Err(RecordError::Truncated)
    );
    assert_eq!(decode(&bytes("01020000")), Err(RecordError::Length));
    assert_eq!(decode(&bytes("01020002ff")), Err(RecordError::Text));
}

proptest! {
    /// Any bytes, and Kafka's own bytes with any byte changed, either decode or are refused, and what decodes can be written.
    #[test]
    fn no_bytes_make_the_decoder_panic(random in proptest::collection::vec(any::<u8>(), 0..80), at in 0usize..60, by in 1u8..) {
        let mut changed = bytes(
            "01030200000002b38e76e06bb14da5be1aee5348b2b32602000000010200000001010100000001000000000000000002\
             bf18166f0ed717b92bd995ada48f87b900",
        );
        changed[at] ^= by;
        for bytes in [random, changed] {
            if let Ok(record) = decode(&bytes) {
                encode(&record, METADATA_VERSION);
            }
        }
    }
}

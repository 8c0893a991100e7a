use super::*;
use crate::cluster::memory::MemoryMetadataStore;
use crate::cluster::view::Endpoint;

const NODE_ID: i32 = 1;
const DIRECTORY_ID: Uuid = Uuid::from_u128(0xd);

fn store() -> MemoryMetadataStore {
    let store = MemoryMetadataStore::new("AAAAAAAAAAAAAAAAAAAAAQ", NODE_ID);
    register_broker(&store, &registration()).unwrap();
    store
}

fn registration() -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: NODE_ID,
        is_migrating_zk_broker: false,
        incarnation_id: Uuid::from_u128(0xb),
        broker_epoch: -1,
        endpoints: vec![Endpoint {
            name: "PLAINTEXT".to_owned(),
            host: "localhost".to_owned(),
            port: 9092,
            security_protocol: 0,
        }],
        features: Vec::new(),
        rack: None,
        is_fenced: false,
        is_in_controlled_shutdown: false,
        log_dirs: vec![DIRECTORY_ID],
        cordoned_log_dirs: None,
    }
}

fn create(
    store: &dyn MetadataStore,
    name: &str,
    id: u128,
    partition_count: usize,
) -> Arc<ClusterImage> {
    let change = &mut |proposal: &mut Proposal| {
        let partition = new_partition(proposal.image(), &[NODE_ID], &[NODE_ID]);
        create_topic(
            proposal,
            name,
            Uuid::from_u128(id),
            &BTreeMap::new(),
            &vec![partition; partition_count],
        );
    };
    store.propose(change).unwrap()
}

fn epochs(image: &ClusterImage, topic: &str) -> Vec<(i32, i32)> {
    let partitions = &image.topic(topic).unwrap().partitions;
    partitions
        .iter()
        .map(|partition| (partition.leader_epoch, partition.partition_epoch))
        .collect()
}

#[test]
fn bootstrap_happens_once_in_the_life_of_a_cluster() {
    let store = store();
    let level = |name: &str, level| MetadataRecord::FeatureLevel {
        name: name.to_owned(),
        level,
    };
    let config = MetadataRecord::Config {
        resource_type: ConfigResource::BROKER,
        resource_name: String::new(),
        name: "min.insync.replicas".to_owned(),
        value: Some("1".to_owned()),
    };
    let records = [
        level("metadata.version", 30),
        level("group.version", 1),
        config,
    ];
    let image = bootstrap(&store, &records).unwrap();
    let features = BTreeMap::from([
        ("metadata.version".to_owned(), 30),
        ("group.version".to_owned(), 1),
    ]);
    assert_eq!(image.features.levels, features);
    assert_eq!(image.features.metadata_version(), 30);
    assert_eq!(
        image.configs(&ConfigResource::default_broker()).unwrap()["min.insync.replicas"],
        "1"
    );

    let newer = [level("metadata.version", 31)];
    assert_eq!(bootstrap(&store, &newer).unwrap().offset, image.offset);
}

#[test]
fn controllers_are_registered_from_metadata_version_15_on() {
    let registration = RegisterControllerRecord {
        controller_id: NODE_ID,
        incarnation_id: Uuid::from_u128(0xc),
        is_zk_migration_ready: false,
        endpoints: Vec::new(),
        features: Vec::new(),
    };
    for (level, count) in [(14, 0), (15, 1)] {
        let store = MemoryMetadataStore::new("AAAAAAAAAAAAAAAAAAAAAQ", NODE_ID);
        let level = MetadataRecord::FeatureLevel {
            name: "metadata.version".to_owned(),
            level,
        };
        bootstrap(&store, &[level]).unwrap();
        register_controller(&store, &registration).unwrap();
        assert_eq!(store.image().controllers.len(), count);
    }
}

#[test]
fn a_broker_epoch_is_the_offset_of_its_registration() {
    let store = MemoryMetadataStore::new("AAAAAAAAAAAAAAAAAAAAAQ", NODE_ID);
    assert_eq!(register_broker(&store, &registration()).unwrap(), 0);
    assert_eq!(register_broker(&store, &registration()).unwrap(), 2);
    let image = store.image();
    let broker = image.broker(NODE_ID).unwrap();
    assert_eq!((broker.epoch, broker.is_fenced), (2, false));
    assert_eq!(image.unfenced_brokers().count(), 1);
}

#[test]
fn an_unclean_shutdown_starts_new_leader_epochs_of_led_partitions_only() {
    let store = store();
    create(&store, "led", 1, 2);
    create(&store, "other", 2, 1);
    let leave = PartitionChangeRecord {
        topic_id: Uuid::from_u128(2),
        leader: Some(NO_LEADER),
        isr: Some(vec![]),
        elr: Some(vec![NODE_ID]),
        ..PartitionChangeRecord::default()
    };
    store
        .propose(&mut |proposal| proposal.push(MetadataRecord::PartitionChange(leave.clone())))
        .unwrap();
    bump_leader_epochs(&store, NODE_ID).unwrap();
    assert_eq!(epochs(&store.image(), "led"), [(1, 1), (1, 1)]);
    assert_eq!(epochs(&store.image(), "other"), [(1, 1)]);

    elect_leaders(&store, NODE_ID).unwrap();
    assert_eq!(epochs(&store.image(), "led"), [(1, 1), (1, 1)]);
    assert_eq!(epochs(&store.image(), "other"), [(2, 2)]);
    let image = store.image();
    let elected = image.topic("other").unwrap().partition(0).unwrap();
    assert_eq!(
        (elected.leader, &elected.isr[..], &elected.elr[..]),
        (NODE_ID, &[NODE_ID][..], &[][..])
    );
}

#[test]
fn producer_id_blocks_follow_each_other() {
    let store = store();
    assert_eq!(next_producer_ids(&store, NODE_ID).unwrap(), Some(0..1000));
    assert_eq!(
        next_producer_ids(&store, NODE_ID).unwrap(),
        Some(1000..2000)
    );
    let ids = |next_producer_id| MetadataRecord::ProducerIds {
        broker_id: NODE_ID,
        broker_epoch: 0,
        next_producer_id,
    };
    let again = store.propose(&mut |proposal| proposal.push(ids(2000)));
    assert!(
        matches!(again, Err(ProposeError::Contradiction(_))),
        "{again:?}"
    );
    store
        .propose(&mut |proposal| proposal.push(ids(i64::MAX - 999)))
        .unwrap();
    assert_eq!(
        next_producer_ids(&store, NODE_ID).unwrap(),
        None,
        "the range is used up"
    );
}

#[test]
fn an_image_that_was_taken_does_not_change() {
    let store = store();
    let before = create(&store, "a", 1, 1);
    let added = new_partition(&before, &[NODE_ID], &[NODE_ID]);
    assert_eq!(added.directories, [DIRECTORY_ID]);
    let after = store
        .propose(&mut |proposal| {
            add_partitions(
                proposal,
                Uuid::from_u128(1),
                1,
                std::slice::from_ref(&added),
            )
        })
        .unwrap();
    assert_eq!((before.partition_count(), after.partition_count()), (1, 2));
    assert_eq!(before.topic("a").unwrap().partitions.len(), 1);
    assert_eq!(
        after
            .topic_by_id(Uuid::from_u128(1))
            .unwrap()
            .partitions
            .len(),
        2
    );

    let gone = store
        .propose(&mut |proposal| delete_topic(proposal, Uuid::from_u128(1)))
        .unwrap();
    assert_eq!((gone.topic_count(), gone.partition_count()), (0, 0));
    assert!(gone.topic_by_id(Uuid::from_u128(1)).is_none());
    assert_eq!(after.topic_count(), 1);
}

#[test]
fn names_and_ids_are_unique_and_partitions_dense() {
    let store = store();
    create(&store, "a_b", 1, 1);
    let image = store.image();
    let refusals = [
        MetadataRecord::Topic {
            name: "a_b".to_owned(),
            topic_id: Uuid::from_u128(2),
        },
        MetadataRecord::Topic {
            name: "c".to_owned(),
            topic_id: Uuid::from_u128(1),
        },
        MetadataRecord::RemoveTopic {
            topic_id: Uuid::from_u128(2),
        },
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            partition_id: 1,
            topic_id: Uuid::from_u128(1),
            ..PartitionChangeRecord::default()
        }),
        MetadataRecord::Partition(PartitionRecord {
            partition_id: 2,
            topic_id: Uuid::from_u128(1),
            partition: new_partition(&image, &[NODE_ID], &[NODE_ID]),
        }),
        MetadataRecord::Partition(PartitionRecord {
            partition_id: 0,
            topic_id: Uuid::from_u128(1),
            partition: PartitionImage {
                leader_epoch: -1,
                ..new_partition(&image, &[NODE_ID], &[NODE_ID])
            },
        }),
        MetadataRecord::UnregisterBroker {
            broker_id: NODE_ID,
            broker_epoch: 7,
        },
    ];
    for record in refusals {
        let refused = store.propose(&mut |proposal| proposal.push(record.clone()));
        assert!(
            matches!(refused, Err(ProposeError::Contradiction(_))),
            "{record:?}: {refused:?}"
        );
    }
    assert!(Arc::ptr_eq(&image, &store.image()));
}

/// A name collides with every other spelling of '.' and '_', never with itself, and no longer once the other is gone.
#[test]
fn colliding_names_are_found_until_they_are_deleted() {
    let store = store();
    create(&store, "a.b_c", 1, 1);
    create(&store, "a_b_c", 2, 1);
    let colliding = |name: &str| {
        store
            .image()
            .topic_colliding_with(name)
            .map(ToString::to_string)
    };
    assert_eq!(colliding("a.b.c"), Some("a.b_c".to_owned()));
    assert_eq!(colliding("a.b_c"), Some("a_b_c".to_owned()));
    assert_eq!(colliding("a-b-c"), None);
    for id in [1, 2] {
        store
            .propose(&mut |proposal| delete_topic(proposal, Uuid::from_u128(id)))
            .unwrap();
    }
    assert_eq!(colliding("a.b.c"), None);
}

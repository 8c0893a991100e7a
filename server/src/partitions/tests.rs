use std::sync::Arc;

use klamm_log_store::Offset;
use klamm_log_store::batch::{BatchBuilder, BatchSettings};
use klamm_log_store::partition::{AppendOptions, Partition};

use crate::cluster::TopicImage;
use crate::errors::ErrorCode;
use crate::handlers::testing::TestBroker;
use crate::handlers::topics::auto_create;

const TOPIC: &str = "orders";

async fn broker(reopen_interval: &str) -> TestBroker {
    let setting = format!("klamm.log.reopen.interval.ms={reopen_interval}");
    let broker = TestBroker::start(&[&setting]).await;
    auto_create(broker.broker(), &[TOPIC.to_owned()]);
    broker
}

fn log(broker: &TestBroker) -> Result<Arc<Partition>, ErrorCode> {
    broker.broker().partition_by_name(TOPIC, 0)
}

async fn append(log: &Arc<Partition>) {
    let mut batch = BatchBuilder::new(BatchSettings::default());
    batch.push(1, None, Some(b"value"), &[]);
    let batch = batch.build().expect("a small batch");
    let appended = log
        .append(&batch, AppendOptions::coordinator(1))
        .expect("the log is online");
    log.committed(appended.end_offset())
        .await
        .expect("the log is online");
}

#[tokio::test]
async fn a_log_that_went_offline_comes_back_with_all_that_was_committed() {
    let broker = broker("0").await;
    let before = log(&broker).expect("the log is there");
    append(&before).await;
    append(&before).await;
    before.retire("a test took it offline");
    let after = log(&broker).expect("the log is back");
    assert!(!Arc::ptr_eq(&before, &after));
    assert_eq!(after.high_watermark(), Offset(2));
    append(&after).await;
    assert_eq!(after.high_watermark(), Offset(3));
}

#[tokio::test]
async fn a_log_that_went_offline_is_left_alone_for_a_while() {
    let broker = broker("3600000").await;
    let before = log(&broker).expect("the log is there");
    append(&before).await;
    before.retire("a test took it offline");
    let refused = log(&broker).map(|_| ());
    assert_eq!(refused, Err(ErrorCode::KafkaStorageError));
}

#[tokio::test]
async fn whoever_holds_an_old_image_does_not_make_the_directory_of_a_deleted_topic() {
    let broker = broker("0").await;
    let (inner, image) = (broker.broker(), broker.broker().image());
    let topic: &Arc<TopicImage> = image.topic(TOPIC).expect("the topic is there");
    append(&log(&broker).expect("the log is there")).await;
    inner.partitions.delete_topics(&[Arc::clone(topic)]);
    let hosted = inner
        .partitions
        .hosted(&image, topic, 0, &inner.configs)
        .map(|_| ());
    assert_eq!(hosted, Err(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(inner.partitions.directory_of(TOPIC, 0), None);
}

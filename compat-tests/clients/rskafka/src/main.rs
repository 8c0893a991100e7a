//! rskafka behind the command line of ../README.md. It has no consumer groups.

mod lines;

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use rskafka::BackoffConfig;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;

use lines::{Send, emit, emit_record};

type Outcome = Result<(), Box<dyn Error>>;

/// `produce` takes a list and makes one batch of it: what is waiting is sent together, up to this many records.
const RECORDS_PER_BATCH: usize = 20;

const FETCH_BYTES_MAX: i32 = 1 << 20;
const FETCH_WAIT_MS_MAX: i32 = 500;
const CREATE_TIMEOUT_MS: i32 = 5_000;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["create", bootstrap, topic, partitions] => {
            create(bootstrap, topic, partitions.parse()?).await
        }
        ["produce", bootstrap, topic] => produce(bootstrap, topic).await,
        ["consume", bootstrap, count, ref topics @ ..] => {
            consume(bootstrap, count.parse()?, topics).await
        }
        ["seek", bootstrap] => seek(bootstrap).await,
        _ => Err(format!("not a verb of this client: {arguments:?}").into()),
    }
}

async fn create(bootstrap: &str, topic: &str, partitions: i32) -> Outcome {
    let controller = connect(bootstrap).await?.controller_client()?;
    controller
        .create_topic(topic, partitions, 1, CREATE_TIMEOUT_MS)
        .await?;
    emit(&["created".to_owned()]);
    Ok(())
}

async fn produce(bootstrap: &str, topic: &str) -> Outcome {
    let client = connect(bootstrap).await?;
    let mut waiting: Vec<(usize, Send)> = Vec::new();
    let mut rows = lines::rows();
    let mut index = 0;
    while let Some(row) = rows.next_line().await? {
        let send = lines::parse_send(&row)?;
        let is_full = waiting.len() == RECORDS_PER_BATCH;
        if waiting.first().is_some_and(|(_, first)| {
            is_full || (&first.codec, first.partition) != (&send.codec, send.partition)
        }) {
            send_batch(&client, topic, &mut waiting).await?;
        }
        waiting.push((index, send));
        index += 1;
    }
    send_batch(&client, topic, &mut waiting).await
}

/// Sends what is waiting, all of one codec and partition, as one batch.
async fn send_batch(client: &Client, topic: &str, waiting: &mut Vec<(usize, Send)>) -> Outcome {
    let Some((_, first)) = waiting.first() else {
        return Ok(());
    };
    let codec = match first.codec.as_str() {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    };
    let partition = open(client, topic, first.partition).await?;
    let (indexes, sends): (Vec<usize>, Vec<Send>) = waiting.drain(..).unzip();
    let records = sends
        .into_iter()
        .map(|send| {
            Ok(Record {
                key: send.key,
                value: send.value,
                headers: send.headers,
                timestamp: send.timestamp.map_or_else(|| Ok(Utc::now()), time)?,
            })
        })
        .collect::<Result<_, Box<dyn Error>>>()?;
    let offsets = partition.produce(records, codec).await?;
    for (index, offset) in indexes.into_iter().zip(offsets) {
        emit(&["acked".to_owned(), index.to_string(), offset.to_string()]);
    }
    Ok(())
}

async fn consume(bootstrap: &str, count: usize, topics: &[&str]) -> Outcome {
    let client = connect(bootstrap).await?;
    let mut seen = 0;
    for topic in client.list_topics().await? {
        if !topics.contains(&topic.name.as_str()) {
            continue;
        }
        for index in topic.partitions {
            let partition = open(&client, &topic.name, index).await?;
            let end = partition.get_offset(OffsetAt::Latest).await?;
            let mut offset = partition.get_offset(OffsetAt::Earliest).await?;
            while offset < end {
                let (records, _) = partition
                    .fetch_records(offset, 1..FETCH_BYTES_MAX, FETCH_WAIT_MS_MAX)
                    .await?;
                for record in records {
                    offset = record.offset + 1;
                    emit_record(&topic.name, index, record.offset, &record.record);
                    seen += 1;
                }
            }
        }
    }
    if seen != count {
        return Err(format!("the partitions end after {seen} of {count} records").into());
    }
    Ok(())
}

async fn seek(bootstrap: &str) -> Outcome {
    let client = connect(bootstrap).await?;
    let mut rows = lines::rows();
    while let Some(row) = rows.next_line().await? {
        let fields: Vec<&str> = row.split('\t').collect();
        let [topic, index, timestamp] = fields[..] else {
            return Err("a seek line has three fields".into());
        };
        let index = index.parse()?;
        let partition = open(&client, topic, index).await?;
        let wanted = OffsetAt::Timestamp(time(timestamp.parse()?)?);
        let offset = partition.get_offset(wanted).await?;
        if offset < 0 {
            emit(&["found".to_owned(), "-".to_owned()]);
            continue;
        }
        emit(&["found".to_owned(), offset.to_string()]);
        let (records, _) = partition
            .fetch_records(offset, 1..FETCH_BYTES_MAX, FETCH_WAIT_MS_MAX)
            .await?;
        let first = records.first().ok_or("nothing at the offset found")?;
        emit_record(topic, index, first.offset, &first.record);
    }
    Ok(())
}

async fn connect(bootstrap: &str) -> Result<Client, Box<dyn Error>> {
    // The default never gives up, with pauses of up to 500 s; a restarted broker is found again sooner with these.
    let backoff = BackoffConfig {
        max_backoff: Duration::from_secs(1),
        ..BackoffConfig::default()
    };
    Ok(ClientBuilder::new(vec![bootstrap.to_owned()])
        .backoff_config(backoff)
        .build()
        .await?)
}

async fn open(
    client: &Client,
    topic: &str,
    partition: i32,
) -> Result<Arc<PartitionClient>, Box<dyn Error>> {
    let partition = client
        .partition_client(topic, partition, UnknownTopicHandling::Retry)
        .await?;
    Ok(Arc::new(partition))
}

fn time(milliseconds: i64) -> Result<DateTime<Utc>, Box<dyn Error>> {
    let time = Utc.timestamp_millis_opt(milliseconds).single();
    Ok(time.ok_or("a timestamp out of range")?)
}

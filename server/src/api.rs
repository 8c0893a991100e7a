//! The one table of served APIs.
//!
//! A row names the API, the versions that work and the function that serves it. The version gate, ApiVersions,
//! the metric labels and the coverage table in the README all read this table, so none of them can claim an API
//! that another one refuses.

use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::log_range::LogRange;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use klamm_codec::{RequestBody, RequestHeader, ResponseBody, Segment};

use crate::broker::Broker;
use crate::handlers;

/// What a handler may know of the request beside its body.
pub struct Ctx<'a> {
    pub broker: &'a Arc<Broker>,
    pub connection: &'a Arc<ConnectionFacts>,
    pub header: &'a RequestHeader,
    /// Milliseconds since the Unix epoch when the request was read, by the broker's clock.
    pub now_ms: i64,
}

impl Ctx<'_> {
    pub fn version(&self) -> i16 {
        self.header.api_version
    }

    /// The client id, empty where the client sent none (as Kafka does).
    pub fn client_id(&self) -> &str {
        &self.header.client_id
    }
}

/// What is known of a connection from the moment it was accepted.
#[derive(Debug, Clone)]
pub struct ConnectionFacts {
    pub peer: SocketAddr,
    /// The address at which this connection arrived.
    pub local: SocketAddr,
    /// The name of the listener that accepted it, as in `listeners`.
    pub listener: String,
}

/// The bytes of one answer, in order: encoded pieces and ranges of log files that go to the socket uncopied.
pub type Frame = Vec<Segment<LogRange>>;

/// A handler's answer before it is encoded.
pub enum Reply<R> {
    /// The answer is known at the end of stage one.
    Now(R),
    /// The answer depends on something that takes time: a commit, a long poll, a blocking call. Everything that
    /// must be ordered with other requests of the connection has happened already; dropping the future is harmless.
    Later(Pin<Box<dyn Future<Output = R> + Send>>),
    /// The client asked for no answer (produce with acks=0).
    Silent,
    /// The connection must end, for this reason.
    Close(&'static str),
}

impl<R> Reply<R> {
    pub fn later(future: impl Future<Output = R> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }

    /// Runs `work` on the blocking pool: for file work and other calls that may take more than 500 µs.
    pub fn blocking(work: impl FnOnce() -> R + Send + 'static) -> Self
    where
        R: Send + 'static,
    {
        Self::later(async move {
            tokio::task::spawn_blocking(work)
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        })
    }
}

/// A handler's answer, encoded or still to come.
pub enum Handled {
    Now(Frame),
    Later(Pin<Box<dyn Future<Output = Result<Frame, CloseReason>> + Send>>),
    /// Stage one itself takes time: no other request of the connection may begin before this answer. An empty frame is
    /// no answer.
    Alone(Pin<Box<dyn Future<Output = Result<Frame, CloseReason>> + Send>>),
    Silent,
    Close(CloseReason),
}

/// Why a connection is closed without an answer, for the log.
pub type CloseReason = String;

/// One served API.
pub struct Api {
    pub key: ApiKey,
    /// Lowest and highest version that is served.
    pub min: i16,
    pub max: i16,
    /// Lowest version that ApiVersions names; lower than `min` only for Produce (KAFKA-18659).
    pub advertised_min: i16,
    run: fn(&Ctx<'_>, Bytes) -> Handled,
}

impl Api {
    const fn new(key: ApiKey, min: i16, max: i16, run: fn(&Ctx<'_>, Bytes) -> Handled) -> Self {
        Self {
            key,
            min,
            max,
            advertised_min: min,
            run,
        }
    }

    const fn advertised_from(mut self, version: i16) -> Self {
        self.advertised_min = version;
        self
    }

    pub fn serves(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// The place of this row in the table. A look at every row would be felt on the request path.
    pub fn place(&self) -> usize {
        let from_start = std::ptr::from_ref(self)
            .addr()
            .wrapping_sub(APIS.as_ptr().addr());
        from_start / size_of::<Self>()
    }

    /// Runs stage one of a request whose version this row serves.
    pub fn run(&self, ctx: &Ctx<'_>, body: Bytes) -> Handled {
        (self.run)(ctx, body)
    }
}

/// The row for an API key, or `None` where this server does not serve it.
pub fn find(api_key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key as i16 == api_key)
}

/// Every served API, by key.
pub static APIS: &[Api] = &[
    Api::new(ApiKey::Produce, 3, 13, handlers::produce::run).advertised_from(0),
    Api::new(ApiKey::Fetch, 4, 18, handlers::fetch::run),
    Api::new(ApiKey::ListOffsets, 1, 11, |ctx, body| {
        typed(ctx, body, handlers::list_offsets::handle)
    }),
    Api::new(ApiKey::Metadata, 0, 13, |ctx, body| {
        typed(ctx, body, handlers::metadata::handle)
    }),
    Api::new(ApiKey::FindCoordinator, 0, 6, |ctx, body| {
        typed(ctx, body, handlers::find_coordinator::handle)
    }),
    Api::new(ApiKey::OffsetCommit, 2, 10, |ctx, body| {
        typed(ctx, body, handlers::offsets::offset_commit)
    }),
    Api::new(ApiKey::OffsetFetch, 1, 10, |ctx, body| {
        typed(ctx, body, handlers::offsets::offset_fetch)
    }),
    Api::new(ApiKey::JoinGroup, 0, 9, |ctx, body| {
        typed(ctx, body, handlers::groups::join_group)
    }),
    Api::new(ApiKey::Heartbeat, 0, 4, |ctx, body| {
        typed(ctx, body, handlers::groups::heartbeat)
    }),
    Api::new(ApiKey::LeaveGroup, 0, 5, |ctx, body| {
        typed(ctx, body, handlers::groups::leave_group)
    }),
    Api::new(ApiKey::SyncGroup, 0, 5, |ctx, body| {
        typed(ctx, body, handlers::groups::sync_group)
    }),
    Api::new(ApiKey::DescribeGroups, 0, 6, |ctx, body| {
        typed(ctx, body, handlers::groups::describe_groups)
    }),
    Api::new(ApiKey::ListGroups, 0, 5, |ctx, body| {
        typed(ctx, body, handlers::groups::list_groups)
    }),
    Api::new(ApiKey::ApiVersions, 0, 4, |ctx, body| {
        typed(ctx, body, handlers::api_versions::handle)
    }),
    Api::new(ApiKey::CreateTopics, 2, 7, |ctx, body| {
        typed(ctx, body, handlers::topics::create_topics)
    }),
    Api::new(ApiKey::DeleteTopics, 1, 6, |ctx, body| {
        typed(ctx, body, handlers::topics::delete_topics)
    }),
    Api::new(ApiKey::DeleteRecords, 0, 2, |ctx, body| {
        typed(ctx, body, handlers::delete_records::handle)
    }),
    Api::new(ApiKey::InitProducerId, 0, 5, |ctx, body| {
        typed(ctx, body, handlers::transactions::init_producer_id)
    }),
    Api::new(ApiKey::OffsetForLeaderEpoch, 2, 4, |ctx, body| {
        typed(ctx, body, handlers::offset_for_leader_epoch::handle)
    }),
    Api::new(ApiKey::AddPartitionsToTxn, 0, 5, |ctx, body| {
        typed(ctx, body, handlers::transactions::add_partitions)
    }),
    Api::new(ApiKey::AddOffsetsToTxn, 0, 4, |ctx, body| {
        typed(ctx, body, handlers::transactions::add_offsets)
    }),
    Api::new(ApiKey::EndTxn, 0, 5, |ctx, body| {
        typed(ctx, body, handlers::transactions::end_txn)
    }),
    Api::new(ApiKey::WriteTxnMarkers, 1, 2, |ctx, body| {
        typed(ctx, body, handlers::transactions::write_txn_markers)
    }),
    Api::new(ApiKey::TxnOffsetCommit, 0, 5, |ctx, body| {
        typed(ctx, body, handlers::offsets::txn_offset_commit)
    }),
    Api::new(ApiKey::DescribeAcls, 1, 3, |ctx, body| {
        typed(ctx, body, handlers::acls::describe)
    }),
    Api::new(ApiKey::CreateAcls, 1, 3, |ctx, body| {
        typed(ctx, body, handlers::acls::create)
    }),
    Api::new(ApiKey::DeleteAcls, 1, 3, |ctx, body| {
        typed(ctx, body, handlers::acls::delete)
    }),
    Api::new(ApiKey::DescribeConfigs, 1, 4, |ctx, body| {
        typed(ctx, body, handlers::configs::describe)
    }),
    Api::new(ApiKey::AlterConfigs, 0, 2, |ctx, body| {
        typed(ctx, body, handlers::configs::alter)
    }),
    Api::new(ApiKey::DescribeLogDirs, 1, 5, |ctx, body| {
        typed(ctx, body, handlers::log_dirs::handle)
    }),
    Api::new(ApiKey::CreatePartitions, 0, 3, |ctx, body| {
        typed(ctx, body, handlers::topics::create_partitions)
    }),
    Api::new(ApiKey::DeleteGroups, 0, 2, |ctx, body| {
        typed(ctx, body, handlers::groups::delete_groups)
    }),
    Api::new(ApiKey::ElectLeaders, 0, 2, |ctx, body| {
        typed(ctx, body, handlers::elections::handle)
    }),
    Api::new(ApiKey::IncrementalAlterConfigs, 0, 1, |ctx, body| {
        typed(ctx, body, handlers::configs::incremental_alter)
    }),
    Api::new(ApiKey::ListPartitionReassignments, 0, 0, |ctx, body| {
        typed(ctx, body, handlers::reassignments::handle)
    }),
    Api::new(ApiKey::OffsetDelete, 0, 0, |ctx, body| {
        typed(ctx, body, handlers::offsets::offset_delete)
    }),
    Api::new(ApiKey::DescribeQuorum, 0, 2, |ctx, body| {
        typed(ctx, body, handlers::quorum::handle)
    }),
    Api::new(ApiKey::UpdateFeatures, 0, 2, |ctx, body| {
        typed(ctx, body, handlers::update_features::handle)
    }),
    Api::new(ApiKey::DescribeCluster, 0, 2, |ctx, body| {
        typed(ctx, body, handlers::cluster::handle)
    }),
    Api::new(ApiKey::DescribeProducers, 0, 0, |ctx, body| {
        typed(ctx, body, handlers::transactions::describe_producers)
    }),
    Api::new(ApiKey::DescribeTransactions, 0, 0, |ctx, body| {
        typed(ctx, body, handlers::transactions::describe_transactions)
    }),
    Api::new(ApiKey::ListTransactions, 0, 2, |ctx, body| {
        typed(ctx, body, handlers::transactions::list_transactions)
    }),
    Api::new(ApiKey::DescribeTopicPartitions, 0, 0, |ctx, body| {
        typed(ctx, body, handlers::describe_topic_partitions::handle)
    }),
];

/// The served APIs as a Markdown table, with what Apache Kafka 4.3.1 serves beside.
pub fn coverage_table() -> String {
    let mut table =
        "| key | API | versions | Apache Kafka 4.3.1 |\n| ---: | --- | --- | --- |\n".to_owned();
    for kafka in klamm_codec::apis() {
        // The last version of InitProducerId is unstable (KIP-939), and not advertised by Apache Kafka.
        let is_unstable = kafka.key == ApiKey::InitProducerId as i16;
        let (first, last) = (
            kafka.versions.first,
            kafka.versions.last - i16::from(is_unstable),
        );
        let served = match find(kafka.key) {
            Some(api) => format!("{} to {}", api.min, api.max),
            None => "not yet".to_owned(),
        };
        let _ = writeln!(
            table,
            "| {} | {} | {served} | {first} to {last} |",
            kafka.key, kafka.name
        );
    }
    table
}

/// Decodes the request, runs the handler and encodes what it answers, now or later.
fn typed<Q, R>(ctx: &Ctx<'_>, body: Bytes, handler: impl FnOnce(&Ctx<'_>, Q) -> Reply<R>) -> Handled
where
    Q: RequestBody,
    R: ResponseBody + 'static,
{
    let (version, correlation_id) = (ctx.header.api_version, ctx.header.correlation_id);
    let request = match klamm_codec::decode_request::<Q>(version, body) {
        Ok(request) => request,
        Err(error) => return Handled::Close(error.to_string()),
    };
    let encode = move |response: R| -> Result<Frame, CloseReason> {
        klamm_codec::encode_response(correlation_id, version, &response)
            .map(|frame| vec![Segment::Bytes(frame)])
            .map_err(|error| error.to_string())
    };
    match handler(ctx, request) {
        Reply::Now(response) => match encode(response) {
            Ok(frame) => Handled::Now(frame),
            Err(reason) => Handled::Close(reason),
        },
        Reply::Later(future) => Handled::Later(Box::pin(async move { encode(future.await) })),
        Reply::Silent => Handled::Silent,
        Reply::Close(reason) => Handled::Close(reason.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_knows_its_place() {
        for (place, api) in APIS.iter().enumerate() {
            assert_eq!(api.place(), place);
        }
    }
}

//! The messages that the library reads and writes by itself.
//!
//! The library is at the level of Kafka 4.1. A later version whose bytes equal those of the version before it is passed
//! on under the older number; the versions with other bytes are in [`crate::messages`].

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddRaftVoterRequest, AddRaftVoterResponse,
    AlterClientQuotasRequest, AlterClientQuotasResponse, AlterConfigsRequest, AlterConfigsResponse,
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsResponse, AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse, ApiVersionsRequest, ApiVersionsResponse,
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, CreateAclsRequest, CreateAclsResponse,
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, CreatePartitionsRequest,
    CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteAclsRequest,
    DeleteAclsResponse, DeleteGroupsRequest, DeleteGroupsResponse, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse,
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, DescribeAclsRequest, DescribeAclsResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, DescribeClusterRequest, DescribeClusterResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    DescribeLogDirsRequest, DescribeProducersRequest, DescribeProducersResponse,
    DescribeQuorumRequest, DescribeQuorumResponse, DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, ElectLeadersRequest,
    ElectLeadersResponse, EndTxnRequest, EndTxnResponse, ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, HeartbeatRequest,
    HeartbeatResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    InitProducerIdRequest, InitProducerIdResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, ListConfigResourcesRequest, ListConfigResourcesResponse, ListGroupsRequest,
    ListGroupsResponse, ListOffsetsRequest, ListOffsetsResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, ListTransactionsRequest, ListTransactionsResponse,
    MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, PushTelemetryRequest,
    PushTelemetryResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, RemoveRaftVoterRequest,
    RemoveRaftVoterResponse, RenewDelegationTokenRequest, RenewDelegationTokenResponse,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
    ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse,
    ShareGroupDescribeRequest, ShareGroupDescribeResponse, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse, SyncGroupRequest, SyncGroupResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse, UnregisterBrokerRequest, UnregisterBrokerResponse,
    UpdateFeaturesRequest, UpdateFeaturesResponse, WriteShareGroupStateRequest,
    WriteShareGroupStateResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request};

use crate::message::{BodyError, RequestBody, ResponseBody};

/// A version that the library lacks, and the older one that has the same bytes.
struct Alias {
    api_key: i16,
    version: i16,
    library_version: i16,
}

const REQUEST_ALIASES: [Alias; 4] = [
    // ListOffsets: KIP-1023 gave one more timestamp a meaning.
    Alias {
        api_key: 2,
        version: 11,
        library_version: 10,
    },
    // DescribeLogDirs: the response alone changed.
    Alias {
        api_key: 35,
        version: 5,
        library_version: 4,
    },
    // ReadShareGroupStateSummary and DescribeShareGroupOffsets: KIP-1226 changed the responses alone.
    Alias {
        api_key: 87,
        version: 1,
        library_version: 0,
    },
    Alias {
        api_key: 90,
        version: 1,
        library_version: 0,
    },
];

const RESPONSE_ALIASES: [Alias; 5] = [
    // ListOffsets: as above.
    Alias {
        api_key: 2,
        version: 11,
        library_version: 10,
    },
    // WriteTxnMarkers: KIP-1228 changed the request alone.
    Alias {
        api_key: 27,
        version: 2,
        library_version: 1,
    },
    // ShareFetch: KIP-1206 and KIP-1222 changed the request alone.
    Alias {
        api_key: 78,
        version: 2,
        library_version: 1,
    },
    // AddRaftVoter: the request alone changed.
    Alias {
        api_key: 80,
        version: 1,
        library_version: 0,
    },
    // WriteShareGroupState: KIP-1226 changed the request alone.
    Alias {
        api_key: 85,
        version: 1,
        library_version: 0,
    },
];

/// Reads a body with the library.
pub(crate) fn read_with_library<T: Message + Decodable>(
    api_key: i16,
    version: i16,
    body: &mut Bytes,
) -> Result<T, BodyError> {
    let version = library_version::<T>(&REQUEST_ALIASES, api_key, version)?;
    T::decode(body, version).map_err(|error| BodyError::Refused(error.to_string()))
}

/// The bytes of a body that the library writes.
pub(crate) fn size_with_library<T: Message + Encodable>(
    api_key: i16,
    version: i16,
    message: &T,
) -> Result<usize, BodyError> {
    let version = library_version::<T>(&RESPONSE_ALIASES, api_key, version)?;
    message
        .compute_size(version)
        .map_err(|error| BodyError::Refused(error.to_string()))
}

/// Writes a body with the library.
pub(crate) fn write_with_library<T: Message + Encodable>(
    api_key: i16,
    version: i16,
    message: &T,
    buffer: &mut BytesMut,
) -> Result<(), BodyError> {
    let version = library_version::<T>(&RESPONSE_ALIASES, api_key, version)?;
    message
        .encode(buffer, version)
        .map_err(|error| BodyError::Refused(error.to_string()))
}

/// The version under which a message type of the library has the bytes of `version`.
fn library_version<T: Message>(
    aliases: &[Alias],
    api_key: i16,
    version: i16,
) -> Result<i16, BodyError> {
    let is_known = |version| T::VERSIONS.min <= version && version <= T::VERSIONS.max;
    if is_known(version) {
        return Ok(version);
    }
    aliases
        .iter()
        .find(|alias| alias.api_key == api_key && alias.version == version)
        .map(|alias| alias.library_version)
        .filter(|older| is_known(*older))
        .ok_or(BodyError::UnsupportedVersion)
}

macro_rules! library_requests {
    ($($request:ident,)*) => {$(
        impl RequestBody for $request {
            const API_KEY: i16 = <$request as Request>::KEY;

            fn read(body: &mut Bytes, version: i16) -> Result<Self, BodyError> {
                read_with_library(Self::API_KEY, version, body)
            }
        }
    )*};
}

macro_rules! library_responses {
    ($($request:ident => $response:ident,)*) => {$(
        impl ResponseBody for $response {
            const API_KEY: i16 = <$request as Request>::KEY;

            fn size_bytes(&self, version: i16) -> Result<usize, BodyError> {
                size_with_library(Self::API_KEY, version, self)
            }

            fn write(&self, buffer: &mut BytesMut, version: i16) -> Result<(), BodyError> {
                write_with_library(Self::API_KEY, version, self, buffer)
            }
        }
    )*};
}

library_requests! {
    ListOffsetsRequest,
    MetadataRequest,
    FindCoordinatorRequest,
    JoinGroupRequest,
    HeartbeatRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
    DescribeGroupsRequest,
    ListGroupsRequest,
    SaslHandshakeRequest,
    ApiVersionsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DeleteRecordsRequest,
    InitProducerIdRequest,
    OffsetForLeaderEpochRequest,
    AddPartitionsToTxnRequest,
    AddOffsetsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
    DescribeAclsRequest,
    CreateAclsRequest,
    DeleteAclsRequest,
    DescribeConfigsRequest,
    AlterConfigsRequest,
    AlterReplicaLogDirsRequest,
    DescribeLogDirsRequest,
    SaslAuthenticateRequest,
    CreatePartitionsRequest,
    CreateDelegationTokenRequest,
    RenewDelegationTokenRequest,
    ExpireDelegationTokenRequest,
    DescribeDelegationTokenRequest,
    DeleteGroupsRequest,
    ElectLeadersRequest,
    IncrementalAlterConfigsRequest,
    AlterPartitionReassignmentsRequest,
    ListPartitionReassignmentsRequest,
    OffsetDeleteRequest,
    DescribeClientQuotasRequest,
    AlterClientQuotasRequest,
    DescribeUserScramCredentialsRequest,
    AlterUserScramCredentialsRequest,
    DescribeQuorumRequest,
    UpdateFeaturesRequest,
    DescribeClusterRequest,
    DescribeProducersRequest,
    UnregisterBrokerRequest,
    DescribeTransactionsRequest,
    ListTransactionsRequest,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupDescribeRequest,
    GetTelemetrySubscriptionsRequest,
    PushTelemetryRequest,
    ListConfigResourcesRequest,
    DescribeTopicPartitionsRequest,
    ShareGroupHeartbeatRequest,
    ShareGroupDescribeRequest,
    ShareFetchRequest,
    ShareAcknowledgeRequest,
    AddRaftVoterRequest,
    RemoveRaftVoterRequest,
    InitializeShareGroupStateRequest,
    ReadShareGroupStateRequest,
    WriteShareGroupStateRequest,
    DeleteShareGroupStateRequest,
    ReadShareGroupStateSummaryRequest,
    DescribeShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsRequest,
}

library_responses! {
    ListOffsetsRequest => ListOffsetsResponse,
    MetadataRequest => MetadataResponse,
    OffsetCommitRequest => OffsetCommitResponse,
    OffsetFetchRequest => OffsetFetchResponse,
    FindCoordinatorRequest => FindCoordinatorResponse,
    JoinGroupRequest => JoinGroupResponse,
    HeartbeatRequest => HeartbeatResponse,
    LeaveGroupRequest => LeaveGroupResponse,
    SyncGroupRequest => SyncGroupResponse,
    DescribeGroupsRequest => DescribeGroupsResponse,
    ListGroupsRequest => ListGroupsResponse,
    SaslHandshakeRequest => SaslHandshakeResponse,
    ApiVersionsRequest => ApiVersionsResponse,
    CreateTopicsRequest => CreateTopicsResponse,
    DeleteTopicsRequest => DeleteTopicsResponse,
    DeleteRecordsRequest => DeleteRecordsResponse,
    InitProducerIdRequest => InitProducerIdResponse,
    OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
    AddPartitionsToTxnRequest => AddPartitionsToTxnResponse,
    AddOffsetsToTxnRequest => AddOffsetsToTxnResponse,
    EndTxnRequest => EndTxnResponse,
    WriteTxnMarkersRequest => WriteTxnMarkersResponse,
    TxnOffsetCommitRequest => TxnOffsetCommitResponse,
    DescribeAclsRequest => DescribeAclsResponse,
    CreateAclsRequest => CreateAclsResponse,
    DeleteAclsRequest => DeleteAclsResponse,
    DescribeConfigsRequest => DescribeConfigsResponse,
    AlterConfigsRequest => AlterConfigsResponse,
    AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse,
    SaslAuthenticateRequest => SaslAuthenticateResponse,
    CreatePartitionsRequest => CreatePartitionsResponse,
    CreateDelegationTokenRequest => CreateDelegationTokenResponse,
    RenewDelegationTokenRequest => RenewDelegationTokenResponse,
    ExpireDelegationTokenRequest => ExpireDelegationTokenResponse,
    DescribeDelegationTokenRequest => DescribeDelegationTokenResponse,
    DeleteGroupsRequest => DeleteGroupsResponse,
    ElectLeadersRequest => ElectLeadersResponse,
    IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse,
    ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse,
    OffsetDeleteRequest => OffsetDeleteResponse,
    DescribeClientQuotasRequest => DescribeClientQuotasResponse,
    AlterClientQuotasRequest => AlterClientQuotasResponse,
    DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse,
    AlterUserScramCredentialsRequest => AlterUserScramCredentialsResponse,
    DescribeQuorumRequest => DescribeQuorumResponse,
    UpdateFeaturesRequest => UpdateFeaturesResponse,
    DescribeClusterRequest => DescribeClusterResponse,
    DescribeProducersRequest => DescribeProducersResponse,
    UnregisterBrokerRequest => UnregisterBrokerResponse,
    DescribeTransactionsRequest => DescribeTransactionsResponse,
    ListTransactionsRequest => ListTransactionsResponse,
    ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
    ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse,
    GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse,
    PushTelemetryRequest => PushTelemetryResponse,
    ListConfigResourcesRequest => ListConfigResourcesResponse,
    DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
    ShareGroupHeartbeatRequest => ShareGroupHeartbeatResponse,
    ShareGroupDescribeRequest => ShareGroupDescribeResponse,
    ShareFetchRequest => ShareFetchResponse,
    ShareAcknowledgeRequest => ShareAcknowledgeResponse,
    AddRaftVoterRequest => AddRaftVoterResponse,
    RemoveRaftVoterRequest => RemoveRaftVoterResponse,
    InitializeShareGroupStateRequest => InitializeShareGroupStateResponse,
    ReadShareGroupStateRequest => ReadShareGroupStateResponse,
    WriteShareGroupStateRequest => WriteShareGroupStateResponse,
    DeleteShareGroupStateRequest => DeleteShareGroupStateResponse,
    ReadShareGroupStateSummaryRequest => ReadShareGroupStateSummaryResponse,
    DescribeShareGroupOffsetsRequest => DescribeShareGroupOffsetsResponse,
    AlterShareGroupOffsetsRequest => AlterShareGroupOffsetsResponse,
    DeleteShareGroupOffsetsRequest => DeleteShareGroupOffsetsResponse,
}

//! Responses: whole frames, at every version that the API has.

use bytes::{BufMut, Bytes, BytesMut};
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
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest,
    DescribeProducersResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse, ElectLeadersRequest, ElectLeadersResponse, EndTxnRequest,
    EndTxnResponse, ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse, HeartbeatRequest, HeartbeatResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, InitProducerIdRequest,
    InitProducerIdResponse, InitializeShareGroupStateRequest, InitializeShareGroupStateResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListConfigResourcesRequest, ListConfigResourcesResponse, ListGroupsRequest, ListGroupsResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListPartitionReassignmentsRequest,
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
use kafka_protocol::protocol::{Encodable, HeaderVersion, Message, Request};
use klamm_codec::{EncodeError, encode_response, find_api};

/// Versions of responses that Kafka has, and neither the library nor this crate can write: API key and version.
const MISSING: [(i16, i16); 3] = [(79, 2), (87, 1), (90, 1)];

/// Versions of responses that the library lacks and that go out with the bytes of the version before.
const ALIASES: [(i16, i16); 5] = [(2, 11), (27, 2), (78, 2), (80, 1), (85, 1)];

#[test]
fn every_response_goes_out_at_every_version_with_the_bytes_of_the_library() {
    // An empty response of each type, framed by the codec and by hand around the library's bytes.
    macro_rules! check_each {
        ($($request:ident => $response:ident,)*) => {$(
            check_versions::<$request, $response>(&$response::default());
        )*};
    }
    check_each! {
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
        DescribeLogDirsRequest => DescribeLogDirsResponse,
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
}

fn check_versions<Q, R>(response: &R)
where
    Q: Request,
    R: klamm_codec::ResponseBody + Message + Encodable + HeaderVersion,
{
    assert_eq!(R::API_KEY, Q::KEY);
    let api = find_api(Q::KEY).expect("every type here has a row");
    for version in api.versions.first..=api.versions.last {
        let framed = encode_response(0x0102_0304, version, response);
        if MISSING.contains(&(api.key, version)) {
            assert_eq!(
                framed,
                Err(EncodeError::UnsupportedVersion {
                    api_key: api.key,
                    version
                })
            );
            continue;
        }
        let framed = framed.unwrap_or_else(|error| panic!("{error}"));
        if (api.key, version) != (35, 5) {
            let library_version = if ALIASES.contains(&(api.key, version)) {
                version - 1
            } else {
                version
            };
            assert_eq!(
                framed,
                frame_by_hand(library_version, response),
                "{} {version}",
                api.name
            );
        }
    }
}

fn frame_by_hand<R: Encodable + HeaderVersion>(version: i16, response: &R) -> Bytes {
    let mut content = BytesMut::new();
    content.put_i32(0x0102_0304);
    if R::header_version(version) == 1 {
        content.put_u8(0);
    }
    response
        .encode(&mut content, version)
        .expect("the library has this version");
    let mut frame = BytesMut::new();
    frame.put_i32(content.len() as i32);
    frame.put(content);
    frame.freeze()
}

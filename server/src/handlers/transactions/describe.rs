//! DescribeTransactions, version 0 (KIP-664).
//!
//! Behaviour: one answer for each transactional id, in the order of the request. An empty id is an INVALID_REQUEST, one
//! that nobody has initialized TRANSACTIONAL_ID_NOT_FOUND.

use std::sync::Arc;

use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator::txn::{TransactionDescription, TxnCommand, TxnReply};

use super::state_name;
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::errors::{self, ErrorCode};

/// Answers DescribeTransactions.
pub fn handle(
    ctx: &Ctx<'_>,
    request: DescribeTransactionsRequest,
) -> Reply<DescribeTransactionsResponse> {
    let broker = Arc::clone(ctx.broker);
    Reply::later(async move {
        let mut states = Vec::with_capacity(request.transactional_ids.len());
        for id in request.transactional_ids {
            let state = match describe(&broker, &id).await {
                Ok(description) => described(description),
                Err(error) => TransactionState::default().with_error_code(error.code()),
            };
            states.push(state.with_transactional_id(id));
        }
        DescribeTransactionsResponse::default().with_transaction_states(states)
    })
}

async fn describe(
    broker: &Arc<Broker>,
    id: &TransactionalId,
) -> Result<TransactionDescription, ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let command = TxnCommand::DescribeTransaction {
        transactional_id: id.to_string(),
    };
    match broker.transactions.ask(broker, id, command).await? {
        TxnReply::DescribeTransaction(described) => described.map_err(errors::of_txn_error),
        _ => Err(ErrorCode::UnknownServerError),
    }
}

fn described(description: TransactionDescription) -> TransactionState {
    let mut topics: Vec<TopicData> = Vec::new();
    for partition in description.partitions {
        match topics.last_mut() {
            Some(topic) if topic.topic.as_str() == partition.topic => {
                topic.partitions.push(partition.partition);
            }
            _ => topics.push(
                TopicData::default()
                    .with_topic(TopicName(StrBytes::from_string(partition.topic)))
                    .with_partitions(vec![partition.partition]),
            ),
        }
    }
    TransactionState::default()
        .with_transaction_state(StrBytes::from_static_str(state_name(description.state)))
        .with_transaction_timeout_ms(description.timeout_ms)
        .with_transaction_start_time_ms(description.start_time_ms)
        .with_producer_id(ProducerId(description.producer_id.0))
        .with_producer_epoch(description.producer_epoch)
        .with_topics(topics)
}

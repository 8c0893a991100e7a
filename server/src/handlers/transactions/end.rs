//! EndTxn, versions 0 to 5.
//!
//! Behaviour: the answer leaves when the decision is committed; unless a partition fails it waits for the markers, too,
//! so that the producer's next transaction does not meet the one before.
//!
//! Version notes: below 2 a fenced producer is told INVALID_PRODUCER_EPOCH; 5 brings the epoch (and at times the
//! producer id) to go on with (KIP-890).

use std::sync::Arc;

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};
use klamm_group_coordinator as coordinator;
use klamm_group_coordinator::TransactionOutcome;
use klamm_group_coordinator::txn::{EndTransaction, TxnReply};

use super::code_for;
use crate::api::{Ctx, Reply};
use crate::errors::ErrorCode;

const FIRST_FENCED_VERSION: i16 = 2;
/// First version of clients that speak `transaction.version` 2.
const FIRST_EPOCH_BUMP_VERSION: i16 = 5;

/// Answers EndTxn.
pub fn handle(ctx: &Ctx<'_>, request: EndTxnRequest) -> Reply<EndTxnResponse> {
    let version = ctx.version();
    if request.transactional_id.is_empty() {
        return Reply::Now(refusal(ErrorCode::InvalidRequest));
    }
    let command = EndTransaction {
        transactional_id: request.transactional_id.to_string(),
        producer_id: coordinator::ProducerId(request.producer_id.0),
        producer_epoch: request.producer_epoch,
        outcome: match request.committed {
            true => TransactionOutcome::Committed,
            false => TransactionOutcome::Aborted,
        },
        client_version: if version < FIRST_EPOCH_BUMP_VERSION {
            0
        } else {
            2
        },
        fresh_producer_id: None,
    };
    let broker = Arc::clone(ctx.broker);
    Reply::later(async move {
        match broker.transactions.end_transaction(&broker, command).await {
            Ok(TxnReply::EndTransaction(Ok(identity))) => match identity {
                Some(identity) if version >= FIRST_EPOCH_BUMP_VERSION => EndTxnResponse::default()
                    .with_producer_id(ProducerId(identity.producer_id.0))
                    .with_producer_epoch(identity.producer_epoch),
                _ => EndTxnResponse::default(),
            },
            Ok(TxnReply::EndTransaction(Err(error))) => {
                refusal(code_for(error, version, FIRST_FENCED_VERSION))
            }
            Ok(_) => refusal(ErrorCode::UnknownServerError),
            Err(error) => refusal(error),
        }
    })
}

fn refusal(error: ErrorCode) -> EndTxnResponse {
    EndTxnResponse::default().with_error_code(error.code())
}

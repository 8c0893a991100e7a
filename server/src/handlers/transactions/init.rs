//! InitProducerId, versions 0 to 5 (KIP-98, KIP-360).
//!
//! Behaviour: without a transactional id every request gets a fresh producer id with epoch 0, whatever it held
//! before. With one, the producer takes the id over: an open transaction is aborted first, which the client waits for
//! by asking again (CONCURRENT_TRANSACTIONS). A producer id without an epoch, or the reverse, is an INVALID_REQUEST.
//!
//! Version notes: below 4 a fenced producer is told INVALID_PRODUCER_EPOCH.

use std::sync::Arc;

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use klamm_group_coordinator as coordinator;
use klamm_group_coordinator::txn::{InitProducerId, TxnReply};

use super::code_for;
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::errors::ErrorCode;

const NO_PRODUCER_EPOCH: i16 = -1;
const NO_PRODUCER_ID: ProducerId = ProducerId(-1);
const FIRST_FENCED_VERSION: i16 = 4;

/// Answers InitProducerId.
pub fn handle(ctx: &Ctx<'_>, request: InitProducerIdRequest) -> Reply<InitProducerIdResponse> {
    let expected = match (request.producer_id, request.producer_epoch) {
        (NO_PRODUCER_ID, NO_PRODUCER_EPOCH) => None,
        (NO_PRODUCER_ID, _) | (_, NO_PRODUCER_EPOCH) => {
            return Reply::Now(refusal(ErrorCode::InvalidRequest));
        }
        (id, epoch) => Some((coordinator::ProducerId(id.0), epoch)),
    };
    let broker = Arc::clone(ctx.broker);
    let Some(transactional_id) = request.transactional_id else {
        if let Some(id) = broker.producer_ids.take() {
            return Reply::Now(granted(id, 0));
        }
        return Reply::later(async move {
            match broker.fresh_producer_id().await {
                Ok(id) => granted(id, 0),
                Err(error) => refusal(error),
            }
        });
    };
    if transactional_id.is_empty() {
        return Reply::Now(refusal(ErrorCode::InvalidRequest));
    }
    let command = InitProducerId {
        transactional_id: transactional_id.to_string(),
        timeout_ms: request.transaction_timeout_ms,
        enable_two_phase_commit: request.enable_2_pc,
        keep_prepared: request.keep_prepared_txn,
        expected,
        fresh_producer_id: None,
    };
    let version = ctx.version();
    Reply::later(async move { init(&broker, command, version).await })
}

async fn init(
    broker: &Arc<Broker>,
    command: InitProducerId,
    version: i16,
) -> InitProducerIdResponse {
    match broker.transactions.init_producer_id(broker, command).await {
        Ok(TxnReply::InitProducerId(Ok(identity))) => {
            granted(identity.producer_id.0, identity.producer_epoch)
        }
        Ok(TxnReply::InitProducerId(Err(error))) => {
            refusal(code_for(error, version, FIRST_FENCED_VERSION))
        }
        Ok(_) => refusal(ErrorCode::UnknownServerError),
        Err(error) => refusal(error),
    }
}

fn granted(id: i64, epoch: i16) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(epoch)
}

fn refusal(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(NO_PRODUCER_ID)
        .with_producer_epoch(NO_PRODUCER_EPOCH)
}

//! InitProducerId, versions 0 to 5, for idempotent producers (KIP-98, KIP-360).
//!
//! Behaviour: without a transactional id every request gets a fresh producer id with epoch 0, whatever it held
//! before. A producer id without an epoch, or the reverse, is an INVALID_REQUEST.
//!
//! Not yet: transactional ids, which answer UNSUPPORTED_VERSION.

use std::sync::Arc;

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::api::{Ctx, Reply};
use crate::errors::ErrorCode;

const NO_PRODUCER_EPOCH: i16 = -1;
const NO_PRODUCER_ID: ProducerId = ProducerId(-1);

/// Answers InitProducerId.
pub fn handle(ctx: &Ctx<'_>, request: InitProducerIdRequest) -> Reply<InitProducerIdResponse> {
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH) {
        return Reply::Now(refusal(ErrorCode::InvalidRequest));
    }
    match request.transactional_id.as_ref().map(|id| id.as_str()) {
        None => {}
        Some("") => return Reply::Now(refusal(ErrorCode::InvalidRequest)),
        Some(_) => return Reply::Now(refusal(ErrorCode::UnsupportedVersion)),
    }
    if let Some(id) = ctx.broker.producer_ids.take() {
        return Reply::Now(granted(id));
    }
    let broker = Arc::clone(ctx.broker);
    Reply::blocking(move || {
        match broker
            .producer_ids
            .take_from_new_block(&*broker.metadata, broker.node_id)
        {
            Ok(id) => granted(id),
            Err(error) => {
                tracing::error!(%error, "no block of producer ids could be allocated");
                refusal(ErrorCode::CoordinatorLoadInProgress)
            }
        }
    })
}

fn granted(id: i64) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(0)
}

fn refusal(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(NO_PRODUCER_ID)
        .with_producer_epoch(NO_PRODUCER_EPOCH)
}

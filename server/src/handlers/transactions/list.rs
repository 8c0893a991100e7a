//! ListTransactions, versions 0 to 2 (KIP-664, KIP-994, KIP-1152).
//!
//! Behaviour: every transactional id that passes all filters. State names that do not exist are named in the answer and
//! let nothing pass. The pattern must match the whole id; one that cannot be read is an INVALID_REGULAR_EXPRESSION.
//!
//! Version notes: 1 adds the duration filter, 2 the pattern.

use std::sync::Arc;

use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{
    ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator as coordinator;
use klamm_group_coordinator::txn::{ListTransactions, TransactionListing, TxnCommand, TxnReply};
use regex::{Regex, RegexBuilder};

use super::{state_name, state_named};
use crate::api::{Ctx, Reply};
use crate::errors::ErrorCode;

/// What a compiled pattern may take: it comes from a client.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Answers ListTransactions.
pub fn handle(ctx: &Ctx<'_>, request: ListTransactionsRequest) -> Reply<ListTransactionsResponse> {
    let mut response = ListTransactionsResponse::default();
    let mut states = Vec::new();
    for name in &request.state_filters {
        match state_named(name) {
            Some(state) => states.push(state),
            None if response.unknown_state_filters.contains(name) => {}
            None => response.unknown_state_filters.push(name.clone()),
        }
    }
    let pattern = match request.transactional_id_pattern.as_deref() {
        None | Some("") => None,
        Some(pattern) => match whole_match(pattern) {
            Ok(pattern) => Some(pattern),
            Err(_) => {
                let code = ErrorCode::InvalidRegularExpression.code();
                return Reply::Now(ListTransactionsResponse::default().with_error_code(code));
            }
        },
    };
    let producer_ids = request.producer_id_filters.iter();
    let command = ListTransactions {
        producer_ids: (!request.producer_id_filters.is_empty()).then(|| {
            producer_ids
                .map(|id| coordinator::ProducerId(id.0))
                .collect()
        }),
        states: (!request.state_filters.is_empty()).then_some(states),
        open_longer_than_ms: (request.duration_filter >= 0).then_some(request.duration_filter),
    };
    let broker = Arc::clone(ctx.broker);
    Reply::later(async move {
        let asked = broker
            .transactions
            .submit_to_all(&broker, TxnCommand::ListTransactions(command));
        match asked.await {
            Ok(replies) => {
                let listings = replies.into_iter().flat_map(listings);
                let is_match = |listing: &TransactionListing| {
                    pattern
                        .as_ref()
                        .is_none_or(|pattern| pattern.is_match(&listing.transactional_id))
                };
                response.transaction_states = listings.filter(is_match).map(listed).collect();
                response
            }
            Err(error) => response.with_error_code(error.code().code()),
        }
    })
}

fn whole_match(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
}

fn listings(reply: TxnReply) -> Vec<TransactionListing> {
    match reply {
        TxnReply::ListTransactions(listings) => listings,
        _ => Vec::new(),
    }
}

fn listed(listing: TransactionListing) -> TransactionState {
    TransactionState::default()
        .with_transactional_id(TransactionalId(StrBytes::from_string(
            listing.transactional_id,
        )))
        .with_producer_id(ProducerId(listing.producer_id.0))
        .with_transaction_state(StrBytes::from_static_str(state_name(listing.state)))
}

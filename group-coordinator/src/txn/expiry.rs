//! The end by age: of transactions that stay open for too long, and of transactional ids that nobody uses.

use super::init::fence;
use super::record;
use super::refusal::Refusal;
use super::shard::{TxnShard, TxnTimer};
use super::transaction::{Phase, Transaction, bumps_epochs};
use super::turn::Turn;
use crate::ids::Millis;
use crate::txn::TxnStep;

/// How many transactions one tick ends at most; the next tick follows at once.
const TIMEOUTS_PER_TICK_MAX: usize = 1_000;

/// When to try again to end a transaction that could not be ended. Kafka looks for transactions to end that often.
const RETRY_DELAY_MS: i64 = 10_000;

impl TxnShard {
    /// Aborts transactions that have been open for too long, and forgets expired transactional ids. Call it when
    /// [`TxnShard::next_deadline`] has come; earlier calls do no harm. The records fit into one batch of
    /// `batch_bytes_max`; if there is more to do, the next deadline has come already.
    pub fn tick(&mut self, now: Millis) -> TxnStep {
        let mut turn = Turn::new(now);
        let mark = self.timers.mark();
        for _ in 0..TIMEOUTS_PER_TICK_MAX {
            match self.timers.pop_due(now, mark) {
                Some((TxnTimer::Timeout { transactional_id }, ())) => {
                    self.time_out(&mut turn, &transactional_id);
                }
                Some((TxnTimer::Expiry, ())) => self.expire(&mut turn),
                None => break,
            }
        }
        turn.step
    }

    pub(super) fn schedule_expiry(&mut self, now: Millis) {
        let interval_ms = self.config.transactional_id_expiration_check_interval_ms;
        self.timers
            .schedule(TxnTimer::Expiry, now.plus(interval_ms.max(1)), ());
    }

    /// Aborts a transaction and fences its producer (`abortTimedOutTransactions`).
    fn time_out(&mut self, turn: &mut Turn, transactional_id: &str) {
        let transaction = self
            .transactions
            .get(transactional_id)
            .expect("the timer goes with the transaction");
        assert!(transaction.phase == Phase::Ongoing);
        let version = self.config.transaction_version;
        let reserved = self.reserved_producer_id;
        let uses_reserve = bumps_epochs(version) && transaction.is_exhausted();
        let aborted = fence(transaction, version, reserved, turn.now)
            .and_then(|next| Ok(self.advance(turn, transactional_id, next)?));
        let retry_delay_ms = match aborted {
            Ok(()) => {
                if uses_reserve {
                    self.reserved_producer_id = None;
                }
                return;
            }
            Err(Refusal::NeedsProducerId) => {
                self.lacks_producer_id = true;
                RETRY_DELAY_MS
            }
            // There may be room in the batch of the next tick.
            Err(Refusal::Error(_)) if !turn.step.records.is_empty() => 0,
            Err(Refusal::Error(_)) => RETRY_DELAY_MS,
        };
        let timer = TxnTimer::Timeout {
            transactional_id: transactional_id.to_owned(),
        };
        self.timers
            .schedule(timer, turn.now.plus(retry_delay_ms), ());
    }

    /// Forgets transactional ids that nobody has used for long (`removeExpiredTransactionalIds`), as many as fit
    /// into the batch.
    fn expire(&mut self, turn: &mut Turn) {
        let expiration_ms = self.config.transactional_id_expiration_ms;
        let cutoff_ms = turn.now.0.saturating_sub(expiration_ms);
        let expired: Vec<String> = self
            .transactions
            .iter()
            .filter(|(_, transaction)| has_expired(transaction, cutoff_ms))
            .map(|(transactional_id, _)| transactional_id.clone())
            .collect();
        for transactional_id in expired {
            let tombstone = record::tombstone(&transactional_id);
            match turn.write(vec![tombstone], self.config.batch_bytes_max) {
                Ok(()) => {
                    self.transactions.remove(&transactional_id);
                }
                Err(_) if turn.step.records.is_empty() => {}
                Err(_) => {
                    self.timers.schedule(TxnTimer::Expiry, turn.now, ());
                    return;
                }
            }
        }
        self.schedule_expiry(turn.now);
    }
}

/// Whether nobody has used a transactional id since the cutoff, and no transaction holds it.
fn has_expired(transaction: &Transaction, cutoff_ms: i64) -> bool {
    match transaction.phase {
        Phase::Empty | Phase::Complete(_) => transaction.updated_ms <= cutoff_ms,
        Phase::Ongoing | Phase::Prepared(_) => false,
    }
}

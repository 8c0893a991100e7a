//! Why a command does not do what it asks for.

use crate::txn::TxnError;

/// A refusal changes nothing, unless the command says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Error(TxnError),
    /// The command can be carried out only with a producer id that nobody has.
    NeedsProducerId,
}

impl From<TxnError> for Refusal {
    fn from(error: TxnError) -> Self {
        Self::Error(error)
    }
}

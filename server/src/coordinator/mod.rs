//! Runs the coordinators' state machines: one for each partition of `__consumer_offsets` (groups and their offsets) and
//! one for each of `__transaction_state` (transactions).

mod cell;
mod driver;
mod groups;
mod loader;
mod machine;
mod markers;
mod transactions;
mod verification;

pub use cell::Marker;
pub use driver::{Coordinator, CoordinatorError, partition_for};
pub use groups::{GroupCoordinator, TransactionalCommitError};
pub use markers::append_marker;
pub use transactions::TransactionCoordinator;
pub use verification::{Demand, Manner, Writer};

//! Hands out producer ids from blocks that the cluster never gives twice.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster::changes::next_producer_ids;
use crate::cluster::{MetadataStore, ProposeError};

/// The block that this broker is handing out. A restart begins a new block and leaves the rest of the old one unused,
/// as Kafka does.
#[derive(Debug, Default)]
pub struct ProducerIds {
    block: Mutex<Range<i64>>,
}

/// Why there is no producer id.
#[derive(Debug)]
pub enum ProducerIdError {
    /// The whole range of int64 has been handed out.
    Exhausted,
    Metadata(ProposeError),
}

impl ProducerIds {
    /// The next id, if the block has one left.
    pub fn take(&self) -> Option<i64> {
        self.lock().next()
    }

    /// The next id, from a new block if need be. Blocks on the metadata log.
    ///
    /// # Errors
    /// When no new block could be taken.
    pub fn take_from_new_block(
        &self,
        store: &dyn MetadataStore,
        node_id: i32,
    ) -> Result<i64, ProducerIdError> {
        let mut block = self.lock();
        if let Some(id) = block.next() {
            return Ok(id);
        }
        *block = next_producer_ids(store, node_id)
            .map_err(ProducerIdError::Metadata)?
            .ok_or(ProducerIdError::Exhausted)?;
        block.next().ok_or(ProducerIdError::Exhausted)
    }

    fn lock(&self) -> MutexGuard<'_, Range<i64>> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for ProducerIdError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exhausted => f.write_str("all producer ids have been handed out"),
            Self::Metadata(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProducerIdError {}

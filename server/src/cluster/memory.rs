//! A store that keeps nothing: for brokers that forget everything when they stop, and for tests.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::store::{MetadataStore, Proposal, ProposeError};
use super::view::ClusterImage;

/// Metadata that lives as long as the process.
#[derive(Debug)]
pub struct MemoryMetadataStore {
    /// Held while a proposal is made, so that proposals see each other's effects.
    proposing: Mutex<()>,
    images: watch::Sender<Arc<ClusterImage>>,
}

impl MemoryMetadataStore {
    pub fn new(cluster_id: &str, node_id: i32) -> Self {
        let image = ClusterImage::empty(cluster_id, node_id);
        Self {
            proposing: Mutex::new(()),
            images: watch::Sender::new(Arc::new(image)),
        }
    }
}

impl MetadataStore for MemoryMetadataStore {
    fn image(&self) -> Arc<ClusterImage> {
        Arc::clone(&self.images.borrow())
    }

    fn propose(
        &self,
        change: &mut dyn FnMut(&mut Proposal),
    ) -> Result<Arc<ClusterImage>, ProposeError> {
        // A change that panicked has left the image as it was.
        let _proposing = self
            .proposing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let base = self.image();
        let mut proposal = Proposal::new(&base);
        change(&mut proposal);
        let (records, image) = proposal.finish()?;
        if records.is_empty() {
            return Ok(base);
        }
        let image = Arc::new(image);
        self.images.send_replace(Arc::clone(&image));
        Ok(image)
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterImage>> {
        self.images.subscribe()
    }
}

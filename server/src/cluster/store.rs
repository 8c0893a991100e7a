//! The seam between the cluster view and whatever orders its changes.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::apply::{ApplyError, apply};
use super::record::MetadataRecord;
use super::view::ClusterImage;

/// Orders all changes of the cluster's metadata and keeps them.
///
/// On one node this is a log on disk; in a cluster it is whatever makes the brokers agree. Every method may be called
/// from any thread.
pub trait MetadataStore: Send + Sync {
    /// The newest image. Cheap: a short lock and a reference count.
    fn image(&self) -> Arc<ClusterImage>;

    /// Changes the metadata atomically. `change` sees the newest image, and every record that it pushes is applied to
    /// the draft at once. When it returns, all its records are made durable together, the new image is swapped in, and
    /// that image is returned. With no record pushed nothing is written and the current image comes back.
    ///
    /// Blocks on the disk: call it off the runtime. A store that has to compete with other nodes calls `change` again
    /// on a newer image, so `change` must set, not accumulate, what it hands out.
    fn propose(
        &self,
        change: &mut dyn FnMut(&mut Proposal),
    ) -> Result<Arc<ClusterImage>, ProposeError>;

    /// Sees every image from now on; the last one wins where a watcher is slow.
    fn watch(&self) -> watch::Receiver<Arc<ClusterImage>>;
}

impl dyn MetadataStore + '_ {
    /// [`MetadataStore::propose`] for a change that also has an answer.
    pub fn propose_with<T>(
        &self,
        mut change: impl FnMut(&mut Proposal) -> T,
    ) -> Result<(T, Arc<ClusterImage>), ProposeError> {
        let mut answer = None;
        let image = self.propose(&mut |proposal| answer = Some(change(proposal)))?;
        Ok((
            answer.expect("a store that answers has called the change"),
            image,
        ))
    }
}

/// A change in the making: the newest image with the pushed records already applied.
#[derive(Debug)]
pub struct Proposal {
    image: ClusterImage,
    records: Vec<MetadataRecord>,
    refusal: Option<ApplyError>,
}

impl Proposal {
    pub(super) fn new(base: &ClusterImage) -> Self {
        Self {
            image: base.clone(),
            records: Vec::new(),
            refusal: None,
        }
    }

    /// The image as it will be when this proposal is accepted.
    pub fn image(&self) -> &ClusterImage {
        &self.image
    }

    /// The offset that the next pushed record will have.
    pub fn next_offset(&self) -> i64 {
        self.image.offset + 1
    }

    /// Adds one record. A record that contradicts the image spoils the proposal: the store refuses it as a whole.
    pub fn push(&mut self, record: MetadataRecord) {
        if self.refusal.is_some() {
            return;
        }
        match apply(&mut self.image, &record) {
            Ok(()) => {
                self.image.offset += 1;
                self.records.push(record);
            }
            Err(refusal) => self.refusal = Some(refusal),
        }
    }

    /// The records and the image that they lead to.
    pub(super) fn finish(self) -> Result<(Vec<MetadataRecord>, ClusterImage), ProposeError> {
        match self.refusal {
            Some(refusal) => Err(ProposeError::Contradiction(refusal)),
            None => Ok((self.records, self.image)),
        }
    }
}

/// Why a proposal changed nothing.
#[derive(Debug)]
pub enum ProposeError {
    /// A record does not fit the image: a defect of the proposer.
    Contradiction(ApplyError),
    /// The records together are larger than one batch of the metadata log may be.
    TooLarge { bytes: usize, bytes_max: usize },
    /// The write failed and was taken back; the proposal may be tried again.
    Storage(String),
    /// A failure left the log in an unknown state: nothing is accepted before the disk lets it be repaired. Whether the
    /// change is there after a restart is open until then.
    Failed(String),
}

impl fmt::Display for ProposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contradiction(reason) => {
                write!(f, "metadata change contradicts the image: {reason}")
            }
            Self::TooLarge { bytes, bytes_max } => {
                write!(
                    f,
                    "metadata change of {bytes} bytes is larger than {bytes_max}"
                )
            }
            Self::Storage(reason) => write!(f, "metadata log could not be written: {reason}"),
            Self::Failed(reason) => write!(
                f,
                "metadata log has failed and takes no changes for now: {reason}"
            ),
        }
    }
}

impl std::error::Error for ProposeError {}

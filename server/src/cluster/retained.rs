//! The part of the cluster's metadata that the image only keeps: quotas, ACLs, SCRAM credentials, delegation tokens.
//!
//! Records are kept as they were read, so that a snapshot states them again byte for byte. A later record about the same
//! subject takes the place of the earlier one or removes it.

use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, VectorSync};

use super::record::{Effect, MetadataRecord, RecordError, Subject, effect};

/// Records that stand for themselves. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct RetainedRecords {
    by_subject: RedBlackTreeMapSync<Subject, Arc<Retained>>,
    /// Records of types that this release does not know, in the order of the log: whatever they mean to each other, the
    /// same records in the same order mean it again.
    unknown: VectorSync<Arc<Retained>>,
}

#[derive(Debug)]
struct Retained {
    api_key: u16,
    version: u16,
    body: Vec<u8>,
}

impl RetainedRecords {
    /// Takes in one record of the log.
    ///
    /// # Errors
    /// When the record does not say what it is about.
    pub(super) fn apply(
        &mut self,
        api_key: u16,
        version: u16,
        body: &[u8],
    ) -> Result<(), RecordError> {
        let retained = || {
            Arc::new(Retained {
                api_key,
                version,
                body: body.to_vec(),
            })
        };
        match effect(api_key, body)? {
            Effect::Set(subject) => self.by_subject.insert_mut(subject, retained()),
            Effect::Remove(subject) => {
                self.by_subject.remove_mut(&subject);
            }
            Effect::Unknown => self.unknown.push_back_mut(retained()),
        }
        Ok(())
    }

    /// The records that lead here from nothing.
    pub fn records(&self) -> impl Iterator<Item = MetadataRecord> {
        let record = |retained: &Arc<Retained>| MetadataRecord::Other {
            api_key: retained.api_key,
            version: retained.version,
            body: retained.body.clone(),
        };
        self.by_subject
            .values()
            .chain(self.unknown.iter())
            .map(record)
    }
}

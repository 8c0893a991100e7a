//! Records about partitions.

use uuid::Uuid;

use super::wire::{Reader, RecordError, TaggedFields, Writer};
use crate::cluster::view::PartitionImage;

/// A partition comes into being, or its whole state is restated in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRecord {
    pub partition_id: i32,
    pub topic_id: Uuid,
    pub partition: PartitionImage,
}

impl PartitionRecord {
    pub(super) fn read(input: &mut Reader<'_>, version: u16) -> Result<Self, RecordError> {
        let partition_id = input.int32()?;
        let topic_id = input.uuid()?;
        let mut partition = PartitionImage {
            replicas: input.list(Reader::int32)?,
            isr: input.list(Reader::int32)?,
            removing_replicas: input.list(Reader::int32)?,
            adding_replicas: input.list(Reader::int32)?,
            leader: input.int32()?,
            leader_epoch: input.int32()?,
            partition_epoch: input.int32()?,
            directories: if version >= 1 {
                input.list(Reader::uuid)?
            } else {
                Vec::new()
            },
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            is_recovering: false,
        };
        input.tagged(|tag, value| {
            match tag {
                0 => partition.is_recovering = value.int8()? == 1,
                1 if version >= 2 => {
                    partition.elr = value.nullable_list(Reader::int32)?.unwrap_or_default()
                }
                2 if version >= 2 => {
                    partition.last_known_elr =
                        value.nullable_list(Reader::int32)?.unwrap_or_default()
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self {
            partition_id,
            topic_id,
            partition,
        })
    }

    pub(super) fn write(&self, out: &mut Writer, version: u16) {
        let partition = &self.partition;
        out.int32(self.partition_id);
        out.uuid(self.topic_id);
        out.int32s(&partition.replicas);
        out.int32s(&partition.isr);
        out.int32s(&partition.removing_replicas);
        out.int32s(&partition.adding_replicas);
        out.int32(partition.leader);
        out.int32(partition.leader_epoch);
        out.int32(partition.partition_epoch);
        if version >= 1 {
            out.uuids(&partition.directories);
        }
        let mut tags = TaggedFields::default();
        if partition.is_recovering {
            tags.push(0, |out| out.int8(1));
        }
        if version >= 2 && !partition.elr.is_empty() {
            tags.push(1, |out| out.int32s(&partition.elr));
        }
        if version >= 2 && !partition.last_known_elr.is_empty() {
            tags.push(2, |out| out.int32s(&partition.last_known_elr));
        }
        out.tagged(tags);
    }
}

/// Some fields of a partition change; `None` leaves a field as it is. Naming a leader, even the same one, starts a new
/// leader epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionChangeRecord {
    pub partition_id: i32,
    pub topic_id: Uuid,
    pub isr: Option<Vec<i32>>,
    pub leader: Option<i32>,
    pub replicas: Option<Vec<i32>>,
    pub removing_replicas: Option<Vec<i32>>,
    pub adding_replicas: Option<Vec<i32>>,
    pub is_recovering: Option<bool>,
    pub elr: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
    pub directories: Option<Vec<Uuid>>,
}

/// The leader field of a change that leaves the leader alone.
const NO_LEADER_CHANGE: i32 = -2;

impl PartitionChangeRecord {
    pub(super) fn read(input: &mut Reader<'_>, version: u16) -> Result<Self, RecordError> {
        let mut change = Self {
            partition_id: input.int32()?,
            topic_id: input.uuid()?,
            ..Self::default()
        };
        input.tagged(|tag, value| {
            match tag {
                0 => change.isr = value.nullable_list(Reader::int32)?,
                1 => {
                    change.leader =
                        Some(value.int32()?).filter(|leader| *leader != NO_LEADER_CHANGE)
                }
                2 => change.replicas = value.nullable_list(Reader::int32)?,
                3 => change.removing_replicas = value.nullable_list(Reader::int32)?,
                4 => change.adding_replicas = value.nullable_list(Reader::int32)?,
                5 => {
                    change.is_recovering = Some(value.int8()?)
                        .filter(|state| *state >= 0)
                        .map(|state| state == 1)
                }
                6 if version >= 2 => change.elr = value.nullable_list(Reader::int32)?,
                7 if version >= 2 => change.last_known_elr = value.nullable_list(Reader::int32)?,
                8 if version >= 1 => change.directories = value.nullable_list(Reader::uuid)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(change)
    }

    pub(super) fn write(&self, out: &mut Writer, version: u16) {
        out.int32(self.partition_id);
        out.uuid(self.topic_id);
        let mut tags = TaggedFields::default();
        let int32s = |tags: &mut TaggedFields, tag, list: &Option<Vec<i32>>| {
            if let Some(list) = list {
                tags.push(tag, |out| out.int32s(list));
            }
        };
        int32s(&mut tags, 0, &self.isr);
        if let Some(leader) = self.leader {
            tags.push(1, |out| out.int32(leader));
        }
        int32s(&mut tags, 2, &self.replicas);
        int32s(&mut tags, 3, &self.removing_replicas);
        int32s(&mut tags, 4, &self.adding_replicas);
        if let Some(is_recovering) = self.is_recovering {
            tags.push(5, |out| out.int8(i8::from(is_recovering)));
        }
        if version >= 2 {
            int32s(&mut tags, 6, &self.elr);
            int32s(&mut tags, 7, &self.last_known_elr);
        }
        if version >= 1
            && let Some(directories) = &self.directories
        {
            tags.push(8, |out| out.uuids(directories));
        }
        out.tagged(tags);
    }
}

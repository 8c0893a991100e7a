//! The frame of a metadata record: frame version, type and version as unsigned varints, then the fields
//! (Kafka's `AbstractApiMessageSerde`).

use super::MetadataRecord;
use super::broker::{
    BrokerRegistrationChangeRecord, RegisterBrokerRecord, RegisterControllerRecord,
};
use super::topic::{PartitionChangeRecord, PartitionRecord};
use super::wire::{Reader, RecordError, Writer};

/// The only frame version there is.
const FRAME_VERSION: u32 = 1;

/// Record types by Kafka's numbers.
mod key {
    pub(super) const REGISTER_BROKER: u16 = 0;
    pub(super) const UNREGISTER_BROKER: u16 = 1;
    pub(super) const TOPIC: u16 = 2;
    pub(super) const PARTITION: u16 = 3;
    pub(super) const CONFIG: u16 = 4;
    pub(super) const PARTITION_CHANGE: u16 = 5;
    pub(super) const FENCE_BROKER: u16 = 7;
    pub(super) const UNFENCE_BROKER: u16 = 8;
    pub(super) const REMOVE_TOPIC: u16 = 9;
    pub(super) const FEATURE_LEVEL: u16 = 12;
    pub(super) const PRODUCER_IDS: u16 = 15;
    pub(super) const BROKER_REGISTRATION_CHANGE: u16 = 17;
    pub(super) const NO_OP: u16 = 20;
    pub(super) const ZK_MIGRATION_STATE: u16 = 21;
    pub(super) const BEGIN_TRANSACTION: u16 = 23;
    pub(super) const END_TRANSACTION: u16 = 24;
    pub(super) const ABORT_TRANSACTION: u16 = 25;
    pub(super) const REGISTER_CONTROLLER: u16 = 27;
    pub(super) const CLEAR_ELR: u16 = 28;
}

/// Metadata versions (levels of `metadata.version`) at which record versions change, by Kafka's `MetadataVersion`.
mod level {
    /// 3.4-IV0: RegisterBroker knows migrating brokers.
    pub(super) const MIGRATION: i16 = 8;
    /// 3.7-IV2: replicas are assigned to directories (KIP-858).
    pub(super) const DIRECTORIES: i16 = 17;
    /// 4.0-IV1: eligible leader replicas (KIP-966).
    pub(super) const ELR: i16 = 23;
    /// 4.3-IV0: cordoned log directories (KIP-1066).
    pub(super) const CORDONED_DIRECTORIES: i16 = 30;
}

/// The record's bytes, at the record version that brokers of the given metadata version understand.
pub fn encode(record: &MetadataRecord, metadata_version: i16) -> Vec<u8> {
    let (api_key, version) = key_and_version(record, metadata_version);
    let mut out = Writer::default();
    out.varint(FRAME_VERSION);
    out.varint(u32::from(api_key));
    out.varint(u32::from(version));
    write_body(record, version, &mut out);
    out.bytes
}

fn key_and_version(record: &MetadataRecord, metadata_version: i16) -> (u16, u16) {
    let partition_version = u16::from(metadata_version >= level::DIRECTORIES)
        + u16::from(metadata_version >= level::ELR);
    match record {
        MetadataRecord::RegisterBroker(_) => {
            let version = 1
                + u16::from(metadata_version >= level::MIGRATION)
                + u16::from(metadata_version >= level::DIRECTORIES)
                + u16::from(metadata_version >= level::CORDONED_DIRECTORIES);
            (key::REGISTER_BROKER, version)
        }
        MetadataRecord::UnregisterBroker { .. } => (key::UNREGISTER_BROKER, 0),
        MetadataRecord::BrokerRegistrationChange(change) => {
            (key::BROKER_REGISTRATION_CHANGE, change.version())
        }
        MetadataRecord::RegisterController(_) => (key::REGISTER_CONTROLLER, 0),
        MetadataRecord::Topic { .. } => (key::TOPIC, 0),
        MetadataRecord::Partition(_) => (key::PARTITION, partition_version),
        MetadataRecord::PartitionChange(_) => (key::PARTITION_CHANGE, partition_version),
        MetadataRecord::RemoveTopic { .. } => (key::REMOVE_TOPIC, 0),
        MetadataRecord::Config { .. } => (key::CONFIG, 0),
        MetadataRecord::FeatureLevel { .. } => (key::FEATURE_LEVEL, 0),
        MetadataRecord::ProducerIds { .. } => (key::PRODUCER_IDS, 0),
        MetadataRecord::NoOp => (key::NO_OP, 0),
        MetadataRecord::BeginTransaction { .. } => (key::BEGIN_TRANSACTION, 0),
        MetadataRecord::EndTransaction => (key::END_TRANSACTION, 0),
        MetadataRecord::AbortTransaction { .. } => (key::ABORT_TRANSACTION, 0),
        MetadataRecord::ZkMigrationState { .. } => (key::ZK_MIGRATION_STATE, 0),
        MetadataRecord::ClearElr { .. } => (key::CLEAR_ELR, 0),
        MetadataRecord::Other {
            api_key, version, ..
        } => (*api_key, *version),
    }
}

fn write_body(record: &MetadataRecord, version: u16, out: &mut Writer) {
    match record {
        MetadataRecord::RegisterBroker(record) => return record.write(out, version),
        MetadataRecord::BrokerRegistrationChange(record) => return record.write(out),
        MetadataRecord::RegisterController(record) => return record.write(out),
        MetadataRecord::Partition(record) => return record.write(out, version),
        MetadataRecord::PartitionChange(record) => return record.write(out, version),
        MetadataRecord::BeginTransaction { name: text }
        | MetadataRecord::AbortTransaction { reason: text } => {
            return write_optional_text(text.as_deref(), out);
        }
        MetadataRecord::Other { body, .. } => {
            out.bytes.extend_from_slice(body);
            return;
        }
        MetadataRecord::UnregisterBroker {
            broker_id,
            broker_epoch,
        } => {
            out.int32(*broker_id);
            out.int64(*broker_epoch);
        }
        MetadataRecord::Topic { name, topic_id } => {
            out.string(name);
            out.uuid(*topic_id);
        }
        MetadataRecord::RemoveTopic { topic_id } => out.uuid(*topic_id),
        MetadataRecord::Config {
            resource_type,
            resource_name,
            name,
            value,
        } => {
            out.int8(*resource_type);
            out.string(resource_name);
            out.string(name);
            out.nullable_string(value.as_deref());
        }
        MetadataRecord::FeatureLevel { name, level } => {
            out.string(name);
            out.int16(*level);
        }
        MetadataRecord::ProducerIds {
            broker_id,
            broker_epoch,
            next_producer_id,
        } => {
            out.int32(*broker_id);
            out.int64(*broker_epoch);
            out.int64(*next_producer_id);
        }
        MetadataRecord::NoOp | MetadataRecord::EndTransaction => {}
        MetadataRecord::ZkMigrationState { state } => out.int8(*state),
        MetadataRecord::ClearElr { topic_name } => out.string(topic_name),
    }
    out.no_tags();
}

fn write_optional_text(text: Option<&str>, out: &mut Writer) {
    let mut tags = super::wire::TaggedFields::default();
    if let Some(text) = text {
        tags.push(0, |out| out.string(text));
    }
    out.tagged(tags);
}

/// Reads one record, which must fill `bytes` exactly.
pub fn decode(bytes: &[u8]) -> Result<MetadataRecord, RecordError> {
    let mut input = Reader::new(bytes);
    let frame_version = input.varint()?;
    if frame_version != FRAME_VERSION {
        return Err(RecordError::FrameVersion(frame_version));
    }
    let api_key = u16::try_from(input.varint()?).map_err(|_| RecordError::Varint)?;
    let version = u16::try_from(input.varint()?).map_err(|_| RecordError::Varint)?;
    match version_max(api_key) {
        Some(version_max) if version > version_max => {
            return Err(RecordError::Version { api_key, version });
        }
        Some(_) => {}
        None => {
            return Ok(MetadataRecord::Other {
                api_key,
                version,
                body: input.rest().to_vec(),
            });
        }
    }
    let record = read_body(api_key, version, &mut input)?;
    match input.rest().len() {
        0 => Ok(record),
        bytes => Err(RecordError::Garbage { bytes }),
    }
}

/// The highest version of each record type that is understood; none for types that are kept as bytes.
fn version_max(api_key: u16) -> Option<u16> {
    match api_key {
        key::REGISTER_BROKER => Some(4),
        key::BROKER_REGISTRATION_CHANGE => Some(3),
        key::PARTITION | key::PARTITION_CHANGE => Some(2),
        key::UNREGISTER_BROKER
        | key::TOPIC
        | key::CONFIG
        | key::FENCE_BROKER
        | key::UNFENCE_BROKER
        | key::REMOVE_TOPIC
        | key::FEATURE_LEVEL
        | key::PRODUCER_IDS
        | key::NO_OP
        | key::ZK_MIGRATION_STATE
        | key::BEGIN_TRANSACTION
        | key::END_TRANSACTION
        | key::ABORT_TRANSACTION
        | key::REGISTER_CONTROLLER
        | key::CLEAR_ELR => Some(0),
        _ => None,
    }
}

fn read_body(
    api_key: u16,
    version: u16,
    input: &mut Reader<'_>,
) -> Result<MetadataRecord, RecordError> {
    let record = match api_key {
        key::REGISTER_BROKER => {
            return RegisterBrokerRecord::read(input, version).map(MetadataRecord::RegisterBroker);
        }
        key::BROKER_REGISTRATION_CHANGE => {
            return BrokerRegistrationChangeRecord::read(input, version)
                .map(MetadataRecord::BrokerRegistrationChange);
        }
        key::REGISTER_CONTROLLER => {
            return RegisterControllerRecord::read(input).map(MetadataRecord::RegisterController);
        }
        key::PARTITION => {
            return PartitionRecord::read(input, version).map(MetadataRecord::Partition);
        }
        key::PARTITION_CHANGE => {
            return PartitionChangeRecord::read(input, version)
                .map(MetadataRecord::PartitionChange);
        }
        key::BEGIN_TRANSACTION => {
            return read_optional_text(input).map(|name| MetadataRecord::BeginTransaction { name });
        }
        key::ABORT_TRANSACTION => {
            return read_optional_text(input)
                .map(|reason| MetadataRecord::AbortTransaction { reason });
        }
        key::UNREGISTER_BROKER => MetadataRecord::UnregisterBroker {
            broker_id: input.int32()?,
            broker_epoch: input.int64()?,
        },
        // The two predecessors of BrokerRegistrationChange say the same thing.
        key::FENCE_BROKER | key::UNFENCE_BROKER => {
            MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
                broker_id: input.int32()?,
                broker_epoch: input.int64()?,
                is_fenced: Some(api_key == key::FENCE_BROKER),
                ..BrokerRegistrationChangeRecord::default()
            })
        }
        key::TOPIC => MetadataRecord::Topic {
            name: input.string()?,
            topic_id: input.uuid()?,
        },
        key::REMOVE_TOPIC => MetadataRecord::RemoveTopic {
            topic_id: input.uuid()?,
        },
        key::CONFIG => MetadataRecord::Config {
            resource_type: input.int8()?,
            resource_name: input.string()?,
            name: input.string()?,
            value: input.nullable_string()?,
        },
        key::FEATURE_LEVEL => MetadataRecord::FeatureLevel {
            name: input.string()?,
            level: input.int16()?,
        },
        key::PRODUCER_IDS => MetadataRecord::ProducerIds {
            broker_id: input.int32()?,
            broker_epoch: input.int64()?,
            next_producer_id: input.int64()?,
        },
        key::NO_OP => MetadataRecord::NoOp,
        key::END_TRANSACTION => MetadataRecord::EndTransaction,
        key::CLEAR_ELR => MetadataRecord::ClearElr {
            topic_name: input.string()?,
        },
        key::ZK_MIGRATION_STATE => MetadataRecord::ZkMigrationState {
            state: input.int8()?,
        },
        _ => return Err(RecordError::Version { api_key, version }),
    };
    input.no_tags()?;
    Ok(record)
}

fn read_optional_text(input: &mut Reader<'_>) -> Result<Option<String>, RecordError> {
    let mut text = None;
    input.tagged(|tag, value| {
        if tag == 0 {
            text = value.nullable_string()?;
        }
        Ok(())
    })?;
    Ok(text)
}

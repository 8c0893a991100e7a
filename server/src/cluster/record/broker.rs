//! Records about brokers and controllers.

use uuid::Uuid;

use super::wire::{Reader, RecordError, TaggedFields, Writer};
use crate::cluster::view::Endpoint;

/// A range of levels of a feature that a node supports, both inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedFeature {
    pub name: String,
    pub level_first: i16,
    pub level_last: i16,
}

/// A broker has started a new incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    pub broker_id: i32,
    pub is_migrating_zk_broker: bool,
    pub incarnation_id: Uuid,
    pub broker_epoch: i64,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    pub is_fenced: bool,
    pub is_in_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

impl RegisterBrokerRecord {
    pub(super) fn read(input: &mut Reader<'_>, version: u16) -> Result<Self, RecordError> {
        let broker_id = input.int32()?;
        let is_migrating_zk_broker = version >= 2 && input.boolean()?;
        let mut record = Self {
            broker_id,
            is_migrating_zk_broker,
            incarnation_id: input.uuid()?,
            broker_epoch: input.int64()?,
            endpoints: input.list(read_endpoint)?,
            features: input.list(read_feature)?,
            rack: input.nullable_string()?,
            is_fenced: input.boolean()?,
            is_in_controlled_shutdown: version >= 1 && input.boolean()?,
            log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        };
        input.tagged(|tag, value| {
            match tag {
                0 if version >= 3 => record.log_dirs = value.list(Reader::uuid)?,
                1 if version >= 4 => {
                    record.cordoned_log_dirs = value.nullable_list(Reader::uuid)?
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(record)
    }

    pub(super) fn write(&self, out: &mut Writer, version: u16) {
        out.int32(self.broker_id);
        if version >= 2 {
            out.boolean(self.is_migrating_zk_broker);
        }
        out.uuid(self.incarnation_id);
        out.int64(self.broker_epoch);
        out.list(&self.endpoints, write_endpoint);
        out.list(&self.features, write_feature);
        out.nullable_string(self.rack.as_deref());
        out.boolean(self.is_fenced);
        if version >= 1 {
            out.boolean(self.is_in_controlled_shutdown);
        }
        let mut tags = TaggedFields::default();
        if version >= 3 && !self.log_dirs.is_empty() {
            tags.push(0, |out| out.uuids(&self.log_dirs));
        }
        if version >= 4
            && let Some(cordoned) = &self.cordoned_log_dirs
        {
            tags.push(1, |out| out.uuids(cordoned));
        }
        out.tagged(tags);
    }
}

/// A broker's registration changes; `None` and an empty `log_dirs` leave a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerRegistrationChangeRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
    pub is_fenced: Option<bool>,
    /// Controlled shutdown can only begin; it ends with a new registration.
    pub begins_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

impl BrokerRegistrationChangeRecord {
    /// The lowest version that can carry what changes, which is what Kafka writes.
    pub(super) fn version(&self) -> u16 {
        if self.cordoned_log_dirs.is_some() {
            3
        } else if !self.log_dirs.is_empty() {
            2
        } else {
            u16::from(self.begins_controlled_shutdown)
        }
    }

    pub(super) fn read(input: &mut Reader<'_>, version: u16) -> Result<Self, RecordError> {
        let mut change = Self {
            broker_id: input.int32()?,
            broker_epoch: input.int64()?,
            ..Self::default()
        };
        input.tagged(|tag, value| {
            match tag {
                0 => {
                    change.is_fenced = Some(value.int8()?)
                        .filter(|state| *state != 0)
                        .map(|state| state > 0)
                }
                1 if version >= 1 => change.begins_controlled_shutdown = value.int8()? == 1,
                2 if version >= 2 => change.log_dirs = value.list(Reader::uuid)?,
                3 if version >= 3 => {
                    change.cordoned_log_dirs = value.nullable_list(Reader::uuid)?
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(change)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.int32(self.broker_id);
        out.int64(self.broker_epoch);
        let mut tags = TaggedFields::default();
        if let Some(is_fenced) = self.is_fenced {
            tags.push(0, |out| out.int8(if is_fenced { 1 } else { -1 }));
        }
        if self.begins_controlled_shutdown {
            tags.push(1, |out| out.int8(1));
        }
        if !self.log_dirs.is_empty() {
            tags.push(2, |out| out.uuids(&self.log_dirs));
        }
        if let Some(cordoned) = &self.cordoned_log_dirs {
            tags.push(3, |out| out.uuids(cordoned));
        }
        out.tagged(tags);
    }
}

/// A controller has started a new incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterControllerRecord {
    pub controller_id: i32,
    pub incarnation_id: Uuid,
    pub is_zk_migration_ready: bool,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
}

impl RegisterControllerRecord {
    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, RecordError> {
        let record = Self {
            controller_id: input.int32()?,
            incarnation_id: input.uuid()?,
            is_zk_migration_ready: input.boolean()?,
            endpoints: input.list(read_endpoint)?,
            features: input.list(read_feature)?,
        };
        input.no_tags()?;
        Ok(record)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.int32(self.controller_id);
        out.uuid(self.incarnation_id);
        out.boolean(self.is_zk_migration_ready);
        out.list(&self.endpoints, write_endpoint);
        out.list(&self.features, write_feature);
        out.no_tags();
    }
}

fn read_endpoint(input: &mut Reader<'_>) -> Result<Endpoint, RecordError> {
    let endpoint = Endpoint {
        name: input.string()?,
        host: input.string()?,
        port: input.uint16()?,
        security_protocol: input.int16()?,
    };
    input.no_tags()?;
    Ok(endpoint)
}

fn write_endpoint(out: &mut Writer, endpoint: &Endpoint) {
    out.string(&endpoint.name);
    out.string(&endpoint.host);
    out.uint16(endpoint.port);
    out.int16(endpoint.security_protocol);
    out.no_tags();
}

fn read_feature(input: &mut Reader<'_>) -> Result<SupportedFeature, RecordError> {
    let feature = SupportedFeature {
        name: input.string()?,
        level_first: input.int16()?,
        level_last: input.int16()?,
    };
    input.no_tags()?;
    Ok(feature)
}

fn write_feature(out: &mut Writer, feature: &SupportedFeature) {
    out.string(&feature.name);
    out.int16(feature.level_first);
    out.int16(feature.level_last);
    out.no_tags();
}

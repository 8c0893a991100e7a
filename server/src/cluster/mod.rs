//! The cluster view: brokers, topics, configs and finalized features as one immutable image.
//!
//! Readers take the whole image ([`MetadataStore::image`]) and keep it for the length of a request. Only a
//! [`MetadataStore`] makes a new one: a proposal reads the newest image, appends metadata records, and the image that
//! holds their effects is swapped in once they are durable.
//!
//! - [`view`]: the image; [`apply`]: what a record does to it
//! - [`store`]: the seam; [`memory`] and [`local`] are its two stores
//! - [`changes`]: the proposals that several rooms share (register a broker, create topics, producer id blocks)
//! - [`record`]: Kafka's metadata records and their bytes; [`retained`]: those that the image only keeps
//! - [`restate`]: an image as the records of a snapshot
//! - [`topic_name`]: what a topic may be called

pub mod apply;
pub mod changes;
pub mod local;
pub mod memory;
pub mod record;
pub mod restate;
pub mod retained;
pub mod store;
pub mod topic_name;
pub mod view;

pub use local::LocalMetadataStore;
pub use memory::MemoryMetadataStore;
pub use record::MetadataRecord;
pub use store::{MetadataStore, Proposal, ProposeError};
pub use view::{
    BrokerRegistration, ClusterImage, ConfigResource, Endpoint, FinalizedFeatures, PartitionImage,
    TopicImage,
};

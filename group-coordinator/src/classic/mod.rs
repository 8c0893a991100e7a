//! Groups whose members assign partitions among themselves (KIP-62 and before; static members KIP-345).

mod commit;
mod group;
mod join;
mod member;
mod members;
mod rebalance;
mod subscription;
mod sync;
mod vote;

pub use group::ClassicGroup;

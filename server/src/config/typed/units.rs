//! From the numbers of settings to durations, counts and bounds.

use std::time::Duration;

use crate::config::values::BrokerValues;

/// A duration in milliseconds; below zero counts as zero.
pub(super) fn milliseconds(values: &BrokerValues, name: &str) -> Duration {
    duration_ms(values.integer(name))
}

/// A duration in minutes; below zero counts as zero.
pub(super) fn minutes(values: &BrokerValues, name: &str) -> Duration {
    Duration::from_secs(60 * u64::try_from(values.integer(name)).unwrap_or(0))
}

pub(super) fn duration_ms(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

/// A duration in milliseconds that sets no bound when it is below zero or as large as can be.
pub(super) fn bounded(number: i64) -> Option<Duration> {
    u64::try_from(number)
        .ok()
        .filter(|_| number != i64::MAX)
        .map(Duration::from_millis)
}

/// Bytes or records that set no bound when they are below zero or as many as can be.
pub(super) fn bounded_bytes(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|_| number != i64::MAX)
}

/// A number of things; below zero counts as none.
pub(super) fn count(values: &BrokerValues, name: &str) -> usize {
    usize::try_from(values.integer(name)).unwrap_or(0)
}

/// A number of things that sets no bound when it is as large as an int can be.
pub(super) fn bounded_count(values: &BrokerValues, name: &str) -> Option<usize> {
    Some(count(values, name)).filter(|count| *count != i32::MAX as usize)
}

//! What a coordinator reads from a group's own configs.

use std::time::Duration;

/// The effective configs of one group: its own overrides over the broker's defaults.
///
/// Overrides were checked against the broker's bounds when they were set. Should the bounds have moved since,
/// values outside of them count as the nearest bound, as in Kafka's `GroupConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout: Duration,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval: Duration,
    /// `consumer.assignment.interval.ms`.
    pub consumer_assignment_interval: Duration,
}

//! What a coordinator reads from a group's own configs.

use std::time::Duration;

use super::units::duration_ms;
use crate::config::resolved::GroupValues;
use crate::config::values::BrokerValues;

/// The effective configs of one group: its own overrides over the broker's defaults.
///
/// Overrides were checked against the broker's bounds when they were set. Should the bounds have moved since,
/// values outside of them count as the nearest bound (`GroupConfig.evaluate`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout: Duration,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval: Duration,
    /// `consumer.assignment.interval.ms`.
    pub consumer_assignment_interval: Duration,
}

impl GroupConfig {
    pub(in crate::config) fn new(values: &GroupValues, broker: &BrokerValues) -> Self {
        let within = |name: &str| {
            let bound = |end: &str| broker.integer(&format!("group.consumer.{end}.{name}"));
            let (min, max) = (bound("min"), bound("max"));
            duration_ms(
                values
                    .integer(&format!("consumer.{name}"))
                    .max(min)
                    .min(max),
            )
        };
        Self {
            consumer_session_timeout: within("session.timeout.ms"),
            consumer_heartbeat_interval: within("heartbeat.interval.ms"),
            consumer_assignment_interval: within("assignment.interval.ms"),
        }
    }
}

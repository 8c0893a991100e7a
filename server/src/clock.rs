//! The broker's clock: the only place that reads the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time to everything of one broker. Below the server's edge time is an argument.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Clock {
    /// Milliseconds since the Unix epoch; 0 where the machine's clock stands before it.
    pub fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, millis)
    }
}

/// A duration in milliseconds, as the crates below the server's edge take it; the longest stand for "for ever".
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

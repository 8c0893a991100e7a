//! When the metadata log is made shorter: a snapshot after so many bytes, or after so long a time in which there was any
//! change (`SnapshotGenerator`), and retention when the oldest snapshot comes of age.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Growth, LocalMetadataStore};
use crate::cluster::store::MetadataStore;
use crate::config::MetadataLogConfig;

/// The wait after a failure, for a disk that is full now and may not be later.
const RETRY_WAIT: Duration = Duration::from_secs(60);

/// Longer than any process lives: the moment that never comes.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Snapshot,
    Retention,
}

/// Keeps the log of `store` short until `shutdown`. Sleeps until there is something to do.
pub async fn run(store: Arc<LocalMetadataStore>, shutdown: CancellationToken) {
    let mut images = store.watch();
    let mut last_snapshot = Instant::now();
    let mut not_before = last_snapshot;
    loop {
        images.borrow_and_update();
        let (at, task) = next_task(
            &store.config,
            store.growth(),
            last_snapshot,
            Instant::now(),
            (store.now_ms)(),
        );
        tokio::select! {
            () = sleep_until(at.max(not_before)) => {}
            changed = images.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
            () = shutdown.cancelled() => return,
        }
        let worker = Arc::clone(&store);
        let done = tokio::task::spawn_blocking(move || match task {
            Task::Snapshot => worker.write_snapshot(),
            Task::Retention => worker.apply_retention(),
        });
        match done.await {
            Ok(Ok(())) if task == Task::Snapshot => last_snapshot = Instant::now(),
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(%error, ?task, "the metadata log could not be made shorter");
                not_before = Instant::now() + RETRY_WAIT;
            }
            Err(panic) => {
                warn!(%panic, ?task, "the metadata log could not be made shorter");
                not_before = Instant::now() + RETRY_WAIT;
            }
        }
    }
}

/// What comes next, and when.
fn next_task(
    config: &MetadataLogConfig,
    growth: Growth,
    last_snapshot: Instant,
    now: Instant,
    now_ms: i64,
) -> (Instant, Task) {
    let snapshot_at = match config.snapshot_interval {
        _ if growth.bytes_since_snapshot >= config.snapshot_bytes => now,
        Some(interval) if growth.bytes_since_snapshot > 0 => last_snapshot + interval.min(NEVER),
        _ => now + NEVER,
    };
    let retention_at = match growth.retention_ends_ms {
        // Kept up to the end of that millisecond.
        Some(ends_ms) => {
            let wait_ms = u64::try_from(ends_ms.saturating_sub(now_ms)).map_or(0, |wait| wait + 1);
            now + Duration::from_millis(wait_ms).min(NEVER)
        }
        None => now + NEVER,
    };
    if retention_at < snapshot_at {
        (retention_at, Task::Retention)
    } else {
        (snapshot_at, Task::Snapshot)
    }
}

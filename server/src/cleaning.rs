//! Compacts logs behind the requests: the dirtiest first, `log.cleaner.threads` at a time (Kafka's `LogCleaner` and
//! `LogCleanerManager.grabFilthiestCompactedLog`).

use std::collections::HashSet;
use std::sync::Arc;

use klamm_log_store::partition::{
    CleanError, CleanReport, Cleanable, Cleaner, CleanerSettings, Partition, Throttle,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::broker::Broker;
use crate::config::CleanerConfig;

/// A log, as the log file speaks of it.
type Name = (Arc<str>, i32);

/// What a worker has done.
struct Cleaned {
    name: Name,
    first_dirty_before: klamm_log_store::Offset,
    result: Result<CleanReport, CleanError>,
}

/// Compacts what is due, and looks again every `log.cleaner.backoff.ms`, until `shutdown`.
pub async fn run(broker: Arc<Broker>, shutdown: CancellationToken) {
    let mut rate = broker.config().cleaner.io_bytes_per_second_max;
    let throttle = Arc::new(Throttle::new(rate));
    let hash_seed = rand::random();
    let mut workers: JoinSet<Cleaned> = JoinSet::new();
    // Logs that the last look got nowhere with: they wait for the next one.
    let mut stuck: HashSet<Name> = HashSet::new();
    loop {
        let config = broker.config().cleaner.clone();
        if config.io_bytes_per_second_max.to_bits() != rate.to_bits() {
            rate = config.io_bytes_per_second_max;
            throttle.set_rate(rate);
        }
        while config.enabled && workers.len() < config.threads {
            let now_ms = broker.clock.now_ms();
            let Some((cleanable, name, log)) = dirtiest(&broker, &stuck, now_ms) else {
                break;
            };
            // Whoever is being cleaned is not cleanable; until its worker has begun, this keeps it from being taken twice.
            stuck.insert(name.clone());
            let cleaner = Cleaner {
                settings: settings(&config, hash_seed),
                throttle: Arc::clone(&throttle),
            };
            workers.spawn_blocking(move || Cleaned {
                name,
                first_dirty_before: cleanable.first_dirty,
                result: log.clean(&cleaner, now_ms),
            });
        }
        tokio::select! {
            () = tokio::time::sleep(config.backoff) => {
                if workers.is_empty() {
                    stuck.clear();
                }
            }
            Some(ended) = workers.join_next(), if !workers.is_empty() => match ended {
                Ok(cleaned) => {
                    if cleaned.report() {
                        stuck.remove(&cleaned.name);
                    }
                }
                Err(panic) => warn!(%panic, "a log could not be compacted"),
            },
            () = shutdown.cancelled() => {
                throttle.stop();
                while workers.join_next().await.is_some() {}
                return;
            }
        }
    }
}

fn settings(config: &CleanerConfig, hash_seed: u64) -> CleanerSettings {
    let workers = config.threads.max(1);
    CleanerSettings {
        dedupe_buffer_bytes: config.dedupe_buffer_bytes / workers as u64,
        load_factor: config.load_factor,
        io_buffer_bytes: config.io_buffer_bytes / workers,
        hash_seed,
    }
}

/// The log that is most worth the work, among those for which it is due.
fn dirtiest(
    broker: &Broker,
    stuck: &HashSet<Name>,
    now_ms: i64,
) -> Option<(Cleanable, Name, Arc<Partition>)> {
    broker
        .partitions
        .open_logs()
        .into_iter()
        .filter_map(|(topic, index, log)| {
            let cleanable = log
                .cleanable(now_ms)
                .filter(|cleanable| cleanable.is_due())?;
            let name = (topic, index);
            (!stuck.contains(&name)).then_some((cleanable, name, log))
        })
        .max_by(|(a, ..), (b, ..)| a.dirty_ratio().total_cmp(&b.dirty_ratio()))
}

impl Cleaned {
    /// Tells the log, and returns whether there was progress, so that the log may be looked at again at once.
    fn report(&self) -> bool {
        let (topic, partition) = (&self.name.0, self.name.1);
        match &self.result {
            Ok(report) => {
                info!(
                    %topic,
                    partition,
                    bytes_before = report.bytes_before,
                    bytes_after = report.bytes_after,
                    segments_before = report.segments_before,
                    segments_after = report.segments_after,
                    cleaned_to = report.cleaned_to.0,
                    "compacted"
                );
                report.cleaned_to > self.first_dirty_before
            }
            Err(CleanError::Stopped | CleanError::Busy) => {
                debug!(%topic, partition, "compaction gave way");
                false
            }
            // The log has told why.
            Err(CleanError::Uncleanable(_)) => false,
            Err(error @ (CleanError::Io(_) | CleanError::Offline(_))) => {
                warn!(%topic, partition, %error, "the log could not be compacted and is tried again");
                false
            }
        }
    }
}

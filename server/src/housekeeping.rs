//! Work that comes round again and again behind the requests.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::broker::Broker;

/// Applies retention at `log.retention.check.interval.ms`, notes recovery points at
/// `log.flush.offset.checkpoint.interval.ms`, and forgets idle producers at
/// `producer.id.expiration.check.interval.ms`, until `shutdown`.
pub async fn run(broker: Arc<Broker>, shutdown: CancellationToken) {
    let mut retention = std::pin::pin!(tokio::time::sleep(
        broker.config().log.retention_check_interval
    ));
    let mut checkpoint = std::pin::pin!(tokio::time::sleep(
        broker.config().log.recovery_point_checkpoint_interval
    ));
    let mut expiration = std::pin::pin!(tokio::time::sleep(
        broker.config().producer_id_expiration_check_interval
    ));
    loop {
        let pass: fn(&Broker) = tokio::select! {
            () = retention.as_mut() => {
                retention.as_mut().reset(Instant::now() + broker.config().log.retention_check_interval);
                apply_retention
            }
            () = checkpoint.as_mut() => {
                checkpoint.as_mut().reset(Instant::now() + broker.config().log.recovery_point_checkpoint_interval);
                |broker| broker.partitions.storage.checkpoint()
            }
            () = expiration.as_mut() => {
                expiration.as_mut().reset(Instant::now() + broker.config().producer_id_expiration_check_interval);
                expire_producers
            }
            () = shutdown.cancelled() => return,
        };
        let broker = Arc::clone(&broker);
        if tokio::task::spawn_blocking(move || pass(&broker))
            .await
            .is_err()
        {
            warn!("a round of housekeeping was cut short");
        }
    }
}

fn apply_retention(broker: &Broker) {
    // Logs that nobody has asked for since the start grow old as well.
    broker.open_all_logs();
    let now_ms = broker.clock.now_ms();
    for (topic, index, log) in broker.partitions.open_logs() {
        if let Err(offline) = log.apply_retention(now_ms) {
            warn!(%topic, index, %offline, "retention was not applied");
        }
    }
}

fn expire_producers(broker: &Broker) {
    let now_ms = broker.clock.now_ms();
    for (_, _, log) in broker.partitions.open_logs() {
        log.expire_producers(now_ms);
    }
}

//! The verdict as a short table.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::soak::fate::Fates;
use crate::soak::gauge::Gauge;
use crate::soak::world::World;

/// One line on the way.
pub fn print_progress(world: &World, fates: &Fates, gauge: &Gauge) {
    let last = gauge.samples.last();
    println!(
        "{:>5} s: {} kills, {} clean stops, {} records acknowledged, {} read, {:.1} MiB resident, {} files, {} anomalies",
        world.elapsed().as_secs(),
        fates.kills,
        fates.clean_stops,
        records(world, |ledger| ledger.acked()),
        load(&world.counters.read),
        last.map_or(0.0, |sample| mebibytes(sample.resident_bytes)),
        last.map_or(0, |sample| sample.open_files),
        world.anomalies().count(),
    );
}

pub fn print_verdict(world: &World, fates: &Fates, gauge: &Gauge) {
    let counters = &world.counters;
    for (name, number) in [
        ("seconds", world.elapsed().as_secs()),
        ("kill -9", fates.kills as u64),
        ("kill -9 while starting", fates.kills_while_starting as u64),
        ("clean stops", fates.clean_stops as u64),
        ("records sent", records(world, |ledger| ledger.asked())),
        (
            "records acknowledged",
            records(world, |ledger| ledger.acked()),
        ),
        ("records read and compared", load(&counters.read)),
        ("reads of compacted logs", load(&counters.scans)),
        (
            "transactions committed",
            load(&counters.transactions_committed),
        ),
        ("transactions aborted", load(&counters.transactions_aborted)),
        ("offset commits", load(&counters.commits)),
        ("rebalances", load(&counters.generations)),
        ("topics created", load(&counters.topics_created)),
        ("topics deleted", load(&counters.topics_deleted)),
        ("partitions added", load(&counters.partitions_added)),
        ("config changes", load(&counters.configs_altered)),
        ("DeleteRecords", load(&counters.records_deleted)),
    ] {
        println!("{name:<36} {number:>12}");
    }
    print_server(world, fates, gauge);
    println!("anomalies");
    let anomalies = world.anomalies();
    for (kind, number) in anomalies.by_kind() {
        println!("  {:<34} {number:>12}", kind.name());
    }
    for anomaly in anomalies.stories() {
        println!("! {anomaly}");
    }
}

fn print_server(world: &World, fates: &Fates, gauge: &Gauge) {
    let (mut removed, mut shrunk) = (0, 0);
    for log in &world.logs {
        let files = gauge.files.get(&log.name()).copied().unwrap_or_default();
        removed += files.removed;
        shrunk += files.shrunk;
    }
    println!("{:<36} {removed:>12}", "segments removed or merged");
    println!("{:<36} {shrunk:>12}", "segments shrunk by the cleaner");
    let line = |name: &str, max: String, last: String| {
        println!("{name:<36} {max:>12} max {last:>12} last");
    };
    let mib = |bytes: u64| format!("{:.1} MiB", mebibytes(bytes));
    line("log bytes", mib(gauge.bytes_max), mib(gauge.bytes_last));
    let samples = &gauge.samples;
    let resident_max = samples.iter().map(|it| it.resident_bytes).max();
    let files_max = samples.iter().map(|it| it.open_files).max();
    if let (Some(last), Some(resident_max), Some(files_max)) =
        (samples.last(), resident_max, files_max)
    {
        line(
            "resident memory",
            mib(resident_max),
            mib(last.resident_bytes),
        );
        line(
            "open files",
            files_max.to_string(),
            last.open_files.to_string(),
        );
    }
    for (name, times) in [
        ("start to ready", &fates.starts),
        ("SIGTERM to end", &fates.stops),
    ] {
        if let (Some(max), Some(median)) = (times.iter().max(), median(times)) {
            println!(
                "{name:<36} {:>9} ms max {:>9} ms median",
                max.as_millis(),
                median.as_millis()
            );
        }
    }
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied()
}

fn records(world: &World, count: impl Fn(&crate::soak::ledger::Ledger) -> u64) -> u64 {
    world.logs.iter().map(|log| count(&log.ledger())).sum()
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

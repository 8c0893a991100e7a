//! One run: a server, the actors, what happens to the server, the last checks, the verdict.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::klamm::{Klamm, KlammOptions, Storage};
use crate::soak::admin::Admin;
use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::check::{Bounds, Visibility, check_files, check_resources};
use crate::soak::fate::{Fate, Fates, panics_in};
use crate::soak::gauge::Gauge;
use crate::soak::members::{Group, MEMBERS};
use crate::soak::plan::{Regime, SETTINGS, TOPICS};
use crate::soak::readers::{check_committed, follow, read_whole, scan, scan_once};
use crate::soak::report::{print_progress, print_verdict};
use crate::soak::world::{World, add};
use crate::soak::writers::{write, write_transactions};
use crate::suites::{Failure, Outcome};

/// Storm, calm and checkpoint follow each other in rounds of this time, at most.
const ROUND_MAX: Duration = Duration::from_secs(300);

/// Runs that are shorter do not give retention and the cleaner the time to be judged.
const CLEANING_TIME_MIN: Duration = Duration::from_secs(120);

/// Far above what a healthy server needs for this load.
const BOUNDS: Bounds = Bounds {
    resident_bytes_max: 512 << 20,
    open_files_base: 128,
    open_files_per_segment: 4,
    settled: Duration::from_secs(45),
    growth_bytes_max: 48 << 20,
};

/// What retention leaves of a log at the most generous configs that it is given, and a few segments on top. Without the
/// cleaner a compacted log grows beyond this within minutes.
const LOG_BYTES_MAX: u64 = 12 << 20;

/// `file.delete.delay.ms` is two seconds, or a minute for internal topics.
const TRANSIENT_FILE_AGE_MAX: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Options {
    pub seconds: u64,
    pub seed: u64,
    /// No restarts before the last checks: one long life, to see whether memory or files grow.
    pub is_calm: bool,
    pub binary: Option<PathBuf>,
    pub data: Option<PathBuf>,
}

/// Runs, prints the verdict, and fails when there is any anomaly.
pub fn run(options: &Options) -> Outcome<()> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let home = tempfile::Builder::new().prefix("klamm-soak-").tempdir()?;
    let data = options
        .data
        .clone()
        .unwrap_or_else(|| home.path().join("data"));
    let mut settings = KlammOptions::new(Storage::Directory(data.clone()));
    settings.binary = options.binary.clone();
    for (key, value) in SETTINGS {
        settings = settings.set(key, value);
    }
    let mut server = Klamm::start(settings)?;
    let world = World::new(server.address(), options.seed);
    let mut gauge = Gauge::new(&data);
    let mut admin = Admin::new(&world, fork(&mut random));
    admin
        .prepare()
        .ok_or_else(|| Failure::new("the topics could not be created"))?;
    let mut fate = Fate {
        world: &world,
        server: &mut server,
        gauge: &mut gauge,
        random: fork(&mut random),
        fates: Fates::default(),
    };
    let lived = live(options, &world, admin, &mut fate, &mut random);
    let log = fs::read(fate.log());
    if let Ok(log) = &log {
        world.report(panics_in(&String::from_utf8_lossy(log)));
    }
    let fates = std::mem::take(&mut fate.fates);
    judge_server(&world, &gauge);
    print_verdict(&world, &fates, &gauge);
    lived?;
    log.map_err(|error| Failure::new(error).during("the server's log"))?;
    if world.anomalies().count() == 0 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "there are anomalies (seed {})",
        options.seed
    )))
}

/// A random generator of its own for an actor.
fn fork(random: &mut StdRng) -> StdRng {
    StdRng::seed_from_u64(random.next_u64())
}

/// The load, for as long as asked, then the last checks.
fn live(
    options: &Options,
    world: &World,
    admin: Admin<'_>,
    fate: &mut Fate<'_>,
    random: &mut StdRng,
) -> Outcome<()> {
    let shared = world
        .logs
        .iter()
        .filter(|log| log.topic.regime == Regime::Append);
    let group = Group::new(world, shared.collect());
    let (admin, outcome) = thread::scope(|scope| {
        let group = &group;
        for number in 0..MEMBERS {
            let random = fork(random);
            scope.spawn(move || group.work(number, random));
        }
        for log in &world.logs {
            if log.topic.regime != Regime::Transactional {
                let random = fork(random);
                scope.spawn(move || write(world, log, random));
            }
        }
        for topic in TOPICS {
            let (writer, reader) = (fork(random), fork(random));
            if topic.regime == Regime::Transactional {
                scope.spawn(move || write_transactions(world, topic, writer));
            }
            if topic.is_compacted() {
                scope.spawn(move || scan(world, topic, reader));
            } else {
                scope.spawn(move || follow(world, topic, reader));
            }
        }
        let admin = scope.spawn(move || admin.work());
        let outcome = rounds(options, world, fate);
        if outcome.is_err() {
            world.abandon();
        }
        world.end();
        (admin.join(), outcome)
    });
    outcome?;
    let mut admin = admin.map_err(|_| Failure::new("the administrator panicked"))?;
    check_all(world, &mut admin, &group);
    fate.kill()?;
    check_all(world, &mut admin, &group);
    fate.stop()?;
    check_all(world, &mut admin, &group);
    add(&world.counters.generations, group.generations() as u64);
    Ok(())
}

fn rounds(options: &Options, world: &World, fate: &mut Fate<'_>) -> Outcome<()> {
    let time = Duration::from_secs(options.seconds);
    loop {
        let left = time.saturating_sub(world.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        let round = left.min(ROUND_MAX);
        if options.is_calm {
            fate.watch(round)?;
        } else {
            fate.storm_and_calm(round)?;
        }
        print_progress(world, &fate.fates, fate.gauge);
    }
}

/// Reads everything, with nobody writing.
fn check_all(world: &World, admin: &mut Admin<'_>, group: &Group<'_>) {
    let mut link = world.link("last-reader");
    admin.check();
    group.check(&mut link);
    for log in &world.logs {
        match log.topic.regime {
            Regime::Append => {
                read_whole(world, &mut link, log);
                check_committed(world, &mut link, log);
            }
            Regime::Compacted => {
                scan_once(world, &mut link, log, Visibility::All);
            }
            Regime::Transactional => {
                scan_once(world, &mut link, log, Visibility::All);
                scan_once(world, &mut link, log, Visibility::Committed);
            }
        }
    }
}

/// Memory, files, and whether retention and the cleaner have worked.
fn judge_server(world: &World, gauge: &Gauge) {
    world.report(check_resources(BOUNDS, &gauge.samples));
    if let Some((age, path)) = &gauge.oldest_transient
        && *age > TRANSIENT_FILE_AGE_MAX
    {
        let story = format!("{} for {age:?}", path.display());
        world.report([Anomaly::new(Kind::LeftoverFiles, story)]);
    }
    if world.elapsed() < CLEANING_TIME_MIN {
        return;
    }
    for log in &world.logs {
        let name = log.name();
        let files = gauge.files.get(&name).copied().unwrap_or_default();
        let is_compacted = log.topic.is_compacted();
        world.report(check_files(&name, is_compacted, LOG_BYTES_MAX, files));
    }
}

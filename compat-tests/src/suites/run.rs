//! The order of a run: build, start servers, run tests, try the failed ones once more, compare.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::kafka::KAFKA_VERSION;
use crate::suites::case::{Case, Suite, Verdict};
use crate::suites::compare::{Standing, is_comparable};
use crate::suites::expected::Expected;
use crate::suites::failure::{Failure, Outcome};
use crate::suites::kafka_eos::KAFKA_EOS;
use crate::suites::kgo::KGO;
use crate::suites::librdkafka::LIBRDKAFKA;
use crate::suites::report::{Tally, print_result, print_table};
use crate::suites::rust_tests::{RDKAFKA, RSKAFKA};
use crate::suites::schedule::{Finished, Job, Logs, run_all, run_one};
use crate::suites::server::{Server, ServerKind};
use crate::suites::workshop::Workshop;

/// In the order in which they are built: the Rust suites need the library of the first.
const SUITES: [&dyn Suite; 5] = [&LIBRDKAFKA, &KGO, &RDKAFKA, &RSKAFKA, &KAFKA_EOS];

/// A test that is known not to pass must not hold up the others: without transactions, some wait for minutes.
const PATIENCE_WITH_MISSING: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Options {
    pub server: ServerKind,
    /// Names of suites; empty means all.
    pub only: Vec<String>,
    /// Beginnings of names of tests; empty means all.
    pub tests: Vec<String>,
    /// How many tests run at the same time.
    pub jobs: usize,
    /// A test that takes longer hangs.
    pub patience: Duration,
    /// Also the tests that are marked slow.
    pub all: bool,
    /// Build and stop.
    pub build_only: bool,
    /// Print the tests and stop.
    pub list: bool,
    /// Write what the server gave into the files of expected results.
    pub write_baseline: bool,
}

/// A suite that is built, with what is expected of it.
struct Prepared {
    suite: &'static dyn Suite,
    cases: Vec<Case>,
    expected: Expected,
}

/// Runs the suites and prints the result; an error when anything is not as expected.
pub fn run(options: &Options) -> Outcome<()> {
    if options.write_baseline && options.server != ServerKind::Kafka {
        return Err(Failure::new("only Apache Kafka makes a baseline"));
    }
    let suites = chosen(&options.only)?;
    let workshop = Workshop::open()?;
    let started = Instant::now();
    build(&workshop, &suites)?;
    println!("built in {} s", started.elapsed().as_secs());
    if options.build_only {
        return Ok(());
    }
    let mut prepared = Vec::new();
    for suite in suites {
        let cases = suite.cases(&workshop)?;
        let expected = Expected::load(suite.name())?
            .unwrap_or_else(|| Expected::empty(suite.package(), KAFKA_VERSION));
        prepared.push(Prepared {
            suite,
            cases,
            expected,
        });
    }
    if options.list {
        print_tests(&prepared, options);
        return Ok(());
    }
    run_prepared(&workshop, &mut prepared, options)
}

/// Builds the suites side by side. A suite that cannot be built fails the run.
fn build(workshop: &Workshop, suites: &[&'static dyn Suite]) -> Outcome<()> {
    let outcomes: Vec<Outcome<()>> = std::thread::scope(|scope| {
        let builders: Vec<_> = suites
            .iter()
            .map(|suite| {
                scope.spawn(|| {
                    let started = Instant::now();
                    suite
                        .build(workshop)
                        .map_err(|failure| failure.during(suite.name()))?;
                    let seconds = started.elapsed().as_secs();
                    println!(
                        "{:<11} {} built in {seconds} s",
                        suite.name(),
                        suite.package()
                    );
                    Ok(())
                })
            })
            .collect();
        let joined = builders.into_iter().map(|builder| builder.join());
        joined
            .map(|outcome| outcome.unwrap_or_else(|_| Err(Failure::new("a builder panicked"))))
            .collect()
    });
    outcomes.into_iter().collect()
}

fn run_prepared(workshop: &Workshop, prepared: &mut [Prepared], options: &Options) -> Outcome<()> {
    let logs = Logs {
        folder: workshop.logs().join(options.server.name()),
    };
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut servers = Servers::default();
    let mut jobs = Vec::new();
    for one in prepared.iter() {
        let tally = tallies.entry(one.suite.name()).or_default();
        for case in wanted_cases(one, options, tally) {
            let server = servers.address(options.server, one.suite, case.profile)?;
            jobs.push(job(one, options, case, server));
        }
    }
    let report = |finished: &Finished| {
        let standing = standing(prepared, options, finished);
        // A failure has another chance, and is told of then.
        if standing.is_good() {
            print_result(finished, standing);
        }
    };
    let mut results = run_all(workshop, &logs, options.jobs, jobs, &report)?;
    for result in &mut results {
        let tally = tallies.entry(result.suite).or_default();
        tally.busy += result.took;
        let mut judged = standing(prepared, options, result);
        let was_good = judged.is_good();
        if !was_good && result.verdict == Verdict::Fail {
            let first = result.clone();
            *result = second_attempt(workshop, &logs, prepared, &mut servers, options, &first)?;
            judged = standing(prepared, options, result);
            if judged.is_good() {
                tally.second_attempts += 1;
                println!(
                    "            passed at the second attempt; first: {}",
                    first.log.display()
                );
            }
        }
        if !was_good {
            print_result(result, judged);
        }
        tally.count(judged);
    }
    if options.write_baseline {
        return write_baseline(prepared, options, &results);
    }
    servers.write_logs(&logs)?;
    finish(prepared, options, tallies)
}

/// The tests of a suite that this run is about; counts the others.
fn wanted_cases(one: &Prepared, options: &Options, tally: &mut Tally) -> Vec<Case> {
    let mut wanted = Vec::new();
    for case in one
        .cases
        .iter()
        .filter(|case| is_named(options, &case.name))
    {
        let expectation = one.expected.tests.get(&case.name);
        let is_slow = expectation.is_some_and(|expectation| expectation.slow);
        if !is_comparable(options.server, expectation) {
            tally.not_comparable += 1;
        } else if is_slow && !options.all && options.tests.is_empty() {
            tally.slow += 1;
        } else {
            wanted.push(case.clone());
        }
    }
    wanted
}

fn job(one: &Prepared, options: &Options, case: Case, server: SocketAddr) -> Job<'static> {
    let expectation = one.expected.tests.get(&case.name);
    let is_missing = options.server == ServerKind::Klamm
        && expectation.is_some_and(|expectation| expectation.klamm.is_some());
    Job {
        suite: one.suite,
        server,
        seconds: expectation.map_or(0, |expectation| expectation.seconds),
        patience: if is_missing {
            PATIENCE_WITH_MISSING
        } else {
            options.patience
        },
        case,
    }
}

/// A test that fails beside others is tried again alone: many have deadlines that a busy machine breaks.
fn second_attempt(
    workshop: &Workshop,
    logs: &Logs,
    prepared: &[Prepared],
    servers: &mut Servers,
    options: &Options,
    first: &Finished,
) -> Outcome<Finished> {
    let found = prepared
        .iter()
        .filter(|one| one.suite.name() == first.suite)
        .find_map(|one| {
            let case = one.cases.iter().find(|case| case.name == first.test)?;
            Some((one, case.clone()))
        });
    let (one, case) = found.expect("a result belongs to a case");
    let server = servers.address(options.server, one.suite, case.profile)?;
    run_one(workshop, logs, &job(one, options, case, server), "-again")
}

fn standing(prepared: &[Prepared], options: &Options, finished: &Finished) -> Standing {
    let expectation = prepared
        .iter()
        .find(|one| one.suite.name() == finished.suite)
        .and_then(|one| one.expected.tests.get(&finished.test));
    if options.write_baseline && finished.verdict != Verdict::Fail {
        return Standing::Passed;
    }
    Standing::of(options.server, expectation, finished.verdict)
}

/// Prints the table and the tests that the files know and the suites don't.
fn finish(
    prepared: &[Prepared],
    options: &Options,
    mut tallies: BTreeMap<&str, Tally>,
) -> Outcome<()> {
    for one in prepared {
        let is_a_case = |name: &str| one.cases.iter().any(|case| case.name == name);
        for name in one.expected.tests.keys() {
            if is_named(options, name) && !is_a_case(name) {
                println!(
                    "{:<11} {name:<52} FAIL: the suite has no such test",
                    one.suite.name()
                );
                tallies.entry(one.suite.name()).or_default().failed += 1;
            }
        }
    }
    let rows: Vec<_> = tallies.into_iter().collect();
    print_table(&rows);
    let passed: usize = rows.iter().map(|(_, tally)| tally.passed).sum();
    let failed: usize = rows.iter().map(|(_, tally)| tally.failed).sum();
    println!("{passed} passed, {failed} failed");
    if failed > 0 || passed == 0 {
        return Err(Failure::new("not every test is as expected"));
    }
    Ok(())
}

fn write_baseline(
    prepared: &mut [Prepared],
    options: &Options,
    results: &[Finished],
) -> Outcome<()> {
    for one in prepared {
        let suite = one.suite.name();
        one.expected.package = one.suite.package();
        one.expected.kafka = KAFKA_VERSION.to_owned();
        if options.tests.is_empty() {
            let cases = &one.cases;
            let is_a_case = |name: &String| cases.iter().any(|case| case.name == *name);
            one.expected.tests.retain(|name, _| is_a_case(name));
        }
        for result in results.iter().filter(|result| result.suite == suite) {
            let seconds = result.took.as_secs();
            one.expected.record(&result.test, result.verdict, seconds);
        }
        one.expected.save(suite)?;
        let count = |verdict| {
            let tests = one.expected.tests.values();
            tests.filter(|test| test.kafka == verdict).count()
        };
        println!(
            "{suite:<11} {} pass, {} skip, {} fail on Apache Kafka {KAFKA_VERSION}",
            count(Verdict::Pass),
            count(Verdict::Skip),
            count(Verdict::Fail)
        );
    }
    Ok(())
}

fn print_tests(prepared: &[Prepared], options: &Options) {
    for one in prepared {
        for case in one
            .cases
            .iter()
            .filter(|case| is_named(options, &case.name))
        {
            let expectation = one.expected.tests.get(&case.name);
            let kafka = expectation.map_or("unknown".to_owned(), |it| it.kafka.to_string());
            let missing = expectation.and_then(|it| it.klamm.as_ref());
            let note = expectation.and_then(|it| it.note.as_deref().or(it.race.as_deref()));
            let slow = expectation.is_some_and(|it| it.slow);
            println!(
                "{:<11} {:<52} {kafka:<8}{}{}{}",
                one.suite.name(),
                case.name,
                if slow { "slow " } else { "" },
                note.unwrap_or_default(),
                missing.map_or(String::new(), |it| format!("missing: {}", it.behaviour)),
            );
        }
    }
}

fn is_named(options: &Options, test: &str) -> bool {
    let mut names = options.tests.iter();
    options.tests.is_empty() || names.any(|name| test.starts_with(name.as_str()))
}

fn chosen(only: &[String]) -> Outcome<Vec<&'static dyn Suite>> {
    for name in only {
        if SUITES.iter().all(|suite| suite.name() != name) {
            let names: Vec<&str> = SUITES.iter().map(|suite| suite.name()).collect();
            return Err(Failure::new(format!(
                "no suite {name}; there are {}",
                names.join(", ")
            )));
        }
    }
    let is_chosen =
        |suite: &&dyn Suite| only.is_empty() || only.iter().any(|name| name == suite.name());
    Ok(SUITES.into_iter().filter(is_chosen).collect())
}

/// The servers of this run, started when a test first needs them.
#[derive(Debug, Default)]
struct Servers {
    started: BTreeMap<(&'static str, usize), Server>,
}

impl Servers {
    fn address(
        &mut self,
        kind: ServerKind,
        suite: &'static dyn Suite,
        profile: usize,
    ) -> Outcome<SocketAddr> {
        let key = (suite.name(), profile);
        if let Some(server) = self.started.get(&key) {
            return Ok(server.address());
        }
        let server = Server::start(kind, &suite.profiles()[profile])?;
        let address = server.address();
        self.started.insert(key, server);
        Ok(address)
    }

    /// The ends of the servers' logs, beside those of the tests.
    fn write_logs(&self, logs: &Logs) -> Outcome<()> {
        for ((suite, profile), server) in &self.started {
            let path = logs.folder.join(format!("{suite}-server-{profile}.log"));
            std::fs::write(path, server.log_tail())?;
        }
        Ok(())
    }
}

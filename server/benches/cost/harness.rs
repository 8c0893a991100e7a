//! Runs this very program again under valgrind, once for each benchmark, and reads how many instructions it counted.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Work of which every call costs about the same.
pub type Step = Box<dyn FnMut()>;

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Benchmark {
    pub name: &'static str,
    /// Makes everything that the steps need, which is not counted.
    pub prepare: fn() -> Step,
}

/// Steps before anything is counted, so that what happens once has happened.
const STEPS_BEFORE: u32 = 50;
/// Steps over which instructions are counted.
const STEPS_COUNTED: u32 = 200;
/// How long steps are timed.
const TIMED: Duration = Duration::from_millis(30);
/// Tells the program that it is the one under valgrind. A benchmark's name follows.
const COUNT_FLAG: &str = "--count";
/// The function inside which valgrind counts, as a pattern for its mangled or plain name.
const COUNTED_FUNCTION: &str = "*counted_steps*";
/// What callgrind calls the sum, on its standard error.
const COUNTED_LABEL: &str = "Collected :";
/// Where the last counts are kept.
const LAST_COUNTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/instructions.tsv");

/// Why there is no count.
enum Failure {
    NoValgrind,
    Other(String),
}

/// Runs the benchmarks that the command line asks for.
pub fn run(benchmarks: &[Benchmark]) -> ExitCode {
    // Cargo itself adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let [flag, name] = arguments.as_slice()
        && flag == COUNT_FLAG
    {
        return be_counted(benchmarks, name);
    }
    let is_asked_for = |benchmark: &&Benchmark| {
        arguments.is_empty() || arguments.iter().any(|word| benchmark.name.contains(word))
    };
    let chosen: Vec<&Benchmark> = benchmarks.iter().filter(is_asked_for).collect();
    match report(&chosen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::NoValgrind) => {
            eprintln!(
                "cargo bench counts instructions with valgrind, which is not on the PATH. \
                 Install it (Debian, Ubuntu: apt install valgrind; Fedora: dnf install valgrind) and run again."
            );
            ExitCode::FAILURE
        }
        Err(Failure::Other(reason)) => {
            eprintln!("cargo bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn report(benchmarks: &[&Benchmark]) -> Result<(), Failure> {
    let mut counts = last_counts();
    println!(
        "{:<52} {:>14} {:>9} {:>12}",
        "", "instructions", "change", "time"
    );
    for benchmark in benchmarks {
        let instructions = count(benchmark.name)?;
        let time = time((benchmark.prepare)());
        let change = counts
            .insert(benchmark.name.to_owned(), instructions)
            .map_or_else(String::new, |last| percent(last, instructions));
        println!(
            "{:<52} {instructions:>14} {change:>9} {:>12}",
            benchmark.name,
            format!("{time:.2?}")
        );
    }
    save_counts(&counts).map_err(|error| Failure::Other(format!("{LAST_COUNTS}: {error}")))
}

/// The instructions of one step, as valgrind counts them.
fn count(name: &str) -> Result<u64, Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::Other(format!("no program: {error}")))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={COUNTED_FUNCTION}"))
        .arg(program)
        .args([COUNT_FLAG, name])
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::NoValgrind,
            _ => Failure::Other(format!("valgrind cannot be run: {error}")),
        })?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told
        .lines()
        .find_map(|line| line.split_once(COUNTED_LABEL))
        .and_then(|(_, sum)| sum.trim().parse::<u64>().ok())
        .filter(|sum| output.status.success() && *sum > 0);
    match collected {
        Some(sum) => Ok(sum / u64::from(STEPS_COUNTED)),
        None => Err(Failure::Other(format!(
            "{name}: valgrind ({}) counted nothing:\n{told}",
            output.status
        ))),
    }
}

/// The side under valgrind.
fn be_counted(benchmarks: &[Benchmark], name: &str) -> ExitCode {
    let Some(benchmark) = benchmarks.iter().find(|benchmark| benchmark.name == name) else {
        eprintln!("there is no benchmark {name}");
        return ExitCode::FAILURE;
    };
    let mut step = (benchmark.prepare)();
    for _ in 0..STEPS_BEFORE {
        step();
    }
    counted_steps(&mut *step);
    ExitCode::SUCCESS
}

/// What valgrind knows by its name ([`COUNTED_FUNCTION`]).
#[inline(never)]
fn counted_steps(step: &mut dyn FnMut()) {
    for _ in 0..STEPS_COUNTED {
        step();
    }
}

/// The time of one step.
fn time(mut step: Step) -> Duration {
    for _ in 0..STEPS_BEFORE {
        step();
    }
    let started = Instant::now();
    let mut steps = 0;
    while started.elapsed() < TIMED {
        step();
        steps += 1;
    }
    started.elapsed() / steps
}

fn percent(last: u64, now: u64) -> String {
    let change = (now as f64 / last as f64 - 1.0) * 100.0;
    format!("{change:+.1}%")
}

fn last_counts() -> BTreeMap<String, u64> {
    let Ok(text) = std::fs::read_to_string(LAST_COUNTS) else {
        return BTreeMap::new();
    };
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
        .collect()
}

fn save_counts(counts: &BTreeMap<String, u64>) -> io::Result<()> {
    let path = Path::new(LAST_COUNTS);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let lines: String = counts
        .iter()
        .map(|(name, count)| format!("{name}\t{count}\n"))
        .collect();
    std::fs::write(path, lines)
}

//! Compares a Klamm server with Apache Kafka by seeded random requests.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use klamm_compat_tests::differential::{
    Failure, Filter, SERVED_APIS, Server, Settings, common_ranges, default_expectations,
    differences, generate, load_expectations, now_ms, observe, range_differences, run,
};
use klamm_compat_tests::kafka::KafkaJars;
use klamm_compat_tests::schema::{Schemas, Versions};
use klamm_compat_tests::server_process::answers_api_versions;

/// Sends the same seeded, typed, random requests to two servers and reports the first field of each answer that differs.
#[derive(Debug, Parser)]
struct Arguments {
    /// `kafka`, `klamm`, or the address of a running server. Expected differences name this side's values first.
    #[arg(long, default_value = "kafka")]
    left: String,
    /// `kafka`, `klamm`, or the address of a running server.
    #[arg(long, default_value = "klamm")]
    right: String,
    /// The same seed gives the same requests, as long as both servers announce the same versions.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many requests to compare at least; sequences are not cut off.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Agreement in percent below which the run fails.
    #[arg(long, default_value_t = 99.5)]
    require: f64,
    /// Sequences that run at the same time.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Only families that use one of these APIs, by name (`produce,list_offsets`) or key.
    #[arg(long, value_delimiter = ',')]
    only_api: Vec<String>,
    /// Compare the texts of error messages, too, not only whether there is one.
    #[arg(long)]
    texts: bool,
    /// Also print which error codes each API of the left server has answered, and how often.
    #[arg(long)]
    error_codes: bool,
    /// Fail, too, if the run has not met the versions and error codes that say something about transactions.
    #[arg(long)]
    complete: bool,
    /// Run one sequence and print every request and both answers: `SEED:SEQUENCE`, as in the report.
    #[arg(long)]
    replay: Option<String>,
    /// The list of expected differences.
    #[arg(long, default_value_os_t = default_expectations())]
    expected: PathBuf,
    /// Also write the report to this file.
    #[arg(long)]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    match compare(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("differential: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// True when the servers agree as far as required.
fn compare(arguments: &Arguments) -> Result<bool, Failure> {
    let jars = KafkaJars::locate()?;
    let schemas = Arc::new(Schemas::from_jar(&jars.clients_jar())?);
    let expectations = load_expectations(&arguments.expected)?;
    let filter = Filter {
        only_apis: api_keys(&schemas, &arguments.only_api)?,
    };
    let (left, right) = start_both(arguments, &schemas)?;
    let ranges = common_ranges(&left, &right);

    if let Some(replay) = &arguments.replay {
        return replay_sequence(replay, &left, &right, &filter, arguments.texts);
    }

    let settings = Settings {
        seed: arguments.seed,
        requests: arguments.requests,
        workers: arguments.workers,
        filter,
        compare_texts: arguments.texts,
    };
    let began = Instant::now();
    let report = run(&left, &right, &ranges, &settings, &expectations);
    let mut text = format!(
        "left {}, right {}, seed {}, {:.0} s\n\n",
        left.label,
        right.label,
        arguments.seed,
        began.elapsed().as_secs_f64()
    );
    text.push_str(&report.render(&schemas, &expectations));
    if arguments.error_codes {
        text.push_str(&format!("\n{}", report.coverage().render(&schemas)));
    }
    let gaps = if arguments.complete {
        report.coverage().gaps(&schemas, &ranges)
    } else {
        Vec::new()
    };
    for gap in &gaps {
        text.push_str(&format!("\nnever met: {gap}"));
    }
    let ranges_differ = range_differences(&left, &right);
    for (api_key, left, right) in &ranges_differ {
        let shown = |range: &Option<Versions>| {
            range.map_or_else(|| "nothing".to_owned(), |range| range.to_string())
        };
        text.push_str(&format!(
            "\nannounced versions differ: {} left {} right {}",
            schemas.api_name(*api_key),
            shown(left),
            shown(right)
        ));
    }
    let (agreeing, differing) = report.sequences();
    text.push_str(&format!(
        "\nagreement {:.3} % ({} different), required {} %; sequences:\n{agreeing} passed, {differing} failed\n",
        report.agreement(),
        report.different(),
        arguments.require
    ));
    for server in [&left, &right] {
        if !answers_api_versions(server.address) {
            let log = server.log_tail().unwrap_or_default();
            text.push_str(&format!("{} no longer answers:\n{log}\n", server.label));
        }
    }
    print!("{text}");
    if let Some(path) = &arguments.report {
        std::fs::write(path, &text)?;
    }
    Ok(report.agreement() >= arguments.require && ranges_differ.is_empty() && gaps.is_empty())
}

/// Starting takes seconds, so both start at the same time.
fn start_both(arguments: &Arguments, schemas: &Arc<Schemas>) -> Result<(Server, Server), Failure> {
    std::thread::scope(|scope| {
        let right = scope.spawn(|| Server::start(&arguments.right, schemas, arguments.workers));
        let left = Server::start(&arguments.left, schemas, arguments.workers)?;
        let right = right
            .join()
            .map_err(|_| Failure("the right server could not be started".to_owned()))??;
        Ok((left, right))
    })
}

fn api_keys(schemas: &Schemas, names: &[String]) -> Result<Vec<i16>, Failure> {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let mut keys = BTreeSet::new();
    for name in names {
        let key = SERVED_APIS
            .iter()
            .find(|key| plain(&schemas.api_name(**key)) == plain(name) || key.to_string() == *name);
        keys.insert(*key.ok_or_else(|| Failure(format!("{name} is no API that is compared")))?);
    }
    Ok(keys.into_iter().collect())
}

fn replay_sequence(
    replay: &str,
    left: &Server,
    right: &Server,
    filter: &Filter,
    texts: bool,
) -> Result<bool, Failure> {
    let parsed = replay
        .split_once(':')
        .and_then(|(seed, index)| Some((seed.parse().ok()?, index.parse().ok()?)));
    let Some((seed, index)) = parsed else {
        return Err(Failure(format!("{replay} is not SEED:SEQUENCE")));
    };
    let ranges = common_ranges(left, right);
    let sequence = generate(seed, index, &ranges, now_ms(), filter);
    let (left, right) = observe(left, right, &sequence, 0, texts);
    let mut agree = true;
    for (left, right) in left.iter().zip(&right) {
        println!("step {} api {} v{}", left.step, left.api_key, left.version);
        println!("  request {}", left.request);
        if let Some(damage) = &left.damage {
            println!("  damage  {damage:?}");
        }
        let found = differences(&left.answer, &right.answer);
        if found.is_empty() {
            println!("  both    {}", left.answer);
            continue;
        }
        agree = false;
        println!("  left    {}\n  right   {}", left.answer, right.answer);
        for difference in found {
            println!(
                "  DIFFERS {}: {} / {}",
                difference.path, difference.left, difference.right
            );
        }
    }
    Ok(agree)
}

//! The order of a run, and what all its scenarios share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::scenarios::clients::{CLIENTS, Client, Groups, Transactions};
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::install::{Cache, install};
use crate::scenarios::limits::LIMITS;
use crate::scenarios::report::Report;
use crate::scenarios::server::{Server, ServerKind};
use crate::scenarios::transactions::{self, Ledger};
use crate::scenarios::wire::Wire;
use crate::scenarios::write::Written;
use crate::scenarios::{group, read, restart, seek, write};

/// Any single thing that a client does is over by then, on a machine that does many other things at once.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Records carry times of the last hour: old enough to differ from now, young enough to be kept.
const FIRST_TIMESTAMP_AGE: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub struct Options {
    pub server: ServerKind,
    /// Names of clients; empty means all.
    pub only: Vec<String>,
    pub install_only: bool,
    pub transactions_only: bool,
    /// How many clients are at work at the same time.
    pub jobs: usize,
}

/// What every scenario needs.
#[derive(Debug)]
pub struct Bench {
    pub cache: Cache,
    pub wire: Wire,
    /// Milliseconds since the epoch: the timestamp of the first record of each known set.
    pub first_timestamp: i64,
    logs: PathBuf,
    programs: AtomicUsize,
}

impl Bench {
    pub fn address(&self) -> SocketAddr {
        self.wire.address
    }

    /// Where the next program's standard error goes.
    pub fn stderr_path(&self, client: &Client, verb: &str) -> PathBuf {
        let number = self.programs.fetch_add(1, Ordering::Relaxed);
        self.logs
            .join(format!("{number:03}-{}-{verb}.stderr", client.name))
    }
}

/// Installs the clients, runs all scenarios and prints the result; an error when anything failed.
pub fn run(options: &Options) -> Outcome<()> {
    let clients = chosen(&options.only)?;
    let cache = Cache::open()?;
    let logs = cache.logs(options.server.name());
    let report = Report::new(&logs)?;

    let installed = in_parallel(clients.len(), &clients, |client| {
        report.check(client.name, "install", || install(&cache, client))
    });
    if options.install_only {
        return report.close();
    }
    let clients: Vec<Client> = clients
        .into_iter()
        .zip(installed)
        .filter_map(|(client, installed)| installed.map(|()| client))
        .collect();

    let Some(mut server) = report.check("-", "start the server", || Server::start(options.server))
    else {
        return report.close();
    };
    let bench = Bench {
        cache,
        wire: Wire {
            address: server.address(),
        },
        first_timestamp: now_ms() - millis(FIRST_TIMESTAMP_AGE),
        logs,
        programs: AtomicUsize::new(0),
    };
    run_scenarios(&bench, &report, options, &clients, &mut server);
    report.note(&format!("end of the server's log:\n{}", server.log_tail()));
    report.close()
}

fn run_scenarios(
    bench: &Bench,
    report: &Report,
    options: &Options,
    clients: &[Client],
    server: &mut Server,
) {
    let jobs = options.jobs;
    if !options.transactions_only {
        write_read_and_share(bench, report, jobs, clients);
    }
    let having = |wanted: Transactions| {
        let clients = clients.iter();
        let having = clients.filter(move |client| client.transactions == wanted);
        having.copied().collect::<Vec<Client>>()
    };
    let transactional = having(Transactions::Full);
    let ledgers: Vec<Ledger> = in_parallel(jobs, &transactional, |client| {
        transactions::transact(bench, report, client)
    })
    .into_iter()
    .flatten()
    .collect();
    in_parallel(jobs, having(Transactions::Consumer), |client| {
        report.check(client.name, "read committed transactions", || {
            transactions::read_others(bench, &client, &ledgers)
        });
    });
    live_through_kill(bench, report, options, clients, &transactional, server);
    if let Some(console) = find_console(clients) {
        transactions::change_levels(bench, report, jobs, console, &transactional);
    }
}

fn write_read_and_share(bench: &Bench, report: &Report, jobs: usize, clients: &[Client]) {
    let written: Vec<Written> = in_parallel(jobs, clients, |client| {
        let topic = report.check(client.name, "create a topic", || {
            write::create(bench, client)
        })?;
        report.check(client.name, "write with every codec", || {
            write::write(bench, client, topic)
        })
    })
    .into_iter()
    .flatten()
    .flatten()
    .collect();

    in_parallel(jobs, clients, |client| {
        report.check(client.name, "read what all clients wrote", || {
            read::read(bench, client, &written)
        });
        report.check(client.name, "seek by time", || {
            seek::seek(bench, client, &written)
        });
        if client.groups != Groups::None {
            report.check(client.name, "share a group of two", || {
                group::share(bench, client)
            });
        }
        if client.name == "console" {
            report.check(client.name, "alter and describe a config", || {
                write::alter_config(bench, client)
            });
        }
    });
}

/// One kill for all clients: they take part side by side.
fn live_through_kill(
    bench: &Bench,
    report: &Report,
    options: &Options,
    clients: &[Client],
    transactional: &[Client],
    server: &mut Server,
) {
    let jobs = options.jobs;
    let open = in_parallel(jobs, transactional, |client| {
        (Instant::now(), transactions::arm(bench, client))
    });
    if let Some(console) = find_console(clients) {
        let open: Vec<&transactions::Armed> = open.iter().flat_map(|(_, armed)| armed).collect();
        report.check(console.name, "list and describe transactions", || {
            transactions::inspect(bench, console, &open)
        });
    }
    let streaming: &[Client] = if options.transactions_only {
        &[]
    } else {
        clients
    };
    let armed = in_parallel(jobs, streaming, |client| {
        let started = Instant::now();
        (*client, started, restart::arm(bench, client))
    });
    let streaming = in_parallel(jobs, armed, |(client, started, armed)| {
        let streaming = armed.and_then(|armed| restart::stream(bench, armed));
        (client, started, streaming)
    });
    report.check("-", "kill -9 and restart the server", || {
        server.kill_and_restart()
    });
    in_parallel(clients.len(), streaming, |(client, started, streaming)| {
        restart::finish(bench, report, client, started, streaming);
    });
    let open = transactional.iter().zip(open);
    in_parallel(clients.len(), open, |(client, (started, armed))| {
        let recovered = armed
            .map_err(|failure| failure.during("before the kill"))
            .and_then(|armed| transactions::recover(bench, client, armed));
        let scenario = "recover a transaction after kill -9";
        report.record(client.name, scenario, started, recovered)
    });
}

/// The console tools, when they are among the chosen clients.
fn find_console(clients: &[Client]) -> Option<&Client> {
    clients.iter().find(|client| client.name == "console")
}

/// Prints what is not asked of which client.
pub fn print_limits() {
    for limit in LIMITS {
        println!(
            "{:<16} {:<8} {:<18} {}",
            limit.client,
            format!("{:?}", limit.side).to_lowercase(),
            format!("{:?}", limit.gap),
            limit.reason
        );
    }
}

fn chosen(only: &[String]) -> Outcome<Vec<Client>> {
    for name in only {
        if !CLIENTS.iter().any(|client| client.name == name) {
            let names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
            return Err(Failure::new(format!(
                "no client {name}; there are {}",
                names.join(", ")
            )));
        }
    }
    Ok(CLIENTS
        .into_iter()
        .filter(|client| only.is_empty() || only.iter().any(|name| name == client.name))
        .collect())
}

/// Calls `work` for every item on at most `jobs` threads; the results come in the order of the items.
pub fn in_parallel<I, T: Send, R: Send>(
    jobs: usize,
    items: I,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R>
where
    I: IntoIterator<Item = T>,
{
    let (waiting, results): (Vec<_>, Vec<_>) = items
        .into_iter()
        .map(|item| (Mutex::new(Some(item)), Mutex::new(None)))
        .unzip();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, waiting.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = waiting.get(index) else {
                        return;
                    };
                    let item = slot.lock().expect("taken once").take();
                    let result = work(item.expect("each index is handed out once"));
                    *results[index].lock().expect("set once") = Some(result);
                }
            });
        }
    });
    results
        .into_iter()
        .map(|slot| {
            slot.into_inner()
                .expect("set once")
                .expect("every item ran")
        })
        .collect()
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    millis(elapsed.expect("the clock is past 1970"))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("the clock is before the year 292277026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let doubled = in_parallel(3, 0..100, |number| number * 2);
        assert_eq!(
            doubled,
            (0..100).map(|number| number * 2).collect::<Vec<_>>()
        );
    }
}

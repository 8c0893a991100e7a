//! How long a server is away after `kill -9` when its disk holds a lot, and how much of that it reads again.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::bench::batch;
use crate::bench::connection::Connection;
use crate::bench::messages::{self, Acks};
use crate::bench::process::Process;
use crate::klamm::{Klamm, KlammOptions, Storage};
use crate::suites::{Failure, Outcome};

/// Partitions of one topic, so that one request can ask for them all.
const TOPIC_PARTITIONS: usize = 100;
/// What a busy producer makes with Kafka's default `batch.size`.
const BATCH_RECORDS: usize = 16;
const VALUE_BYTES: usize = 1_000;
/// Batches of one request: about a megabyte.
const REQUEST_PARTITIONS: usize = 50;
const WRITERS: usize = 2;
const IN_FLIGHT: usize = 4;
const INPUT_BYTES: usize = 64 << 10;
/// Partitions that are asked right after the start.
const PROBES: usize = 40;
const FETCH_BYTES_MAX: i32 = 64 << 10;
/// `log.flush.offset.checkpoint.interval.ms` of the run; Kafka's default is a minute.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const CHECKING_PATIENCE: Duration = Duration::from_secs(600);
const SEED: u64 = 5;

#[derive(Debug)]
pub struct Options {
    pub gigabytes: usize,
    pub partitions: usize,
    /// Where the data goes for the time of the run; the system's temporary folder if not given.
    pub folder: Option<PathBuf>,
}

/// What one start came to.
#[derive(Debug)]
struct Start {
    what: &'static str,
    first_answer: Duration,
    /// From the start until partitions of every topic have answered Produce and Fetch.
    partitions_answered: Duration,
    slowest_answer: Duration,
    checked: Duration,
    bytes_read: u64,
}

/// Fills a server, kills it in three states, and prints what each start took.
pub fn run(options: &Options) -> Outcome<()> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("klamm-restart-");
    let home = match &options.folder {
        Some(folder) => builder.tempdir_in(folder)?,
        None => builder.tempdir()?,
    };
    let metrics = free_address()?;
    let interval_ms = CHECKPOINT_INTERVAL.as_millis().to_string();
    let settings = KlammOptions::new(Storage::Directory(home.path().join("data")))
        .set("log.flush.offset.checkpoint.interval.ms", &interval_ms)
        .set("klamm.metrics.listener", &metrics.to_string());
    let mut site = Site {
        server: Klamm::start(settings)?,
        metrics,
        topics: options.partitions.div_ceil(TOPIC_PARTITIONS),
    };
    let began = Instant::now();
    site.create_topics()?;
    println!(
        "{} partitions created in {:.1} s",
        site.topics * TOPIC_PARTITIONS,
        began.elapsed().as_secs_f64()
    );
    let began = Instant::now();
    let bytes = site.fill((options.gigabytes as u64) << 30, Acks::Leader)?;
    println!(
        "{:.1} GB in {} partitions, written in {:.1} s",
        bytes as f64 / 1e9,
        site.topics * TOPIC_PARTITIONS,
        began.elapsed().as_secs_f64()
    );
    let mut starts = vec![site.kill_and_start("kill -9, nothing of it synced")?];
    println!("{}", starts[0]);
    // The check has synced what it found; this many seconds later the recovery points say so.
    thread::sleep(2 * CHECKPOINT_INTERVAL);
    starts.push(site.kill_and_start("kill -9, recovery points at the end")?);
    println!("{}", starts[1]);
    let began = Instant::now();
    site.server.terminate()?;
    println!("stopped in {:.1} s", began.elapsed().as_secs_f64());
    site.server.restart()?;
    site.fill(bytes / 100, Acks::All)?;
    starts.push(site.kill_and_start("kill -9 after a clean stop and 1 % more")?);
    println!("{}", starts[2]);
    Ok(())
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut line = String::new();
        write!(
            line,
            "{}: first answer {} ms, {PROBES} partitions written and read after {} ms (slowest answer {} ms), \
             all checked after {:.1} s, {:.1} MB read",
            self.what,
            self.first_answer.as_millis(),
            self.partitions_answered.as_millis(),
            self.slowest_answer.as_millis(),
            self.checked.as_secs_f64(),
            self.bytes_read as f64 / 1e6
        )?;
        f.write_str(&line)
    }
}

struct Site {
    server: Klamm,
    metrics: SocketAddr,
    topics: usize,
}

impl Site {
    fn connect(&self) -> Outcome<Connection> {
        Connection::open(self.server.address(), INPUT_BYTES)
    }

    fn create_topics(&self) -> Outcome<()> {
        let mut connection = self.connect()?;
        for topic in 0..self.topics {
            let request = messages::create_topic(&topic_name(topic), TOPIC_PARTITIONS, &[]);
            messages::check_created(connection.ask(&request)?)?;
        }
        Ok(())
    }

    /// Writes as many bytes, round and round over all partitions, and returns how many it was.
    fn fill(&self, bytes: u64, acks: Acks) -> Outcome<u64> {
        let records = batch::batch(BATCH_RECORDS, VALUE_BYTES);
        let frames = self.frames(&records, acks);
        let request_bytes = (records.len() * REQUEST_PARTITIONS) as u64;
        let requests = usize::try_from(bytes.div_ceil(request_bytes)).map_err(Failure::new)?;
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let write = || -> Outcome<()> {
                let mut connection = self.connect()?;
                let mut in_flight = 0;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number < requests {
                        connection.send(&frames[number % frames.len()])?;
                        in_flight += 1;
                    } else if in_flight == 0 {
                        return Ok(());
                    }
                    if in_flight == IN_FLIGHT || number >= requests {
                        messages::check_produced(connection.receive()?)?;
                        in_flight -= 1;
                    }
                }
            };
            let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
            writers.into_iter().try_for_each(|writer| {
                let joined = writer.join();
                joined.map_err(|_| Failure::new("a writer panicked"))?
            })
        })?;
        Ok(requests as u64 * request_bytes)
    }

    fn frames(&self, records: &[u8], acks: Acks) -> Vec<Vec<u8>> {
        let indexes: Vec<usize> = (0..TOPIC_PARTITIONS).collect();
        (0..self.topics)
            .flat_map(|topic| {
                let frame = move |indexes: &[usize]| {
                    let batches: Vec<_> = indexes.iter().map(|index| (*index, records)).collect();
                    messages::produce_with(acks, &topic_name(topic), &batches)
                };
                indexes
                    .chunks(REQUEST_PARTITIONS)
                    .map(frame)
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn kill_and_start(&mut self, what: &'static str) -> Outcome<Start> {
        self.server.kill()?;
        let began = Instant::now();
        self.server.restart()?;
        let mut connection = self.connect()?;
        let first_answer = began.elapsed();
        let slowest_answer = self.ask_around(&mut connection)?;
        let partitions_answered = began.elapsed();
        let partitions = self.topics * TOPIC_PARTITIONS;
        while self.open_partitions()? < partitions {
            if began.elapsed() > CHECKING_PATIENCE {
                return Err(Failure::new("the logs are not all open"));
            }
            thread::sleep(LOOK_AGAIN);
        }
        let checked = began.elapsed();
        let process = Process {
            pid: self.server.pid(),
        };
        Ok(Start {
            what,
            first_answer,
            partitions_answered,
            slowest_answer,
            checked,
            bytes_read: process.bytes_read()?,
        })
    }

    /// Writes to partitions all over and reads from others, and returns how long the slowest answer took.
    fn ask_around(&self, connection: &mut Connection) -> Outcome<Duration> {
        let records = batch::batch(1, VALUE_BYTES);
        let mut random = StdRng::seed_from_u64(SEED);
        let mut slowest = Duration::ZERO;
        for number in 0..PROBES {
            let topic = topic_name(number % self.topics);
            let index = random.random_range(0..TOPIC_PARTITIONS);
            let began = Instant::now();
            let produce = messages::produce(&topic, &[(index, &records)]);
            messages::check_produced(connection.ask(&produce)?)?;
            let fetch = messages::fetch(&topic, &[(index, 0)], FETCH_BYTES_MAX);
            if messages::check_fetched(connection.ask(&fetch)?)?.record_bytes == 0 {
                return Err(Failure::new(format!(
                    "{topic}-{index} has lost its records"
                )));
            }
            slowest = slowest.max(began.elapsed());
        }
        Ok(slowest)
    }

    fn open_partitions(&self) -> Outcome<usize> {
        let mut stream = TcpStream::connect(self.metrics)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: klamm\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        text.lines()
            .find_map(|line| line.strip_prefix("klamm_partitions_open "))
            .and_then(|count| count.trim().parse().ok())
            .ok_or_else(|| Failure::new("the metrics do not tell how many partitions are open"))
    }
}

fn topic_name(number: usize) -> String {
    format!("years-{number}")
}

/// An address that nobody listens on just now.
fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

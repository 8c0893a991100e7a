//! A process that may not open another file.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::faults::ordeal::{Disks, Ordeal};
use crate::faults::probe::Probe;
use crate::suites::{Failure, Outcome};

const DISK_MEGABYTES: usize = 32;
const RECORD_BYTES: usize = 100_000;
/// Small segments: the log needs new files soon.
const SETTINGS: [(&str, &str); 1] = [("log.segment.bytes", "1048576")];
/// Below what is open already, so that no file at all can be opened.
const FILES: u64 = 3;
/// A connection that nobody accepts does not answer for so long.
const SILENCE: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(15);
/// ApiVersions version 0: size 10, key 18, version 0, correlation id 7, no client id.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Logs that are open are served, one that needs a new file is refused, nobody is accepted; and all of it is over when
/// files can be opened again, for those as well who have been waiting to be accepted.
pub fn run_out() -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::Two, DISK_MEGABYTES, &SETTINGS)?;
    let pid = i32::try_from(ordeal.server.pid())
        .ok()
        .and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::new("the server has no process id"))?;
    let hard = getrlimit(Resource::Nofile).maximum;
    let allow = |files: u64| {
        let limit = Rlimit {
            current: Some(files),
            maximum: hard,
        };
        prlimit(Some(pid), Resource::Nofile, limit).map_err(Failure::new)
    };
    let before = allow(FILES)?;
    let mut waiting = TcpStream::connect(ordeal.server.address())?;
    waiting.set_read_timeout(Some(SILENCE))?;
    waiting.write_all(&API_VERSIONS)?;
    let mut answer = [0; 4];
    match waiting.read(&mut answer) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
        other => {
            return Err(Failure::new(format!(
                "a connection without a file for it is answered: {other:?}"
            )));
        }
    }
    ordeal.is_refused(RECORD_BYTES)?;
    allow(before.current.unwrap_or(FILES))?;
    waiting.set_read_timeout(Some(PATIENCE))?;
    waiting
        .read_exact(&mut answer)
        .map_err(|error| Failure::from(error).during("the connection that had to wait"))?;
    Probe::new(ordeal.server.address())
        .fetch(&ordeal.sick, 0)?
        .ok();
    ordeal.finish()
}

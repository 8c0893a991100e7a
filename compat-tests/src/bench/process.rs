//! What a server process costs, from `/proc`.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Failure, Outcome};

/// A process to be watched from outside.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pub pid: u32,
}

/// CPU time at some moment.
#[derive(Debug, Clone, Copy)]
pub struct CpuMark {
    all: Duration,
    living: Duration,
}

impl Process {
    /// User and system time of all threads, ended ones included. Resolves one tick (usually 10 ms).
    pub fn cpu(self) -> Outcome<Duration> {
        let stat = self.read("stat")?;
        // The name in parentheses may contain anything; the fields behind it are numbers.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = |field: usize| -> Outcome<u64> {
            let number = fields.split_ascii_whitespace().nth(field);
            number
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| Failure::new("/proc/PID/stat has no CPU times"))
        };
        // Fields 14 and 15 of proc_pid_stat(5); the first behind the name is field 3.
        let sum = ticks(11)? + ticks(12)?;
        Ok(Duration::from_secs_f64(
            sum as f64 / rustix::param::clock_ticks_per_second() as f64,
        ))
    }

    /// The time on a CPU of the threads that are alive, in nanoseconds: finer than [`Self::cpu`], but it forgets a
    /// thread that ends.
    pub fn cpu_of_living_threads(self) -> Outcome<Duration> {
        let mut sum = 0;
        for task in fs::read_dir(self.path("task"))? {
            // A thread may end between the listing and the look at it.
            if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
                let first = text.split_ascii_whitespace().next();
                sum += first
                    .and_then(|number| number.parse::<u64>().ok())
                    .unwrap_or(0);
            }
        }
        Ok(Duration::from_nanos(sum))
    }

    /// What [`Self::cpu_since`] counts from.
    pub fn cpu_mark(self) -> Outcome<CpuMark> {
        Ok(CpuMark {
            all: self.cpu()?,
            living: self.cpu_of_living_threads()?,
        })
    }

    /// As fine as the times of threads are, unless threads have ended that count; then as [`Self::cpu`].
    pub fn cpu_since(self, mark: CpuMark) -> Outcome<Duration> {
        let now = self.cpu_mark()?;
        let coarse = now.all.saturating_sub(mark.all);
        let fine = now.living.saturating_sub(mark.living);
        // User and system time are rounded each for itself, then and now.
        let rounding_max =
            Duration::from_secs_f64(4.0 / rustix::param::clock_ticks_per_second() as f64);
        if fine.abs_diff(coarse) <= rounding_max {
            Ok(fine)
        } else {
            Ok(coarse)
        }
    }

    /// Resident memory now, in bytes.
    pub fn resident_bytes(self) -> Outcome<u64> {
        self.status("VmRSS:")
    }

    /// The most resident memory so far, in bytes.
    pub fn peak_bytes(self) -> Outcome<u64> {
        self.status("VmHWM:")
    }

    /// Bytes that the process has read, from the page cache or the disk.
    pub fn bytes_read(self) -> Outcome<u64> {
        let io = self.read("io")?;
        io.lines()
            .find_map(|line| line.strip_prefix("rchar:"))
            .and_then(|count| count.trim().parse().ok())
            .ok_or_else(|| Failure::new("/proc/PID/io has no rchar"))
    }

    fn status(self, field: &str) -> Outcome<u64> {
        let status = self.read("status")?;
        let kilobytes: Option<u64> = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok());
        kilobytes
            .map(|kilobytes| kilobytes * 1024)
            .ok_or_else(|| Failure::new(format!("/proc/PID/status has no {field}")))
    }

    fn read(self, file: &str) -> Outcome<String> {
        fs::read_to_string(self.path(file)).map_err(|error| {
            Failure::new(format!("process {} cannot be watched: {error}", self.pid))
        })
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.pid)
    }
}

/// Lets this process and those that it starts have [`FILES_WANTED`] open files; if the system refuses that, as many as
/// it allows. What then does not fit, [`file_limit`] tells.
pub fn raise_file_limit() -> Outcome<()> {
    let own = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: own.current.map(|current| current.max(FILES_WANTED)),
        maximum: own.maximum.map(|maximum| maximum.max(FILES_WANTED)),
    };
    // To go above the maximum takes a privilege.
    if setrlimit(Resource::Nofile, wanted).is_ok() {
        return Ok(());
    }
    let allowed = Rlimit {
        current: own.maximum,
        maximum: own.maximum,
    };
    setrlimit(Resource::Nofile, allowed).map_err(Failure::new)
}

/// 10,000 connections, or the files of 10,000 partitions, with room.
const FILES_WANTED: u64 = 65_536;

/// How many files this process may have open.
pub fn file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Watches this very process while it spends CPU time and memory.
    #[test]
    fn cpu_and_memory_of_a_process_are_seen() {
        let process = Process {
            pid: std::process::id(),
        };
        let before = process.cpu().expect("this process is watched");
        let mark = process.cpu_mark().expect("and its threads");
        let began = Instant::now();
        let mut memory = vec![0_u8; 32 << 20];
        while process.cpu().expect("still watched") < before + Duration::from_millis(50) {
            memory
                .iter_mut()
                .for_each(|byte| *byte = byte.wrapping_add(1));
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "no CPU time is seen"
            );
        }
        assert!(process.peak_bytes().expect("a peak") >= memory.len() as u64);
        assert!(process.resident_bytes().expect("a size") > 0);
        assert!(process.cpu_of_living_threads().expect("threads") > Duration::ZERO);
        // Other tests end their threads meanwhile, so only the lower bound is sure.
        let since = process.cpu_since(mark).expect("still watched");
        assert!(since >= Duration::from_millis(10), "{since:?}");
    }
}

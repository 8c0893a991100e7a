//! What a server process costs, from `/proc`.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::{Failure, Outcome};

/// A process to be watched from outside.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pub pid: u32,
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

/// Lets this process and those that it starts have as many open files as the system allows.
pub fn raise_file_limit() -> Outcome<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(Failure::new)
}

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
    }
}

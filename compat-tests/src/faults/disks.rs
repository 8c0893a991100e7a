//! Small disks in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages;
use crate::suites::{Failure, Outcome};

/// A tmpfs of limited size. Dropping it unmounts it.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    pub fn mount(path: &Path, megabytes: usize) -> Outcome<Self> {
        fs::create_dir_all(path)?;
        let size = format!("size={megabytes}m,mode=0755");
        mount(["-t", "tmpfs", "-o", &size, "klamm-faults"], path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing must be open for writing on it.
    pub fn make_read_only(&self) -> Outcome<()> {
        mount(["-o", "remount,bind,ro"], &self.path)
    }

    pub fn make_writable(&self) -> Outcome<()> {
        mount(["-o", "remount,bind,rw"], &self.path)
    }
}

fn mount<const N: usize>(arguments: [&str; N], path: &Path) -> Outcome<()> {
    packages::run(Command::new("mount").args(arguments).arg(path))
        .map_err(|failure: Failure| failure.during("a disk for the test"))
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is still used goes with the namespace.
        let _ = packages::run(Command::new("umount").arg("--lazy").arg(&self.path));
    }
}

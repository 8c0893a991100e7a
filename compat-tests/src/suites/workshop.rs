//! Where suites are fetched and built: `suites/` in the cache, one folder per suite, nothing in the repository.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;

use crate::kafka::cache_dir;
use crate::suites::failure::{Failure, Outcome};
use crate::suites::process::must_succeed;

/// A cold build on a slow machine with a cold registry.
pub const BUILD_PATIENCE: Duration = Duration::from_secs(1_800);

#[derive(Debug, Clone)]
pub struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    pub fn open() -> Outcome<Self> {
        let folder = cache_dir().join("suites");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The folder of one suite.
    pub fn home(&self, suite: &str) -> PathBuf {
        self.folder.join(suite)
    }

    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Runs a recipe unless the suite's folder bears this stamp; a recipe that fails leaves none.
    ///
    /// The folder is emptied first. Other processes that build the same suite wait.
    pub fn when_changed(
        &self,
        suite: &str,
        stamp: &str,
        recipe: impl FnOnce(&Path) -> Outcome<()>,
    ) -> Outcome<()> {
        let lock = File::create(self.folder.join(format!("{suite}.lock")))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(Failure::new)?;
        let home = self.home(suite);
        let stamp_path = home.join("built");
        if fs::read_to_string(&stamp_path).is_ok_and(|found| found == stamp) {
            return Ok(());
        }
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        recipe(&home)?;
        Ok(fs::write(stamp_path, stamp)?)
    }

    /// Runs one step of a recipe, with its output in a log of that name.
    pub fn step(&self, suite: &str, name: &str, command: &mut Command) -> Outcome<String> {
        let log = self
            .logs()
            .join("build")
            .join(format!("{suite}-{name}.log"));
        must_succeed(command, &log, BUILD_PATIENCE)
    }

    /// Installs those of these Debian packages that are missing; elsewhere the build shows what is missing.
    pub fn debian_packages(&self, suite: &str, names: &[&str]) -> Outcome<()> {
        let missing: Vec<&str> = names.iter().copied().filter(|name| lacks(name)).collect();
        if missing.is_empty() || Command::new("apt-get").arg("--version").output().is_err() {
            return Ok(());
        }
        let wait = "DPkg::Lock::Timeout=600";
        let mut update = Command::new("apt-get");
        update.args(["-o", wait, "update", "-qq"]);
        self.step(suite, "apt-update", &mut update)?;
        let mut install = Command::new("apt-get");
        install
            .args(["-o", wait, "install", "-y", "-qq"])
            .args(missing)
            .env("DEBIAN_FRONTEND", "noninteractive");
        self.step(suite, "apt-install", &mut install).map(drop)
    }

    /// Copies the published source of a crate to `target`, by way of a throwaway project that depends on it.
    pub fn crate_source(&self, suite: &str, package: &Crate, target: &Path) -> Outcome<()> {
        let project = self.home(suite).join("fetch");
        fs::create_dir_all(project.join("src"))?;
        fs::write(project.join("src").join("lib.rs"), "")?;
        fs::write(project.join("Cargo.toml"), throwaway_manifest(package))?;
        let listing = project.join("metadata.json");
        let mut metadata = Command::new("cargo");
        metadata
            .args(["metadata", "--quiet", "--format-version", "1"])
            .current_dir(&project);
        let output = metadata.output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::new(complaint).during(format!("{} from crates.io", package.name)));
        }
        fs::write(&listing, &output.stdout)?;
        let listed: Metadata = serde_json::from_slice(&output.stdout).map_err(Failure::new)?;
        let manifest = listed
            .packages
            .iter()
            .find(|listed| listed.name == package.name)
            .ok_or_else(|| Failure::new(format!("cargo does not list {}", package.name)))?;
        let source = Path::new(&manifest.manifest_path)
            .parent()
            .ok_or_else(|| Failure::new("a manifest without a folder"))?;
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(source).arg(target);
        self.step(suite, "copy", &mut copy).map(drop)
    }
}

/// A package of crates.io.
#[derive(Debug, Clone, Copy)]
pub struct Crate {
    pub name: &'static str,
    pub version: &'static str,
}

/// The part of `cargo metadata` that is of use here.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<ListedPackage>,
}

#[derive(Debug, Deserialize)]
struct ListedPackage {
    name: String,
    manifest_path: String,
}

fn throwaway_manifest(package: &Crate) -> String {
    let Crate { name, version } = package;
    format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [dependencies]\n{name} = {{ version = \"={version}\", default-features = false }}\n"
    )
}

fn lacks(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Abbrev}", package])
        .output()
        .is_ok_and(|output| !output.stdout.starts_with(b"ii"))
}

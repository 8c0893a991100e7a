//! The integration tests of two Rust clients, from crates.io: `rdkafka` (around librdkafka) and `rskafka` (its own
//! implementation of the protocol).
//!
//! Both link with the librdkafka that the suite of that name has built; rskafka compares itself with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::suites::case::{Case, Ended, Profile, Seat, Suite, Verdict};
use crate::suites::failure::{Failure, Outcome};
use crate::suites::librdkafka::{LIBRDKAFKA, Librdkafka};
use crate::suites::workshop::{Crate, Workshop};

/// rust-rdkafka.
pub const RDKAFKA: RustTests = RustTests {
    name: "rdkafka",
    package: Crate {
        name: "rdkafka",
        version: "0.39.0",
    },
    updates: &[],
    features: "dynamic-linking",
    binaries: &[
        "test_admin",
        "test_high_consumers",
        "test_high_producers",
        "test_low_consumers",
        "test_low_producers",
        "test_metadata",
        "test_topic_partition_list",
        "test_transactions",
    ],
    environment: &[],
    address_variable: "KAFKA_HOST",
    skip_messages: &[],
    profiles: &[Profile {
        name: "default",
        // The tests ask for broker 0, port 9092 and three partitions.
        settings: &[("node.id", "0"), ("num.partitions", "3")],
        port: Some(9092),
    }],
};

/// InfluxData's rskafka.
pub const RSKAFKA: RustTests = RustTests {
    name: "rskafka",
    package: Crate {
        name: "rskafka",
        version: "0.6.0",
    },
    // The version in its lock file no longer compiles.
    updates: &["rsasl"],
    features: "full,rdkafka/dynamic-linking",
    binaries: &["client", "consumer", "produce_consume", "producer"],
    environment: &[("TEST_INTEGRATION", "1"), ("TEST_BROKER_IMPL", "kafka")],
    address_variable: "KAFKA_CONNECT",
    skip_messages: &["skipping integration tests with", "Skipping due to missing"],
    profiles: &[Profile {
        name: "default",
        settings: &[("auto.create.topics.enable", "false")],
        port: None,
    }],
};

#[derive(Debug)]
pub struct RustTests {
    name: &'static str,
    package: Crate,
    /// Dependencies that are taken newer than in the crate's lock file.
    updates: &'static [&'static str],
    features: &'static str,
    /// The test targets that need a broker.
    binaries: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// The environment variable that names the server.
    address_variable: &'static str,
    /// What a test prints when it returns early.
    skip_messages: &'static [&'static str],
    profiles: &'static [Profile],
}

impl Suite for RustTests {
    fn name(&self) -> &'static str {
        self.name
    }

    fn package(&self) -> String {
        format!("{} {} (crates.io)", self.package.name, self.package.version)
    }

    fn profiles(&self) -> &'static [Profile] {
        self.profiles
    }

    fn build(&self, workshop: &Workshop) -> Outcome<()> {
        LIBRDKAFKA.build(workshop)?;
        let stamp = format!("{} with {} 1", self.package(), LIBRDKAFKA.package());
        workshop.when_changed(self.name, &stamp, |home| self.compile(workshop, home))
    }

    fn cases(&self, workshop: &Workshop) -> Outcome<Vec<Case>> {
        let mut cases = Vec::new();
        for (target, binary) in self.built(workshop)? {
            let mut list = Command::new(binary);
            list.args(["--list", "--format", "terse"])
                .env("LD_LIBRARY_PATH", library(workshop));
            let output = workshop.step(self.name, &format!("list-{target}"), &mut list)?;
            let names = output
                .lines()
                .filter_map(|line| line.strip_suffix(": test"));
            cases.extend(names.map(|name| Case {
                name: format!("{target}::{name}"),
                profile: 0,
            }));
        }
        if cases.is_empty() {
            return Err(Failure::new("the test binaries list no tests"));
        }
        Ok(cases)
    }

    fn command(&self, workshop: &Workshop, case: &Case, seat: &Seat) -> Outcome<Command> {
        let unknown = || Failure::new(format!("{} is no test of {}", case.name, self.name));
        let (target, test) = case.name.split_once("::").ok_or_else(unknown)?;
        let built = self.built(workshop)?;
        let mut command = Command::new(built.get(target).ok_or_else(unknown)?);
        command
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .current_dir(&seat.scratch)
            .envs(self.environment.iter().copied())
            .env(self.address_variable, seat.server.to_string())
            .env("LD_LIBRARY_PATH", library(workshop))
            .env("RUST_BACKTRACE", "1");
        Ok(command)
    }

    fn judge(&self, _: &Case, ended: &Ended) -> Verdict {
        let says = |text: &str| ended.output.contains(text);
        if !ended.succeeded {
            Verdict::Fail
        } else if says("ok. 1 passed; 0 failed") {
            if self.skip_messages.iter().any(|message| says(message)) {
                Verdict::Skip
            } else {
                Verdict::Pass
            }
        } else if says("ok. 0 passed; 0 failed; 1 ignored") {
            Verdict::Skip
        } else {
            Verdict::Fail
        }
    }
}

impl RustTests {
    /// Builds the test binaries and keeps a list of them.
    fn compile(&self, workshop: &Workshop, home: &Path) -> Outcome<()> {
        let source = home.join("source");
        workshop.crate_source(self.name, &self.package, &source)?;
        // The folder may lie inside another workspace.
        let toolchain = source.join("rust-toolchain.toml");
        if toolchain.exists() {
            // It asks for a compiler that may not be installed; the one that builds Klamm will do.
            fs::remove_file(toolchain)?;
        }
        let mut manifest = File::options()
            .append(true)
            .open(source.join("Cargo.toml"))?;
        manifest.write_all(b"\n[workspace]\n")?;
        let cargo = |arguments: &[&str]| {
            let mut command = Command::new("cargo");
            command
                .args(arguments)
                .current_dir(&source)
                .env("CARGO_TARGET_DIR", home.join("target"))
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .env("PKG_CONFIG_PATH", library(workshop).join("pkgconfig"))
                .env_remove("RUSTFLAGS");
            command
        };
        for dependency in self.updates {
            workshop.step(
                self.name,
                "update",
                &mut cargo(&["update", "-p", dependency]),
            )?;
        }
        let mut build = cargo(&["test", "--no-run", "--message-format=json"]);
        build.args(["--features", self.features]);
        for binary in self.binaries {
            build.args(["--test", binary]);
        }
        let messages = workshop.step(self.name, "build", &mut build)?;
        let built = built_binaries(&messages);
        if built.len() != self.binaries.len() {
            return Err(Failure::new(format!("cargo built only {built:?}")));
        }
        let list = serde_json::to_string(&built).map_err(Failure::new)?;
        Ok(fs::write(home.join("binaries.json"), list)?)
    }

    fn built(&self, workshop: &Workshop) -> Outcome<BTreeMap<String, PathBuf>> {
        let list = fs::read_to_string(workshop.home(self.name).join("binaries.json"))?;
        serde_json::from_str(&list).map_err(Failure::new)
    }
}

fn library(workshop: &Workshop) -> PathBuf {
    Librdkafka::installed(workshop).join("lib")
}

/// The part of a line of `cargo --message-format=json` that is of use here.
#[derive(Debug, Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

fn built_binaries(messages: &str) -> BTreeMap<String, PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter_map(|message| Some((message.target?, message.executable?)))
        .filter(|(target, _)| target.kind.iter().any(|kind| kind == "test"))
        .map(|(target, executable)| (target.name, executable))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_returns_early_has_not_passed() {
        let case = Case {
            name: "client::socks".to_owned(),
            profile: 0,
        };
        for (succeeded, output, verdict) in [
            (true, "test result: ok. 1 passed; 0 failed", Verdict::Pass),
            (
                true,
                "skipping integration tests with Proxy\nok. 1 passed; 0 failed",
                Verdict::Skip,
            ),
            (
                true,
                "ok. 0 passed; 0 failed; 1 ignored; 0 measured",
                Verdict::Skip,
            ),
            (true, "ok. 0 passed; 0 failed; 0 ignored", Verdict::Fail),
            (false, "FAILED. 0 passed; 1 failed", Verdict::Fail),
        ] {
            let ended = Ended {
                succeeded,
                output: output.to_owned(),
            };
            assert_eq!(RSKAFKA.judge(&case, &ended), verdict, "{output:?}");
        }
    }

    #[test]
    fn only_test_targets_are_taken_from_cargos_messages() {
        let messages = concat!(
            "warning: something\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"x"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"client"},"executable":"/a/client-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let built = built_binaries(messages);
        assert_eq!(
            built,
            BTreeMap::from([("client".to_owned(), PathBuf::from("/a/client-1"))])
        );
    }
}

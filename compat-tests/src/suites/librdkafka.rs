//! librdkafka's own tests: the C client under kcat, the Python, Go, .NET and Node clients of Confluent, rust-rdkafka.
//!
//! The crate `rdkafka-sys` carries the whole tree with `tests/`, which run as they are, but for the number of replicas that
//! two of them ask for. One process per test number: a test that fails leaves threads behind, and one that hits its
//! deadline takes the whole runner with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kafka::KafkaJars;
use crate::suites::case::{Case, Ended, Profile, Seat, Suite, Verdict};
use crate::suites::failure::{Failure, Outcome};
use crate::suites::workshop::{Crate, Workshop};

pub const LIBRDKAFKA: Librdkafka = Librdkafka;

/// Whoever else needs librdkafka takes this one too.
pub(crate) const CRATE: Crate = Crate {
    name: "rdkafka-sys",
    version: "4.10.0",
};

pub(crate) const DEBIAN_PACKAGES: &[&str] = &[
    "build-essential",
    "pkg-config",
    "libssl-dev",
    "libsasl2-dev",
    "libzstd-dev",
    "zlib1g-dev",
    "liblz4-dev",
    "libcurl4-openssl-dev",
];

/// Without it the suite takes the broker for 2.4 and skips what is newer.
const BROKER_VERSION: &str = "4.2.0";

const DEFAULT: usize = 0;
const NO_AUTO_CREATION: usize = 1;

const PROFILES: &[Profile] = &[
    Profile {
        name: "default",
        settings: &[],
        port: None,
    },
    Profile {
        name: "noautocreate",
        settings: &[("auto.create.topics.enable", "false")],
        port: None,
    },
];

/// Numbers that hold many things are also run part by part, by the function that the part is in: where one part needs
/// something that Klamm lacks, the others still count.
const PARTS: &[(&str, &[&str])] = &[(
    // The admin client. As a whole it needs ACLs and SCRAM users.
    "0081",
    &[
        "do_test_CreateTopics",
        "do_test_DeleteTopics",
        "do_test_CreatePartitions",
        "do_test_AlterConfigs",
        "do_test_IncrementalAlterConfigs",
        "do_test_DescribeConfigs",
        "do_test_DescribeConfigs_groups",
        "do_test_DeleteRecords",
        "do_test_ListConsumerGroups",
        "do_test_DescribeConsumerGroups",
        "do_test_DescribeTopics",
        "do_test_DescribeCluster",
        "do_test_DeleteGroups",
        "do_test_DeleteConsumerGroupOffsets",
        "do_test_ListOffsets",
        "do_test_AlterConsumerGroupOffsets",
        "do_test_ListConsumerGroupOffsets",
    ],
)];

/// Tests of transactions whose topics are asked for with three replicas, which one server cannot give.
const THREE_REPLICAS: &[&str] = &["0098-consumer-txn.cpp", "0103-transactions.c"];

/// The Java tools that some tests call by the names of Kafka's scripts.
const SCRIPTS: &[(&str, &str)] = &[
    ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
    ("kafka-acls.sh", "org.apache.kafka.tools.AclCommand"),
    ("kafka-run-class.sh", ""),
];

#[derive(Debug)]
pub struct Librdkafka;

impl Librdkafka {
    /// Where the library is installed, for other suites to link with.
    pub fn installed(workshop: &Workshop) -> PathBuf {
        workshop.home(LIBRDKAFKA.name()).join("installed")
    }
}

impl Suite for Librdkafka {
    fn name(&self) -> &'static str {
        "librdkafka"
    }

    fn package(&self) -> String {
        format!("{} {} (crates.io)", CRATE.name, CRATE.version)
    }

    fn profiles(&self) -> &'static [Profile] {
        PROFILES
    }

    fn build(&self, workshop: &Workshop) -> Outcome<()> {
        let stamp = format!("{} 2", self.package());
        workshop.debian_packages(self.name(), DEBIAN_PACKAGES)?;
        workshop.when_changed(self.name(), &stamp, |home| build(workshop, home))?;
        write_scripts(&workshop.home(self.name()).join("kafka"))
    }

    fn cases(&self, workshop: &Workshop) -> Outcome<Vec<Case>> {
        let table = fs::read_to_string(tests_folder(workshop).join("test.c"))?;
        let cases = registered_cases(&table);
        if cases.is_empty() {
            return Err(Failure::new("test.c registers no tests"));
        }
        Ok(cases)
    }

    fn command(&self, workshop: &Workshop, case: &Case, seat: &Seat) -> Outcome<Command> {
        let conf = seat.scratch.join("test.conf");
        fs::write(&conf, format!("metadata.broker.list={}\n", seat.server))?;
        let library = Self::installed(workshop).join("lib");
        let (number, part) = number_and_part(&case.name);
        let mut command = Command::new("./test-runner");
        command
            .args(["-p1", "-Q", "-L"])
            .args(["-s", PROFILES[case.profile].name])
            .current_dir(tests_folder(workshop))
            .env("TESTS", number)
            .env("TEST_KAFKA_VERSION", BROKER_VERSION)
            .env("RDKAFKA_TEST_CONF", conf)
            .env("KAFKA_PATH", workshop.home(self.name()).join("kafka"))
            .env("BROKERS", seat.server.to_string())
            .env("LD_LIBRARY_PATH", library)
            // Longer deadlines inside the tests.
            .env("CI", "1");
        if let Some(part) = part {
            // Names of functions with the line number behind them: the colon ends the name.
            command.env("SUBTESTS", format!("{part}:"));
        }
        Ok(command)
    }

    fn judge(&self, case: &Case, ended: &Ended) -> Verdict {
        let (_, part) = number_and_part(&case.name);
        // A part that is not there would pass unseen.
        let has_run = part.is_none_or(|part| ended.output.contains(&format!("[ {part}:")));
        if !ended.succeeded || !has_run {
            return Verdict::Fail;
        }
        let states: Vec<&str> = ended.output.lines().filter_map(summary_state).collect();
        if states.contains(&"PASSED") {
            Verdict::Pass
        } else if states.contains(&"SKIPPED") {
            Verdict::Skip
        } else {
            Verdict::Fail
        }
    }
}

fn tests_folder(workshop: &Workshop) -> PathBuf {
    let home = workshop.home(LIBRDKAFKA.name());
    home.join("source").join("librdkafka").join("tests")
}

/// The library and the test runner without optimisation: nothing here is measured, and it builds in a third of the time.
fn build(workshop: &Workshop, home: &Path) -> Outcome<()> {
    let name = LIBRDKAFKA.name();
    let source = home.join("source");
    workshop.crate_source(name, &CRATE, &source)?;
    let tree = source.join("librdkafka");
    for file in THREE_REPLICAS {
        ask_for_one_replica(&tree.join("tests").join(file))?;
    }
    let step = |step: &str, program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&tree);
        workshop.step(name, step, &mut command)
    };
    let prefix = format!("--prefix={}", home.join("installed").display());
    step(
        "configure",
        "./configure",
        &[
            &prefix,
            "--disable-debug-symbols",
            "--disable-optimization",
            "--CFLAGS=-O0",
            "--CXXFLAGS=-O0",
        ],
    )?;
    step("make-libs", "make", &["-j2", "libs"])?;
    step("make-install", "make", &["install-subdirs"])?;
    step("make-tests", "make", &["-j2", "-C", "tests", "build"])?;
    Ok(())
}

/// Changes the number of replicas in the calls that create a test's topics, and nothing else.
fn ask_for_one_replica(test: &Path) -> Outcome<()> {
    let source = fs::read_to_string(test)?;
    let changed = source.replace(", 3, 5000);", ", 1, 5000);");
    if changed == source {
        return Err(Failure::new("no topics with three replicas").during(test.display()));
    }
    Ok(fs::write(test, changed)?)
}

/// Stand-ins for `$KAFKA_PATH`: two-line scripts around the tools in the jars.
fn write_scripts(kafka: &Path) -> Outcome<()> {
    let jars = KafkaJars::locate()?;
    let class_path = jars.class_path();
    let bin = kafka.join("bin");
    fs::create_dir_all(&bin)?;
    for (script, class) in SCRIPTS {
        let text = format!(
            "#!/bin/sh\nexec java -Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
             -cp \"${{CLASSPATH:+$CLASSPATH:}}{}\" {class} \"$@\"\n",
            class_path.display()
        );
        let path = bin.join(script);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let libs = kafka.join("libs");
    if let Some(folder) = jars.clients_jar().parent()
        && fs::read_link(&libs).ok().as_deref() != Some(folder)
    {
        if libs.is_symlink() {
            fs::remove_file(&libs)?;
        }
        symlink(folder, &libs)?;
    }
    Ok(())
}

/// The numbers in the runner's table that need a broker, with their parts.
fn registered_cases(test_c: &str) -> Vec<Case> {
    let table = test_c
        .split_once("struct test tests[] = {")
        .and_then(|(_, rest)| rest.split_once("\n};"))
        .map_or("", |(table, _)| table);
    let mut cases: Vec<Case> = Vec::new();
    for entry in table.split(" _TEST(").skip(1) {
        if entry.contains("TEST_F_LOCAL") || entry.contains("TEST_F_MANUAL") {
            continue;
        }
        let Some(number) = entry.get(..4) else {
            continue;
        };
        let (profile, name) = if entry.contains("\"noautocreate\"") {
            (NO_AUTO_CREATION, format!("noautocreate/{number}"))
        } else {
            (DEFAULT, number.to_owned())
        };
        let parts = PARTS
            .iter()
            .filter(|(of, _)| *of == name)
            .flat_map(|(_, parts)| parts.iter());
        let names = parts.map(|part| format!("{name}/{part}"));
        for name in std::iter::once(name.clone()).chain(names) {
            if !cases.iter().any(|case| case.name == name) {
                cases.push(Case { name, profile });
            }
        }
    }
    cases
}

/// `0081/do_test_CreateTopics` is a part of 0081; `noautocreate/0107` is 0107 in another scenario.
fn number_and_part(name: &str) -> (&str, Option<&str>) {
    match name.split_once('/') {
        Some(("noautocreate", number)) => (number, None),
        Some((number, part)) => (number, Some(part)),
        None => (name, None),
    }
}

/// The state in a row of the runner's summary: `| 0012_produce_consume | PASSED | 3.123s |`.
fn summary_state(line: &str) -> Option<&str> {
    let mut columns = line.strip_prefix('|')?.split('|');
    if columns.next()?.contains("<MAIN>") {
        return None;
    }
    columns.next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "struct test tests[] = {\n    {.name = \"<MAIN>\"},\n    _TEST(0000_unittests,\n          TEST_F_LOCAL),\n    _TEST(0001_multiobj, 0),\n    _TEST(0045_a, 0),\n    _TEST(0045_b, 0, .scenario = \"noautocreate\"),\n    _TEST(0045_c, 0),\n    _TEST(8000_idle, TEST_F_MANUAL),\n    {NULL}\n};\n";

    #[test]
    fn numbers_that_need_a_broker_are_cases_once_per_scenario() {
        let names: Vec<_> = registered_cases(TABLE)
            .into_iter()
            .map(|case| (case.name, case.profile))
            .collect();
        let expected = [("0001", 0), ("0045", 0), ("noautocreate/0045", 1)];
        assert_eq!(
            names,
            expected.map(|(name, profile)| (name.to_owned(), profile))
        );
    }

    #[test]
    fn a_verdict_is_read_from_the_summary() {
        let case = |name: &str| Case {
            name: name.to_owned(),
            profile: DEFAULT,
        };
        let ended = |succeeded, output: &str| Ended {
            succeeded,
            output: output.to_owned(),
        };
        let main = "|\u{1b}[32m <MAIN> |     PASSED |   1.000s |\n";
        let passed = format!("{main}|\u{1b}[32m 0012_produce_consume |     PASSED |   3.123s |\n");
        let skipped = format!("{main}|\u{1b}[36m 0049_x |    SKIPPED |   0.000s | no sockem\n");
        for (name, succeeded, output, verdict) in [
            ("0012", true, passed.as_str(), Verdict::Pass),
            ("0012", false, &passed, Verdict::Fail),
            ("0049", true, &skipped, Verdict::Skip),
            ("0012", true, main, Verdict::Fail),
            ("0081/do_test_X", true, &passed, Verdict::Fail),
        ] {
            let found = LIBRDKAFKA.judge(&case(name), &ended(succeeded, output));
            assert_eq!(found, verdict, "{name} {output:?}");
        }
    }
}

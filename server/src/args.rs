//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::config::Sources;

/// What `klamm` was asked to do.
#[derive(Debug, Parser)]
#[command(
    name = "klamm",
    version,
    about = "A Kafka server in one small binary",
    long_about = LONG_ABOUT,
    after_help = "See `klamm --help` for examples and `klamm configs` for everything that can be set.",
    after_long_help = EXAMPLES,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints everything that can be set: name, type, default, effect, and whether it changes while klamm runs
    Configs(ConfigsArgs),
    /// Prints the APIs that are served and their versions, as a Markdown table
    Apis,
}

/// How to run the server.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct ServeArgs {
    /// Kafka's own server.properties; every key of Kafka 4 is understood
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Sets one config, over the file and the environment; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Where to serve clients: host:port, :port or NAME://host:port; port 0 picks a free one
    ///
    /// May be given many times. Without it and without the config `listeners`, klamm listens on 127.0.0.1:9092.
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<String>,

    /// Where to keep the data
    ///
    /// Without it and without the config `log.dirs`, klamm keeps its data in ./klamm-data.
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    pub data_dir: Option<PathBuf>,

    /// For tests: keeps the data in a temporary directory that is removed at the end, never waits for the disk, and
    /// lets a new consumer group start without delay
    #[arg(long)]
    pub ephemeral: bool,

    /// When an answer to a producer waits until the records are on the disk
    #[arg(long, value_name = "MODE", value_enum)]
    pub fsync: Option<Fsync>,

    /// How much to log: error, warn, info, debug, trace, or per module like klamm=debug,info
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: String,
}

/// The values of `--fsync`; `klamm.fsync` says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// Answers to acks=all wait (the default); acks=1 promises the page cache, which survives the end of klamm but
    /// not the end of the machine
    AcksAll,
    /// Every answer waits
    Always,
    /// No answer waits
    Never,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct ConfigsArgs {
    /// Prints Markdown tables
    #[arg(long)]
    pub markdown: bool,
}

impl ServeArgs {
    /// Where the settings of this run come from; `variables` is the environment. Variables that are not Unicode set
    /// nothing.
    pub fn sources<T: Into<OsString>>(
        &self,
        variables: impl IntoIterator<Item = (T, T)>,
    ) -> Sources {
        let unicode = |(name, value): (T, T)| {
            Some((
                name.into().into_string().ok()?,
                value.into().into_string().ok()?,
            ))
        };
        let fsync = self.fsync.map(|mode| match mode {
            Fsync::AcksAll => "acks-all",
            Fsync::Always => "always",
            Fsync::Never => "never",
        });
        Sources {
            file: self.file.clone(),
            variables: variables.into_iter().filter_map(unicode).collect(),
            set: self.set.clone(),
            listen: self.listen.clone(),
            data_dir: self.data_dir.clone(),
            ephemeral: self.ephemeral,
            fsync: fsync.map(str::to_owned),
        }
    }
}

const LONG_ABOUT: &str = "\
A Kafka server in one small binary.

Started without anything, klamm serves any Kafka client on 127.0.0.1:9092 and keeps its data in ./klamm-data: beside
you, where you see it and can delete it, and never in a place that a reboot empties.

Settings come from the defaults, FILE, the environment (KAFKA_* as in the container images of Apache and Confluent,
CLUSTER_ID, KLAMM_*), --set and the other flags; what stands later in this list wins. A value that cannot be stops klamm
before it starts, and is named with the place where it was written; a name that nobody knows is a warning.";

const EXAMPLES: &str = "\
Examples:
  klamm                                        serve 127.0.0.1:9092, data in ./klamm-data
  klamm --listen :9092 --data-dir /var/lib/klamm
                                               serve every interface, data where a service keeps it
  klamm config/server.properties               start from the settings of an Apache Kafka
  klamm --set num.partitions=6 --set log.retention.hours=24
                                               new topics get 6 partitions, records live for a day
  klamm --listen 127.0.0.1:0 --ephemeral       a throw-away server for a test; read its port from
                                               the line `klamm ready 127.0.0.1:41523`
  klamm --listen LAN://192.168.1.5:9092 --listen LOCAL://127.0.0.1:9093
                                               two listeners with names
  KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://kafka.example:9092 klamm
                                               what a container needs: listen everywhere on 9092, and
                                               tell clients to come back to kafka.example
  klamm configs                                everything that can be set, and what it does

To see that it works:
  echo hello | kcat -b 127.0.0.1:9092 -P -t greetings
  kcat -b 127.0.0.1:9092 -C -t greetings -e";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Args, Command};

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_reach_the_settings() {
        let args = Args::parse_from([
            "klamm",
            "server.properties",
            "--set",
            "a=1",
            "--set",
            "b=2",
            "--listen",
            ":0",
            "--data-dir",
            "/d",
            "--fsync",
            "acks-all",
        ]);
        let sources = args.serve.sources([("KAFKA_X".to_owned(), "y".to_owned())]);
        assert_eq!(sources.file.as_deref(), Some("server.properties".as_ref()));
        assert_eq!(sources.set, ["a=1", "b=2"]);
        assert_eq!(sources.listen, [":0"]);
        assert_eq!(sources.data_dir.as_deref(), Some("/d".as_ref()));
        assert_eq!(sources.fsync.as_deref(), Some("acks-all"));
        assert_eq!(sources.variables, [("KAFKA_X".to_owned(), "y".to_owned())]);
        assert!(args.command.is_none());
    }

    #[test]
    fn a_data_directory_is_not_ephemeral() {
        let refused = Args::try_parse_from(["klamm", "--ephemeral", "--data-dir", "/d"]);
        assert!(
            refused
                .expect_err("both at once")
                .to_string()
                .contains("--ephemeral")
        );
        let configs = Args::parse_from(["klamm", "configs", "--markdown"]);
        assert!(matches!(configs.command, Some(Command::Configs(configs)) if configs.markdown));
    }
}

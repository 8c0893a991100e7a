//! Brings every client onto a fresh machine, by name from its own registry, into one cache folder.
//!
//! Each recipe leaves a stamp of its inputs behind and does nothing when the stamp still fits.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use crate::kafka::{KAFKA_VERSION, KafkaJars, cache_dir};
use crate::packages;
use crate::scenarios::clients::{CLIENTS, Client, JVM_FLAGS, Runtime};
use crate::scenarios::failure::{Failure, Outcome};

/// Where the clients are kept: `clients/` in [`cache_dir`].
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    console_tool: String,
}

impl Cache {
    /// Makes the folder. The console tools are those of the Apache Kafka that the other tests run.
    pub fn open() -> Outcome<Self> {
        let folder = cache_dir().join("clients");
        fs::create_dir_all(&folder)?;
        let kafka = cache_dir().join(format!("kafka-{KAFKA_VERSION}"));
        let class_path = kafka.join("libs").join("*");
        let class_path = format!("'{}'", class_path.display());
        let archive = format!(
            "-XX:SharedArchiveFile={}",
            console_archive(&folder).display()
        );
        let mut words = vec!["java"];
        words.extend(JVM_FLAGS);
        words.extend([archive.as_str(), "-cp", &class_path]);
        let console_tool = words.join(" ");
        Ok(Self {
            folder,
            console_tool,
        })
    }

    pub fn logs(&self, server: &str) -> PathBuf {
        self.folder.join("logs").join(server)
    }

    pub fn python(&self) -> PathBuf {
        self.folder.join("python").join("bin").join("python")
    }

    pub fn node_folder(&self) -> PathBuf {
        self.folder.join("kafkajs")
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    pub fn rust_program(&self) -> PathBuf {
        let built = self.rust_target().join("debug");
        built.join("klamm-compat-rskafka")
    }

    pub fn java_class_path(&self, release: &str) -> OsString {
        let home = self.java_home(release);
        let mut path = home.join("classes").into_os_string();
        path.push(":");
        path.push(home.join("libs").join("*"));
        path
    }

    /// A command line for a shell-like splitter, up to the main class.
    pub fn console_tool(&self) -> &str {
        &self.console_tool
    }

    fn rust_target(&self) -> PathBuf {
        self.folder.join("rskafka")
    }

    fn java_home(&self, release: &str) -> PathBuf {
        self.folder.join(format!("java-{release}"))
    }
}

/// Installs one client. Runs of other processes wait for each other, client by client.
pub fn install(cache: &Cache, client: &Client) -> Outcome<()> {
    let lane = match client.runtime {
        Runtime::Python => "python",
        _ => client.name,
    };
    let lock = File::create(cache.folder.join(format!("{lane}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(Failure::new)?;
    let source = sources().join(client.folder);
    match client.runtime {
        Runtime::Java(release) => java(cache, &source, release),
        Runtime::Python => python(cache),
        Runtime::Node => node(cache, &source),
        Runtime::Go => run(Command::new("go")
            .arg("-C")
            .arg(&source)
            .args(["build", "-o"])
            .arg(cache.program(client.name))
            .arg(".")),
        Runtime::Rust => run(Command::new("cargo")
            .args(["build", "--quiet", "--locked", "--manifest-path"])
            .arg(source.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(cache.rust_target())),
        Runtime::Wrapper if client.name == "console" => console(cache),
        Runtime::Wrapper => packages::ensure("kcat", "kcat").map_err(Failure::new),
    }
}

/// The jars of the tools, and an archive of their loaded classes that halves the time each run takes to start.
fn console(cache: &Cache) -> Outcome<()> {
    let jars = KafkaJars::locate()?;
    let archive = console_archive(&cache.folder);
    if archive.is_file() {
        return Ok(());
    }
    // No server is needed: the tool loads its classes, finds nobody at the address and ends with an error.
    let consumer = Command::new("java")
        .args(JVM_FLAGS)
        .arg(format!("-XX:ArchiveClassesAtExit={}", archive.display()))
        .env("CLASSPATH", jars.class_path())
        .arg("org.apache.kafka.tools.consumer.ConsoleConsumer")
        .args(["--bootstrap-server", "127.0.0.1:1"])
        .args(["--topic", "none", "--timeout-ms", "500"])
        .stdin(Stdio::null())
        .output()?;
    if archive.is_file() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "no class archive: {}{}",
        String::from_utf8_lossy(&consumer.stdout),
        String::from_utf8_lossy(&consumer.stderr)
    )))
}

fn console_archive(folder: &Path) -> PathBuf {
    folder.join(format!("console-{KAFKA_VERSION}.jsa"))
}

/// One virtual environment with the pinned packages of all Python clients.
fn python(cache: &Cache) -> Outcome<()> {
    let pins: Vec<PathBuf> = CLIENTS
        .iter()
        .filter(|client| client.runtime == Runtime::Python)
        .map(|client| sources().join(client.folder).join("requirements.txt"))
        .collect();
    let home = cache.folder.join("python");
    when_changed(&home, &pins, || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let mut pip = Command::new(cache.python());
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
        for pin in &pins {
            pip.arg("-r").arg(pin);
        }
        run(&mut pip)
    })
}

/// The packages of the lock file, with the program beside them, where Node looks for them.
fn node(cache: &Cache, source: &Path) -> Outcome<()> {
    let home = cache.node_folder();
    fs::create_dir_all(&home)?;
    for file in ["client.js", "lines.js", "package.json", "package-lock.json"] {
        fs::copy(source.join(file), home.join(file))?;
    }
    when_changed(&home, &[source.join("package-lock.json")], || {
        run(Command::new("npm")
            .args(["ci", "--silent", "--no-audit", "--no-fund"])
            .current_dir(&home))
    })
}

/// The jars of one release, and the program compiled against them.
fn java(cache: &Cache, source: &Path, release: &str) -> Outcome<()> {
    let home = cache.java_home(release);
    let inputs = ["pom.xml", "src/Client.java", "src/Lines.java"].map(|file| source.join(file));
    when_changed(&home, &inputs, || {
        run(Command::new("mvn")
            .args(["-q", "-B", "dependency:copy-dependencies"])
            .args(["-DincludeScope=runtime", "-f"])
            .arg(&inputs[0])
            .arg(format!("-Dkafka.version={release}"))
            .arg(format!("-DoutputDirectory={}", home.join("libs").display())))?;
        run(Command::new("javac")
            .arg("-d")
            .arg(home.join("classes"))
            .arg("-cp")
            .arg(home.join("libs").join("*"))
            .args(&inputs[1..]))
    })
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Runs a recipe unless `home` bears the stamp of these input files; a recipe that fails leaves no stamp.
fn when_changed(
    home: &Path,
    inputs: &[PathBuf],
    recipe: impl FnOnce() -> Outcome<()>,
) -> Outcome<()> {
    let mut crc = 0;
    for input in inputs {
        crc = crc32c::crc32c_append(crc, &fs::read(input)?);
    }
    let stamp = home.join("installed");
    let expected = format!("{crc:08x}\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == expected) {
        return Ok(());
    }
    fs::create_dir_all(home)?;
    recipe()?;
    Ok(fs::write(stamp, expected)?)
}

fn run(command: &mut Command) -> Outcome<()> {
    packages::run(command).map_err(Failure::new)
}

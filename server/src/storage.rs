//! The data directories of one broker: which log lives in which, under Kafka's names for them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klamm_log_store::OpenFiles;
use klamm_log_store::log_dir::{LogDir, LogOpening, MetaProperties};
use klamm_log_store::partition::Partition;
use tracing::{error, warn};
use uuid::Uuid;

use crate::cluster::local::METADATA_DIRECTORY;
use crate::kafka_uuid;

/// The open data directories.
pub struct Storage {
    dirs: Vec<LogDir>,
    open_files: OpenFiles,
    /// In which directory each log is.
    places: Mutex<HashMap<String, usize>>,
}

/// Data directories that have just been opened.
#[derive(Debug)]
pub struct OpenedStorage {
    pub storage: Storage,
    pub cluster_id: String,
    /// Whether the broker that used them last closed everything.
    pub was_clean: bool,
}

impl Storage {
    /// Opens the directories, makes those that are not there, and finds out which cluster they belong to: the one
    /// that the first of them names, the one asked for, or a new one. Blocks on the disk.
    ///
    /// # Errors
    /// A text for the person who starts the broker.
    pub fn open(
        paths: &[PathBuf],
        cluster_id: Option<&str>,
        node_id: i32,
        open_files_max: Option<usize>,
    ) -> Result<OpenedStorage, String> {
        let open_files = OpenFiles::at_most(open_files_max.unwrap_or_else(half_of_file_limit));
        let mut dirs: Vec<LogDir> = Vec::with_capacity(paths.len());
        for path in paths {
            let known = dirs
                .first()
                .map(|dir| dir.meta().cluster_id.as_str())
                .or(cluster_id);
            let meta = MetaProperties {
                cluster_id: known
                    .map_or_else(|| kafka_uuid::text(kafka_uuid::random()), str::to_owned),
                node_id,
                directory_id: kafka_uuid::text(kafka_uuid::random()),
            };
            let expected = known.map(str::to_owned);
            let dir = LogDir::open_with(open_files.clone(), path, meta)
                .map_err(|error| error.to_string())?;
            if let Some(expected) = expected.filter(|expected| *expected != dir.meta().cluster_id) {
                return Err(format!(
                    "the data directory {} belongs to cluster {}, and this is cluster {expected}",
                    path.display(),
                    dir.meta().cluster_id
                ));
            }
            dir.leave_alone(METADATA_DIRECTORY);
            dirs.push(dir);
        }
        let was_clean = dirs.iter().all(LogDir::was_closed);
        let cluster_id = dirs[0].meta().cluster_id.clone();
        let storage = Self {
            dirs,
            open_files,
            places: Mutex::default(),
        };
        storage.find_logs()?;
        Ok(OpenedStorage {
            storage,
            cluster_id,
            was_clean,
        })
    }

    /// Opens a log, which is made in the directory with the fewest logs when it is new. Blocks on the disk.
    ///
    /// # Errors
    /// A text for the log.
    pub fn open_log(
        &self,
        name: &str,
        topic_id: Uuid,
        opening: LogOpening,
    ) -> Result<Arc<Partition>, String> {
        let place = self.place(name);
        let metadata = format!("version: 0\ntopic_id: {}", kafka_uuid::text(topic_id));
        self.dirs[place]
            .open_partition(name, &metadata, opening)
            .map_err(|error| error.to_string())
    }

    /// Deletes logs. Blocks on the disk.
    pub fn delete_logs(&self, names: &[String]) {
        let mut by_place: BTreeMap<usize, Vec<(&str, u128)>> = BTreeMap::new();
        {
            let mut places = self.lock();
            for name in names {
                if let Some(place) = places.remove(name) {
                    by_place
                        .entry(place)
                        .or_default()
                        .push((name, Uuid::new_v4().as_u128()));
                }
            }
        }
        for (place, logs) in by_place {
            if let Err(error) = self.dirs[place].delete_partitions(logs) {
                error!(path = %self.dirs[place].path().display(), %error, "logs could not be deleted");
            }
        }
    }

    /// Notes what need not be checked after a crash. Blocks on the disk.
    pub fn checkpoint(&self) {
        for dir in &self.dirs {
            if let Err(error) = dir.checkpoint() {
                warn!(path = %dir.path().display(), %error, "recovery points could not be written");
            }
        }
    }

    /// Closes every log and marks the directories as closed. Blocks on the disk.
    pub fn close(&self, broker_epoch: i64) {
        for dir in &self.dirs {
            if let Err(error) = dir.close(broker_epoch) {
                error!(path = %dir.path().display(), %error, "the data directory could not be closed and is checked at the next start");
            }
        }
    }

    /// Deletes logs that no topic of the cluster has any more: their deletion was under way when the broker stopped.
    /// `is_known` says whether a log of this name belongs to the topic that wrote it.
    pub fn delete_strays(&self, is_known: impl Fn(&str, Option<Uuid>) -> bool) {
        for dir in &self.dirs {
            for log in dir.found().unwrap_or_default() {
                let topic_id = log.metadata.as_deref().and_then(topic_id);
                if log.name != METADATA_DIRECTORY
                    && is_log_name(&log.name)
                    && !is_known(&log.name, topic_id)
                {
                    warn!(
                        name = log.name,
                        "a log of a topic that was deleted is removed"
                    );
                    self.delete_logs(&[log.name]);
                }
            }
        }
    }

    /// The ids of the directories, as `meta.properties` has them.
    pub fn directory_ids(&self) -> Vec<Uuid> {
        self.dirs
            .iter()
            .filter_map(|dir| kafka_uuid::parse(&dir.meta().directory_id))
            .collect()
    }

    /// The paths of the directories.
    pub fn paths(&self) -> impl Iterator<Item = &std::path::Path> {
        self.dirs.iter().map(LogDir::path)
    }

    /// The name of some log; none when there is none.
    pub fn any_log(&self) -> Option<String> {
        let places = self.lock();
        let mut names = places.keys();
        names
            .find(|name| *name != METADATA_DIRECTORY && is_log_name(name))
            .cloned()
    }

    /// How many log files are open.
    pub fn open_files_count(&self) -> usize {
        self.open_files.count()
    }

    /// Which directory (by its place among [`Storage::paths`]) holds a log; none when nothing holds it.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        self.lock().get(name).copied()
    }

    fn find_logs(&self) -> Result<(), String> {
        let mut places = self.lock();
        for (place, dir) in self.dirs.iter().enumerate() {
            for log in dir
                .found()
                .map_err(|error| format!("{}: {error}", dir.path().display()))?
            {
                places.insert(log.name, place);
            }
        }
        Ok(())
    }

    fn place(&self, name: &str) -> usize {
        let mut places = self.lock();
        if let Some(place) = places.get(name) {
            return *place;
        }
        let mut counts = vec![0_usize; self.dirs.len()];
        places.values().for_each(|place| counts[*place] += 1);
        let place = (0..counts.len())
            .min_by_key(|place| counts[*place])
            .expect("there is a directory");
        places.insert(name.to_owned(), place);
        place
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Half of the files that this process may have open: the other half is for connections and everything else.
fn half_of_file_limit() -> usize {
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = None;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit / 2).unwrap_or(usize::MAX)
    })
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.paths()).finish()
    }
}

/// Whether a directory's name is that of a log: a topic, a dash and a number.
fn is_log_name(name: &str) -> bool {
    name.rsplit_once('-')
        .is_some_and(|(topic, index)| !topic.is_empty() && index.parse::<u32>().is_ok())
}

/// The topic id in the text of `partition.metadata`.
fn topic_id(metadata: &str) -> Option<Uuid> {
    metadata
        .lines()
        .find_map(|line| kafka_uuid::parse(line.strip_prefix("topic_id: ")?.trim()))
}

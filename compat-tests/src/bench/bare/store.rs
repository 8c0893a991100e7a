//! Topics and partitions: a file each, and where the batches lie in it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use crate::bench::batch;

/// A batch is found from the index entry before it: Kafka's `index.interval.bytes`.
const INDEX_INTERVAL_BYTES: u64 = 4096;

/// All topics by name.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    topics: RwLock<HashMap<String, Arc<[Partition]>>>,
}

impl Store {
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            topics: RwLock::default(),
        }
    }

    pub fn topic(&self, name: &str) -> Option<Arc<[Partition]>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).cloned()
    }

    pub fn create(&self, name: &str, partitions: usize) -> io::Result<()> {
        let partitions = (0..partitions)
            .map(|index| Partition::create(self.directory.join(format!("{name}-{index}.log"))))
            .collect::<io::Result<Arc<[_]>>>()?;
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(name.to_owned(), partitions);
        Ok(())
    }

    pub fn delete(&self, name: &str) -> io::Result<()> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let partitions = topics.remove(name);
        drop(topics);
        for partition in partitions.iter().flat_map(|partitions| partitions.iter()) {
            fs::remove_file(&partition.path)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
pub struct Partition {
    path: PathBuf,
    pub file: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    end_offset: i64,
    end_position: u64,
    index: Vec<Place>,
    waiting: Vec<Arc<Wake>>,
}

/// Where a batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub offset: i64,
    pub position: u64,
}

impl Partition {
    fn create(path: PathBuf) -> io::Result<Self> {
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&path)?;
        Ok(Self {
            path,
            file,
            state: Mutex::default(),
        })
    }

    /// Stamps the batch, appends it with one write, wakes who waits for it, and says where it begins.
    pub fn append(&self, bytes: &mut [u8]) -> io::Result<i64> {
        let mut state = self.lock();
        let place = state.end();
        batch::stamp(bytes, place.offset);
        self.file.write_all_at(bytes, place.position)?;
        let indexed_to = state.index.last().map(|last| last.position);
        if indexed_to.is_none_or(|last| place.position - last >= INDEX_INTERVAL_BYTES) {
            state.index.push(place);
        }
        state.end_offset += batch::offset_count(bytes);
        state.end_position += bytes.len() as u64;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for wake in waiting {
            wake.signal();
        }
        Ok(place.offset)
    }

    pub fn end(&self) -> Place {
        self.lock().end()
    }

    /// Where the batch that begins at `offset` lies.
    pub fn find(&self, offset: i64) -> io::Result<Place> {
        let state = self.lock();
        let end = state.end();
        let behind = state.index.partition_point(|place| place.offset <= offset);
        let mut place = match behind.checked_sub(1) {
            Some(last) if offset < end.offset => state.index[last],
            _ => return Ok(end),
        };
        drop(state);
        let mut header = [0; batch::HEADER_BYTES];
        loop {
            self.file.read_exact_at(&mut header, place.position)?;
            let next = place.offset + batch::offset_count(&header);
            if offset < next {
                return Ok(place);
            }
            place.offset = next;
            place.position += batch::total_bytes(&header).unwrap_or(0) as u64;
        }
    }

    /// Has `wake` signalled by the next append, unless the log has grown beyond `end` already.
    pub fn wait_beyond(&self, end: u64, wake: &Arc<Wake>) -> bool {
        let mut state = self.lock();
        let must_wait = state.end_position <= end;
        if must_wait {
            state.waiting.push(Arc::clone(wake));
        }
        must_wait
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> Place {
        Place {
            offset: self.end_offset,
            position: self.end_position,
        }
    }
}

/// Wakes one fetch that waits.
#[derive(Debug, Default)]
pub struct Wake {
    is_signalled: Mutex<bool>,
    condition: Condvar,
}

impl Wake {
    fn signal(&self) {
        *self
            .is_signalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.condition.notify_one();
    }

    /// Returns when signalled, or when the time is up.
    pub fn wait(&self, patience: std::time::Duration) {
        let guard = self
            .is_signalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .condition
            .wait_timeout_while(guard, patience, |signalled| !*signalled);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends batches of 3 records, more than one index entry apart, and looks every offset up.
    #[test]
    fn a_batch_is_found_by_any_of_its_offsets() {
        let directory = tempfile::tempdir().expect("a folder");
        let store = Store::new(directory.path().to_owned());
        store.create("t", 1).expect("a topic");
        let topic = store.topic("t").expect("it was created");
        let mut bytes = batch::batch(3, 500);
        for index in 0..10 {
            assert_eq!(topic[0].append(&mut bytes).expect("a write"), index * 3);
        }
        for offset in 0..30 {
            let place = topic[0].find(offset).expect("a read");
            let expected = Place {
                offset: offset / 3 * 3,
                position: (offset / 3) as u64 * bytes.len() as u64,
            };
            assert_eq!(place, expected);
        }
        assert_eq!(topic[0].find(30).expect("the end"), topic[0].end());
        store.delete("t").expect("deleted");
        assert!(store.topic("t").is_none());
    }
}

//! Removing the files of deleted logs, which takes time, beside the work of the living.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::engine::disk::fs::Fs;

/// One thread at most, which ends when nothing is left to remove.
pub(super) struct Remover {
    shared: Arc<Shared>,
}

struct Shared {
    fs: Arc<dyn Fs>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// As many as there are directories to remove on the disk.
    doomed: VecDeque<PathBuf>,
    is_running: bool,
    thread: Option<JoinHandle<()>>,
}

impl Remover {
    pub(super) fn new(fs: Arc<dyn Fs>) -> Remover {
        Remover {
            shared: Arc::new(Shared {
                fs,
                state: Mutex::new(State::default()),
            }),
        }
    }

    /// Removes a directory some time. When that fails, the next start tries again.
    pub(super) fn remove(&self, dir: PathBuf) {
        let mut state = self.shared.lock();
        state.doomed.push_back(dir);
        if state.is_running {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("klamm-remove".to_owned())
            .spawn(move || shared.work());
        match thread {
            Ok(thread) => {
                state.is_running = true;
                state.thread = Some(thread);
            }
            Err(error) => tracing::warn!(%error, "no thread for removing files could be started"),
        }
    }

    /// Waits until nothing is left to remove.
    pub(super) fn finish(&self) {
        let thread = self.shared.lock().thread.take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("removing files panicked");
        }
    }
}

impl Drop for Remover {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let dir = {
                let mut state = self.lock();
                match state.doomed.pop_front() {
                    Some(dir) => dir,
                    None => {
                        state.is_running = false;
                        return;
                    }
                }
            };
            if let Err(error) = self.fs.remove_dir_all(&dir) {
                tracing::warn!(dir = %dir.display(), %error, "a deleted log is not removed yet");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

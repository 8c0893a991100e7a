//! What files and names there are, and the changes that lead from one state to the next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::testing::Random;

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) files: HashMap<u64, Vec<u8>>,
    pub(super) names: BTreeMap<PathBuf, Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write {
        id: u64,
        position: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        id: u64,
        bytes: u64,
    },
    Name {
        path: PathBuf,
        node: Option<Node>,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
}

impl Change {
    pub(super) fn file(&self) -> Option<u64> {
        match self {
            Change::Write { id, .. } | Change::SetLen { id, .. } => Some(*id),
            Change::Name { .. } | Change::Rename { .. } => None,
        }
    }

    pub(super) fn is_in(&self, dir: &Path) -> bool {
        match self {
            Change::Name { path, .. } => path.parent() == Some(dir),
            Change::Rename { from, to } => from.parent() == Some(dir) || to.parent() == Some(dir),
            Change::Write { .. } | Change::SetLen { .. } => false,
        }
    }
}

impl Image {
    /// A write that the power cut has interrupted.
    pub(super) fn apply_part(&mut self, change: &Change, random: &mut Random) {
        if let Change::Write {
            id,
            position,
            bytes,
        } = change
        {
            let reached = random.below(bytes.len() as u64 + 1) as usize;
            self.apply(&Change::Write {
                id: *id,
                position: *position,
                bytes: bytes[..reached].to_vec(),
            });
        }
    }

    /// Names in directories that did not reach the disk themselves cannot be found.
    pub(super) fn drop_orphans(&mut self) {
        let mut reachable = BTreeMap::new();
        for (name, node) in std::mem::take(&mut self.names) {
            let parent = name.parent().filter(|dir| *dir != Path::new("/"));
            if parent.is_none_or(|dir| reachable.contains_key(dir)) {
                reachable.insert(name, node);
            }
        }
        self.names = reachable;
    }

    /// Some of the sectors that `changes` have written to reach the disk, as programs see them.
    pub(super) fn copy_some_sectors(
        &mut self,
        seen: &Image,
        changes: &[Change],
        random: &mut Random,
    ) {
        for (id, sector) in written_sectors(changes) {
            if random.one_in(2) {
                self.copy_sector(seen, id, sector);
            }
        }
    }

    /// What programs see of a sector reaches the disk.
    fn copy_sector(&mut self, seen: &Image, id: u64, sector: usize) {
        let Some(from) = seen.files.get(&id) else {
            return;
        };
        let start = (sector * SECTOR_BYTES).min(from.len());
        let end = (start + SECTOR_BYTES).min(from.len());
        self.apply(&Change::Write {
            id,
            position: start as u64,
            bytes: from[start..end].to_vec(),
        });
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write {
                id,
                position,
                bytes,
            } => {
                let file = self.files.entry(*id).or_default();
                let start = *position as usize;
                if file.len() < start + bytes.len() {
                    file.resize(start + bytes.len(), 0);
                }
                file[start..start + bytes.len()].copy_from_slice(bytes);
            }
            Change::SetLen { id, bytes } => {
                self.files
                    .entry(*id)
                    .or_default()
                    .resize(*bytes as usize, 0);
            }
            Change::Name { path, node } => match node {
                Some(node) => {
                    self.names.insert(path.clone(), *node);
                }
                None => self.names.retain(|name, _| !name.starts_with(path)),
            },
            Change::Rename { from, to } => {
                let moved: Vec<(PathBuf, Node)> = self
                    .names
                    .iter()
                    .filter(|(name, _)| name.starts_with(from))
                    .map(|(name, node)| (name.clone(), *node))
                    .collect();
                self.names.retain(|name, _| !name.starts_with(from));
                for (name, node) in moved {
                    let rest = name.strip_prefix(from).expect("it starts with it");
                    let name = if rest.as_os_str().is_empty() {
                        to.clone()
                    } else {
                        to.join(rest)
                    };
                    self.names.insert(name, node);
                }
            }
        }
    }
}

/// The sectors of files that `changes` have written to.
fn written_sectors(changes: &[Change]) -> BTreeSet<(u64, usize)> {
    let mut sectors = BTreeSet::new();
    for change in changes {
        if let Change::Write {
            id,
            position,
            bytes,
        } = change
        {
            let first = *position as usize / SECTOR_BYTES;
            let end = (*position as usize + bytes.len()).div_ceil(SECTOR_BYTES);
            sectors.extend((first..end).map(|sector| (*id, sector)));
        }
    }
    sectors
}

//! `meta.properties`: whom a data directory belongs to. Kafka's `MetaProperties`, version 1
//! (KIP-858).

use std::path::Path;

use super::LogDirError;
use crate::engine::disk::fs::{self, Fs};

const FILE: &str = "meta.properties";
const VERSION: &str = "1";

/// Whom a data directory belongs to. Cluster and directory id are 22 characters of base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    pub directory_id: String,
}

/// What the file says; without one, `new` is written.
pub(super) fn read_or_write(
    fs: &dyn Fs,
    dir: &Path,
    new: MetaProperties,
) -> Result<MetaProperties, LogDirError> {
    let path = dir.join(FILE);
    let Some(bytes) = fs::read_whole(fs, &path)? else {
        sync_ancestors(fs, dir);
        fs::replace_whole(fs, &path, format(&new).as_bytes())?;
        return Ok(new);
    };
    let malformed = |reason: String| LogDirError::MalformedMeta {
        path: path.clone(),
        reason,
    };
    let text = String::from_utf8_lossy(&bytes);
    let field = |key: &str| {
        text.lines()
            .filter(|line| !line.starts_with(['#', '!']))
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim() == key)
            // Java's writer puts a backslash in front of what it thinks special.
            .map(|(_, value)| value.trim().replace('\\', ""))
    };
    let required = |key: &str| field(key).ok_or_else(|| malformed(format!("{key} is missing")));
    let version = required("version")?;
    if version != VERSION {
        return Err(malformed(format!("version {version} is not supported")));
    }
    let node_id = required("node.id")?;
    let node_id = node_id
        .parse()
        .map_err(|_| malformed(format!("node.id {node_id} is not a number")))?;
    if node_id != new.node_id {
        return Err(LogDirError::OtherNode {
            path: dir.to_owned(),
            node_id,
            expected: new.node_id,
        });
    }
    let directory_id = field("directory.id");
    let lacks_directory_id = directory_id.is_none();
    let meta = MetaProperties {
        cluster_id: required("cluster.id")?,
        node_id,
        directory_id: directory_id.unwrap_or(new.directory_id),
    };
    if lacks_directory_id {
        fs::replace_whole(fs, &path, format(&meta).as_bytes())?;
    }
    Ok(meta)
}

/// A new directory must not vanish with the power. Where the directories above may not be read,
/// they were there before.
fn sync_ancestors(fs: &dyn Fs, dir: &Path) {
    for ancestor in dir.ancestors().skip(1) {
        let ancestor = if ancestor.as_os_str().is_empty() {
            Path::new(".")
        } else {
            ancestor
        };
        if let Err(error) = fs.sync_dir(ancestor) {
            tracing::debug!(dir = %ancestor.display(), %error, "a directory could not be synced");
        }
    }
}

fn format(meta: &MetaProperties) -> String {
    format!(
        "cluster.id={}\ndirectory.id={}\nnode.id={}\nversion={VERSION}\n",
        meta.cluster_id, meta.directory_id, meta.node_id
    )
}

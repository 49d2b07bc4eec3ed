//! The last good bundle, on disk, for a start without its source.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::{replace, sha256};
use super::history::{Active, History};

const STATE: &str = "state.json";
const MAX_STATE: u64 = 1024 * 1024;

/// A directory of one server's own.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    dir: PathBuf,
    /// The hash of the address: what came from another source says nothing about this one.
    source: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    source: String,
    history: History,
}

impl Kept {
    pub(super) fn new(dir: PathBuf, source: String) -> Self {
        Self { dir, source }
    }

    /// What was in force of this source; `None` when nothing is kept of it.
    ///
    /// # Errors
    /// When it cannot be read: then it is not known what must not come back.
    pub(super) fn history(&self) -> std::io::Result<Option<History>> {
        use std::io::Read as _;
        let file = match std::fs::File::open(self.dir.join(STATE)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(MAX_STATE).read_to_string(&mut text)?;
        let state: State = serde_json::from_str(&text)?;
        Ok((state.source == self.source).then_some(state.history))
    }

    /// The bytes of the bundle that was in force.
    ///
    /// # Errors
    /// When it is not there, or was changed.
    pub(super) fn bundle(&self, active: &Active) -> std::io::Result<Vec<u8>> {
        let bytes = std::fs::read(self.path(&active.sha256))?;
        if sha256(&bytes) != active.sha256 {
            return Err(std::io::Error::other("the file was changed"));
        }
        Ok(bytes)
    }

    /// Keeps a history, with the bundle that it names. The state is written last and names the
    /// bundle by its hash, so that the two always fit.
    ///
    /// # Errors
    /// When they cannot be written; then what was kept before still is.
    pub(super) fn keep(&self, history: &History, bytes: Option<&[u8]>) -> std::io::Result<()> {
        let current = history.active.as_ref().map(|active| self.path(&active.sha256));
        if let (Some(path), Some(bytes)) = (&current, bytes) {
            replace(path, bytes)?;
        }
        let state = State { source: self.source.clone(), history: history.clone() };
        replace(&self.dir.join(STATE), &serde_json::to_vec_pretty(&state)?)?;
        self.remove_others(current.as_deref());
        Ok(())
    }

    fn path(&self, sha256: &str) -> PathBuf {
        // What the state says is not trusted to be a name.
        let name: String = sha256.chars().filter(char::is_ascii_hexdigit).collect();
        self.dir.join(format!("bundle-{name}.tar.gz"))
    }

    /// One that stays does no harm.
    fn remove_others(&self, current: Option<&Path>) {
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.starts_with("bundle-") && name.ends_with(".tar.gz");
            if ours && Some(path.as_path()) != current {
                drop(std::fs::remove_file(path));
            }
        }
    }
}

//! What a hook remembers between the events of a call, and outcomes that wait to be signed.
//!
//! One file a call, in a directory that only the user can enter. The files hold identifiers and
//! digests, never arguments or results. Two hooks that sign one record at the same time do no harm:
//! its idempotency key makes it one manifest.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sentinel_client::api::SignRequest;
use sentinel_core::id::DecisionId;
use sentinel_provenance::Sha256Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, OrFail as _, Outcome};

/// Files that the directory holds at most. Each is about one block of the disk.
const MOST: usize = 4096;
/// Bytes of the longest file.
const MAX_FILE: usize = 64 << 10;
/// Age from which a call that was decided is taken to have been given up: the user said no to it.
const GIVEN_UP: Duration = Duration::from_secs(24 * 60 * 60);
/// Calls that were decided, and whose end is not known yet.
const OPEN: &str = "open";
/// Outcomes that are not signed yet.
const UNSIGNED: &str = "unsigned";

/// The directory.
#[derive(Debug)]
pub(super) struct Records(PathBuf);

/// An allowed call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Decided {
    pub(super) decision: DecisionId,
    /// Hash of the arguments that were decided on.
    pub(super) arguments: String,
}

/// An outcome, with the call that it is of.
#[derive(Serialize, Deserialize)]
struct Unsigned<R> {
    call_id: String,
    request: R,
}

impl Records {
    /// Opens the directory of the user, making it when there is none.
    pub(super) fn open() -> Outcome<Self> {
        let dir = directory()?;
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&dir);
        made.or_fail(|| format!("cannot make `{}`", dir.display()))?;
        Ok(Self(dir))
    }

    /// Whether no more calls may be made until records are signed. Forgets calls that were given
    /// up.
    pub(super) fn are_full(&self) -> Outcome<bool> {
        let mut files = 0;
        for entry in self.list()? {
            files += 1;
            if files < MOST {
                continue;
            }
            let stale = is_of(&entry, OPEN) && age(&entry).is_some_and(|age| age > GIVEN_UP);
            if !(stale && std::fs::remove_file(&entry).is_ok()) {
                return Ok(true);
            }
            files -= 1;
        }
        Ok(false)
    }

    /// Notes that a call was allowed.
    pub(super) fn note(&self, call_id: &str, decided: &Decided) -> Outcome {
        self.write(&self.path(call_id, OPEN), decided)
    }

    /// Takes the note of a call; `None` when it was not allowed here.
    pub(super) fn take(&self, call_id: &str) -> Outcome<Option<Decided>> {
        let path = self.path(call_id, OPEN);
        let decided = match read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.or_fail(|| format!("cannot read `{}`", path.display()))?,
        };
        remove(&path)?;
        Ok(Some(decided))
    }

    /// Keeps an outcome until it is signed.
    pub(super) fn keep(&self, call_id: &str, request: &SignRequest) -> Outcome {
        let kept = Unsigned { call_id: call_id.to_owned(), request };
        self.write(&self.path(call_id, UNSIGNED), &kept)
    }

    /// Forgets an outcome that was signed.
    pub(super) fn done(&self, call_id: &str) -> Outcome {
        remove(&self.path(call_id, UNSIGNED))
    }

    /// Some of the outcomes that are not signed yet. A file that cannot be read is left alone.
    pub(super) fn kept(&self, most: usize) -> Vec<(String, SignRequest)> {
        let files = self.list().into_iter().flatten();
        let read = files.filter(|path| is_of(path, UNSIGNED)).filter_map(|path| {
            let Unsigned { call_id, request } = read::<Unsigned<SignRequest>>(&path).ok()?;
            Some((call_id, request))
        });
        read.take(most).collect()
    }

    fn list(&self) -> Outcome<impl Iterator<Item = PathBuf> + use<>> {
        let entries = std::fs::read_dir(&self.0);
        let entries = entries.or_fail(|| format!("cannot read `{}`", self.0.display()))?;
        Ok(entries.filter_map(|entry| Some(entry.ok()?.path())))
    }

    fn path(&self, call_id: &str, kind: &str) -> PathBuf {
        self.0.join(format!("{}.{kind}", Sha256Digest::of(call_id.as_bytes()).to_hex()))
    }

    /// Writes a file that is there whole or not at all.
    fn write(&self, path: &Path, content: &impl Serialize) -> Outcome {
        let doing = || format!("cannot write `{}`", path.display());
        let bytes = serde_json::to_vec(content).or_fail(doing)?;
        let new = self.0.join(format!("{}.new", uuid::Uuid::new_v4()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&new, path));
        if written.is_err() {
            // What is left of it is of no use; that it cannot be removed changes nothing.
            drop(std::fs::remove_file(&new));
        }
        written.or_fail(doing)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> std::io::Result<T> {
    if std::fs::metadata(path)?.len() > MAX_FILE as u64 {
        return Err(std::io::Error::other("it is too long"));
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn remove(path: &Path) -> Outcome {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.or_fail(|| format!("cannot remove `{}`", path.display())),
    }
}

fn is_of(path: &Path, kind: &str) -> bool {
    path.extension().is_some_and(|extension| extension == kind)
}

fn age(path: &Path) -> Option<Duration> {
    let changed = std::fs::metadata(path).ok()?.modified().ok()?;
    SystemTime::now().duration_since(changed).ok()
}

/// Under `XDG_STATE_HOME`, or in the usual place of the user's home.
fn directory() -> Outcome<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let of_home = |home: PathBuf| home.join(".local/state");
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(of_home));
    let state = state.ok_or_else(|| {
        Failure::new("there is no home directory to keep records in.").help("Set HOME.")
    })?;
    Ok(state.join("sentinel/hooks/claude-code"))
}

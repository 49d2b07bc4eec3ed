//! A configuration file: read within bounds, written whole or not at all, with its permissions kept
//! and the text from before the first edit beside it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Bytes of the longest configuration that is read. Claude Code keeps the history of chats in its.
const LIMIT: u64 = 32 * 1024 * 1024;
/// What the name of a backup ends with.
const BACKUP: &str = ".before-sentinel";

/// A file as it was when it was read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The file itself: links have been followed.
    path: PathBuf,
    pub text: String,
    permissions: Permissions,
}

/// What saving did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The text from before the first edit; `None` when none was kept.
    pub backup: Option<PathBuf>,
}

/// Where the text of a file from before the first edit is.
#[must_use]
pub fn backup_of(path: &Path) -> PathBuf {
    beside(path, BACKUP)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

impl ConfigFile {
    /// Reads the file at `path`; `None` when there is none. A link is followed, so that the file it
    /// leads to is edited and the link stays.
    ///
    /// # Errors
    /// When it cannot be read, is too long, or is not a regular file of text.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("find", path)(error)),
        };
        let metadata = fs::metadata(&real).map_err(io("read", &real))?;
        if !metadata.is_file() {
            return Err(Error::NotAFile { path: real });
        }
        let text = read_text(&real)?;
        Ok(Some(Self { path: real, text, permissions: metadata.permissions() }))
    }

    /// The file itself, with links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the text. The first time, the old text is kept beside it.
    ///
    /// # Errors
    /// When it cannot be written, or the file has been changed since it was read; then it is as it
    /// was.
    pub fn save(&self, text: &str) -> Result<Saved, Error> {
        let backup = backup_of(&self.path);
        let kept = self.keep(&backup)?;
        self.replace(text)?;
        Ok(Saved { backup: kept.then_some(backup) })
    }

    /// Replaces the text, and removes the backup when nothing of ours is in the file any more.
    ///
    /// # Errors
    /// As [`ConfigFile::save`].
    pub fn restore(&self, text: &str, is_last: bool) -> Result<(), Error> {
        self.replace(text)?;
        if is_last { remove(&backup_of(&self.path)) } else { Ok(()) }
    }

    /// Writes the text that was read to the backup, unless there is one.
    fn keep(&self, backup: &Path) -> Result<bool, Error> {
        match self.create(backup, &self.text) {
            Ok(()) => Ok(true),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn replace(&self, text: &str) -> Result<(), Error> {
        if read_text(&self.path)? != self.text {
            return Err(Error::Changed { path: self.path.clone() });
        }
        let new = beside(&self.path, ".sentinel-new");
        // Left behind by a run that was cut short.
        remove(&new)?;
        self.create(&new, text)?;
        fs::rename(&new, &self.path).map_err(io("replace", &self.path))?;
        let folder = self.path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all());
        folder.map_err(io("write", &self.path))
    }

    /// A new file with the permissions of this one: a configuration may hold secrets.
    fn create(&self, path: &Path, text: &str) -> Result<(), Error> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io("create", path))?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.set_permissions(self.permissions.clone()))
            .and_then(|()| file.sync_all());
        if written.is_err() {
            drop(fs::remove_file(path));
        }
        written.map_err(io("write", path))
    }
}

/// Removes a file, if there is one.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn read_text(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let file = File::open(path).map_err(io("read", path))?;
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(io("read", path))?;
    if text.len() as u64 > LIMIT {
        return Err(Error::TooLarge { path: path.to_owned(), limit: LIMIT });
    }
    Ok(text)
}

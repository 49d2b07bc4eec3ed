//! The directory in which `sentinel dev` keeps everything.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// A data directory; only its owner can enter it.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Opens the directory at `path`, creating it when there is none.
    ///
    /// # Errors
    /// When it cannot be made, is not a directory, or others can enter it.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
        if let Err(error) = made {
            return Err(Failure::new(format!("cannot create `{}`: {error}", path.display()))
                .help("choose another directory with --data-dir"));
        }
        let dir = Self(path.to_owned());
        if let Some(mode) = dir.exposed().map_err(|error| dir.unreadable(&error))? {
            let path = path.display();
            return Err(Failure::new(format!(
                "the data directory `{path}` is open to others (mode {mode:04o}); it holds keys"
            ))
            .help(format!(
                "{}, or choose another with --data-dir",
                sentinel_signers::owner_only(&dir.0, "700")
            )));
        }
        Ok(dir)
    }

    /// The directory at `path`, whatever state it is in.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The permissions of the directory when others can enter it.
    pub(crate) fn exposed(&self) -> io::Result<Option<u32>> {
        let mode = std::fs::metadata(&self.0)?.mode() & 0o777;
        Ok((mode & 0o077 != 0).then_some(mode))
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::new(format!("cannot read `{}`: {error}", self.0.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("sentinel.db")
    }

    pub(crate) fn payload_key(&self) -> PathBuf {
        self.0.join("payload-key")
    }

    pub(crate) fn signing_key(&self) -> PathBuf {
        self.0.join("signing-key.pem")
    }

    pub(crate) fn public_key(&self) -> PathBuf {
        self.0.join("signing-key.pub.pem")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys.json")
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }
}

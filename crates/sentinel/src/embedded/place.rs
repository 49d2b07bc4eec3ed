//! Where the control plane of a user keeps everything.

use std::path::{Path, PathBuf};

use crate::dev::data_dir::DataDir;
use crate::failure::{Failure, Outcome};

/// The data directory of the embedded control plane.
#[derive(Debug, Clone)]
pub(crate) struct Place(DataDir);

impl Place {
    /// Opens the directory, by default that of the user, creating it when there is none.
    ///
    /// # Errors
    /// When it cannot be made, or others can enter it.
    pub(crate) fn open(dir: Option<&Path>) -> Outcome<Self> {
        DataDir::open(&Self::path_of(dir)?).map(Self)
    }

    /// The directory as it is, whether or not there is one.
    pub(crate) fn at(dir: Option<&Path>) -> Outcome<Self> {
        Ok(Self(DataDir::at(&Self::path_of(dir)?)))
    }

    fn path_of(dir: Option<&Path>) -> Outcome<PathBuf> {
        if let Some(dir) = dir {
            return std::path::absolute(dir).map_err(|error| {
                Failure::new(format!("cannot find `{}`: {error}", dir.display()))
            });
        }
        let absolute = |name: &str| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let of_home = if cfg!(target_os = "macos") {
            "Library/Application Support/Sentinel"
        } else {
            ".local/share/sentinel"
        };
        let xdg = absolute("XDG_DATA_HOME").map(|data| data.join("sentinel"));
        let found = xdg.or_else(|| absolute("HOME").map(|home| home.join(of_home)));
        found.ok_or_else(|| {
            Failure::new("there is no home directory to keep anything in")
                .help("set HOME, or give a directory with --data-dir")
        })
    }

    pub(crate) const fn data_dir(&self) -> &DataDir {
        &self.0
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The list of allowed tools.
    pub(crate) fn allowed(&self) -> PathBuf {
        self.0.policies().join("allow/data.yaml")
    }

    /// What the policy is told of where the list is.
    pub(crate) fn told(&self) -> PathBuf {
        self.0.policies().join("place/data.json")
    }

    /// What a running control plane says of itself.
    pub(crate) fn running(&self) -> PathBuf {
        self.path().join("running.json")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path().join("control-plane.log")
    }

    pub(crate) fn lock_of_control_plane(&self) -> PathBuf {
        self.path().join("control-plane.lock")
    }

    pub(crate) fn lock_of_start(&self) -> PathBuf {
        self.path().join("start.lock")
    }

    pub(crate) fn lock_of_wraps(&self) -> PathBuf {
        self.path().join("wraps.lock")
    }
}

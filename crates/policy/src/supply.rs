//! Where bundles come from, and how they come into force.
//!
//! A [`BundleSource`] answers what there is. The [`Keeper`] asks it from time to time, and puts what
//! is newer, trusted and vetted in force; whatever goes wrong leaves the policy in force where it is,
//! and the status says so. What was in force is kept on disk for a start without the source.

mod address;
mod file;
mod git;
mod history;
mod http;
mod keeper;
mod kept;
mod object;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

pub use self::address::{Access, AddressError, open};
pub use self::keeper::{Keeper, KeeperConfig, Pace, SupplyCounts};

/// What a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// What was in force last, or nothing at all.
    Unchanged,
    Bundle(Candidate),
}

/// A bundle that nobody has looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub bytes: Vec<u8>,
    /// By which the source knows this one (`ETag`, commit).
    pub tag: Option<String>,
    /// Its revision, should its manifest state none.
    pub revision: Option<String>,
    /// Tests that are not in it, by path: they have to pass before it decides.
    pub tests: BTreeMap<String, String>,
}

/// Why a source gave no bundle. Addresses and secrets are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It is away, or refuses us, or what it has is too large.
    #[error("{0}")]
    Away(String),
    /// What it has is of nobody that is trusted.
    #[error("{0}")]
    Untrusted(String),
}

impl FetchError {
    #[expect(clippy::needless_pass_by_value, reason = "errors are handed over by `map_err`")]
    pub(crate) fn new(detail: impl ToString) -> Self {
        Self::Away(detail.to_string())
    }
}

/// Where bundles come from.
#[async_trait]
pub trait BundleSource: Send + Sync + std::fmt::Debug {
    /// The bundle that is there now, unless it is the one with the tag `known`, which is the one in
    /// force. May wait for a new one.
    ///
    /// # Errors
    /// When the source is away, refuses us, or what it has is too large.
    async fn fetch(&self, known: Option<&str>) -> Result<Fetched, FetchError>;

    /// Time to leave until the next question, where that is not what is configured; `trouble` says
    /// whether this one came to nothing.
    fn pause(&self, trouble: bool) -> Option<Duration> {
        let _ = trouble;
        None
    }
}

/// In hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Puts a file in place of another, so that at every moment one of the two is there as a whole, and
/// the new one is on disk afterwards.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = dir.join(format!(".{name}.{}", std::process::id()));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        std::fs::File::open(dir)?.sync_all()
    });
    if written.is_err() {
        drop(std::fs::remove_file(&beside));
    }
    written
}

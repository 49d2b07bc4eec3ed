//! What every source of bundles has in common.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

/// What a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// What was in force last, or nothing at all.
    Unchanged,
    Bundle(Candidate),
}

/// A bundle that has not been opened yet.
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
    /// What it has is not signed by anyone who is trusted.
    #[error("{0}")]
    Untrusted(String),
}

impl FetchError {
    #[expect(clippy::needless_pass_by_value, reason = "errors are handed over by `map_err`")]
    pub(super) fn new(detail: impl ToString) -> Self {
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

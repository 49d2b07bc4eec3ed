//! The port of a store whose past months can be moved to an archive.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::ports::StoreError;

use crate::archive::{Archive, Published};
use crate::error::ArchiveError;
use crate::manifest::Manifest;
use crate::month::Month;

/// A store that keeps decisions by month.
#[async_trait]
pub trait MonthStore: Send + Sync + std::fmt::Debug {
    /// The months in the database that are older than the `keep` ones before the current one, of
    /// which at least one is kept; the oldest first. The current month is that of the earlier of
    /// two clocks: `now`, and the one of the store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn closed_months(
        &self,
        keep: u32,
        now: Timestamp,
    ) -> Result<Vec<ClosedMonth>, StoreError>;

    /// Moves a month to `archive`; `by` is the program that does, and its version. `None` when
    /// another replica is moving it, or the month is not there any more. Takes as long as it takes;
    /// it can be cancelled and tried again at any time.
    ///
    /// # Errors
    /// Why the month is still in the database, whole.
    async fn archive_month(
        &self,
        month: ClosedMonth,
        archive: &Archive,
        now: Timestamp,
        by: &str,
    ) -> Result<Option<ArchivedMonth>, ArchivingError>;
}

/// A month that is over and need not be kept in the database any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedMonth(Month);

impl ClosedMonth {
    /// `month`, if it is before the first one that is `kept`.
    #[must_use]
    pub fn before(month: Month, kept: Month) -> Option<Self> {
        (month < kept).then_some(Self(month))
    }

    #[must_use]
    pub const fn month(self) -> Month {
        self.0
    }
}

/// A month that is in the archive and no longer in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedMonth {
    pub manifest: Manifest,
    /// Whether an earlier attempt had written the archive.
    pub published: Published,
}

/// Why a month is still in the database.
#[derive(Debug, thiserror::Error)]
pub enum ArchivingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("the decisions of `{0}` in the database are not those in the archive")]
    Different(Month),
}

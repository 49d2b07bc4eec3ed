use sentinel_objects::told;

use crate::month::Month;

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("the object storage failed: {}", told(.0))]
    Storage(#[from] object_store::Error),
    #[error("there is no archive of `{0}`")]
    NoArchive(Month),
    /// The archive is not what its manifest says.
    #[error("the archive of `{month}` is damaged: {what}")]
    Damaged { month: Month, what: String },
    /// Another archive of the month was there first.
    #[error("`{0}` is archived already, with other decisions than these")]
    Conflict(Month),
    #[error("a decision of `{month}` cannot be archived: {what}")]
    Unwritable { month: Month, what: String },
    /// The runtime is shutting down.
    #[error("the work was broken off")]
    BrokenOff,
}

impl From<tokio::task::JoinError> for ArchiveError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::BrokenOff
    }
}

//! Failures inside the store, and what they are to its callers.

use sentinel_archive::ArchivingError;
use sentinel_core::ports::{Conflict, StoreError};

/// Why a piece of work on a connection failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl From<Conflict> for Failure {
    fn from(conflict: Conflict) -> Self {
        Self::Store(StoreError::Conflict(conflict))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error,
            Failure::Sql(error) => of_sql(&error),
        }
    }
}

impl From<Failure> for ArchivingError {
    fn from(failure: Failure) -> Self {
        Self::Store(failure.into())
    }
}

/// For the pool, which knows no other errors.
impl From<Failure> for sqlx::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql(error) => error,
            Failure::Store(error) => Self::Configuration(Box::new(error)),
        }
    }
}

/// SQLSTATE of what the triggers raise that guard a destroyed key.
const KEY_DESTROYED: &str = "SN001";
/// The constraint that no two manifests have one id.
const MANIFEST_IDS: &str = "manifests_id_key";

fn of_sql(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) if error.code().as_deref() == Some(KEY_DESTROYED) => {
            StoreError::Conflict(Conflict::PayloadKeyDestroyed)
        }
        sqlx::Error::Database(error) if error.constraint() == Some(MANIFEST_IDS) => {
            StoreError::Conflict(Conflict::ManifestExists)
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::Corrupt(error.to_string())
        }
        // Classes XX and 58 of SQLSTATE would say that data is damaged, but never about one row.
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// An error of the store itself, in words.
pub(crate) fn unavailable(why: impl Into<String>) -> Failure {
    Failure::Store(StoreError::Unavailable(why.into()))
}

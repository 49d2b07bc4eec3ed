//! Failures inside the store, and what they are to its callers.

use rusqlite::ErrorCode;
use sentinel_core::ports::{Conflict, StoreError};

/// Why a piece of work on a connection failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
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

/// What the triggers say that guard a destroyed key.
const KEY_DESTROYED: &str = "payload key destroyed";
/// What SQLite says of the second manifest with one id.
const MANIFEST_EXISTS: &str = "UNIQUE constraint failed: manifests.id";

fn of_sql(error: &rusqlite::Error) -> StoreError {
    match error {
        rusqlite::Error::SqliteFailure(failure, Some(message))
            if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER
                && message == KEY_DESTROYED =>
        {
            StoreError::Conflict(Conflict::PayloadKeyDestroyed)
        }
        rusqlite::Error::SqliteFailure(failure, Some(message))
            if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                && message == MANIFEST_EXISTS =>
        {
            StoreError::Conflict(Conflict::ManifestExists)
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StoreError::Corrupt(error.to_string()),
        rusqlite::Error::SqliteFailure(failure, _)
            if failure.code == ErrorCode::DatabaseCorrupt =>
        {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// An error of the store itself, in words.
pub(crate) fn unavailable(why: impl Into<String>) -> Failure {
    Failure::Store(StoreError::Unavailable(why.into()))
}

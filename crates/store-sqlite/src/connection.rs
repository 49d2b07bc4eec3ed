//! Opening the database file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sentinel_core::ports::StoreError;

use crate::error::Result;
use crate::migrations;

/// How long a connection waits for another that is in its way.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database file, held by this process alone for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    /// Locked; the operating system lets go of it when the process ends, however it ends.
    _lock: File,
}

/// Creates the file when there is none, readable by its owner only since it holds the tenants'
/// secrets, and locks it against other processes.
pub(crate) fn hold(path: &Path) -> std::result::Result<Held, StoreError> {
    let failed = |path: &Path, error: std::io::Error| {
        StoreError::Unavailable(format!("cannot open `{}`: {error}", path.display()))
    };
    private().open(path).map_err(|error| failed(path, error))?;
    // Two names of one file must meet in one lock.
    let path = path.canonicalize().map_err(|error| failed(path, error))?;
    let mut name = path.clone().into_os_string();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let lock = private().open(&lock_path).map_err(|error| failed(&lock_path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(Held { path, _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { database: path, lock: lock_path }),
        Err(TryLockError::Error(error)) => Err(failed(&lock_path, error)),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The connection that writes. `synchronous=FULL` is what makes a commit durable in WAL mode.
pub(crate) fn writing(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    migrations::refuse_foreign(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten: a destroyed key must not stay behind in a free page.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // Kibibytes when negative: 32 MiB, taken only as it is filled.
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A connection that copies the log into the database file.
pub(crate) fn copying(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// A connection that reads.
pub(crate) fn reading(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The planner would rather index a whole log for one page than walk it in its order.
    connection.pragma_update(None, "automatic_index", false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

//! Opening the database; each port is implemented beside its SQL.

use std::path::Path;

use rusqlite::Connection;
use sentinel_core::ports::StoreError;

use crate::error::Failure;
use crate::readers::Readers;
use crate::writer::Writer;
use crate::{connection, migrations};

/// A store in one database file. Its methods need a Tokio runtime; opening and dropping do not.
///
/// Times are stored in microseconds; finer precision is lost.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped first: the last connection to the file copies what is left of the log into it.
    pub(crate) readers: Readers,
    pub(crate) writer: Writer,
}

impl SqliteStore {
    /// Opens the database at `path`, creating it when there is none and bringing its schema up to
    /// date. It belongs to this value until that is dropped, which waits for what is being
    /// written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be opened, is another application's, is
    /// open in another process or was made by an edited migration; [`StoreError::SchemaTooNew`]
    /// when a newer version wrote it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let held = connection::hold(path.as_ref())?;
        let mut connection = connection::writing(&held.path)?;
        migrations::migrate(&mut connection)?;
        end_leads(&connection)?;
        let readers = Readers::new(held.path.clone());
        let writer = Writer::start(connection, held)?;
        Ok(Self { readers, writer })
    }

    /// Brings the schema of the database at `path` up to date; returns its version.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`].
    pub fn migrate(path: impl AsRef<Path>) -> Result<u32, StoreError> {
        let held = connection::hold(path.as_ref())?;
        let mut connection = connection::writing(&held.path)?;
        Ok(migrations::migrate(&mut connection)?)
    }
}

/// Ends the lead of a process that is gone. Only a process that has the file open can lead, and one
/// that opens it has it alone, so the log need not wait until that lead has run out.
fn end_leads(connection: &Connection) -> Result<(), Failure> {
    connection.execute("UPDATE log_leader SET held_until = 0 WHERE held_until > 0", [])?;
    Ok(())
}

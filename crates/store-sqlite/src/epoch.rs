//! The epoch, and the last sequence that was given out.

use rusqlite::{Connection, Transaction};
use sentinel_core::epoch::Epoch;

use crate::error::Result;

/// The last epoch and the last sequence given out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub(crate) epoch: Epoch,
    pub(crate) sequence: u64,
}

/// The last decision has the last sequence, so that a commit need not write it a second time.
pub(crate) fn read(connection: &Connection) -> Result<Last> {
    let sql = "SELECT epoch, ifnull((SELECT max(sequence) FROM policy_logs), 0) FROM meta";
    let mut statement = connection.prepare_cached(sql)?;
    let (epoch, sequence) =
        statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    Ok(Last { epoch: Epoch(epoch.cast_unsigned()), sequence: sequence.cast_unsigned() })
}

/// Begins the next epoch.
pub(crate) fn advance(transaction: &Transaction<'_>) -> Result<Epoch> {
    let sql = "UPDATE meta SET epoch = epoch + 1 RETURNING epoch";
    let epoch: i64 = transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(Epoch(epoch.cast_unsigned()))
}

//! What the deployment has one of: epoch, last sequence, secrets.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sentinel_core::control::ControlChanges;
use sentinel_core::epoch::Epoch;
use sentinel_core::store::StoreError;

use crate::error::{Result, unavailable};
use crate::policy;
use crate::row::{Stored, all, select};

/// The last epoch and the last sequence given out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    pub(crate) epoch: Epoch,
    pub(crate) sequence: u64,
}

/// The last decision tells the last sequence, so that a commit need not write it a second time.
pub(crate) fn read(connection: &Connection) -> Result<Meta> {
    let sql = "SELECT epoch, ifnull((SELECT max(sequence) FROM policy_logs), 0) FROM meta";
    let mut statement = connection.prepare_cached(sql)?;
    let (epoch, sequence) =
        statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    Ok(Meta { epoch: Epoch(epoch.cast_unsigned()), sequence: sequence.cast_unsigned() })
}

/// Begins the next epoch.
pub(crate) fn advance(transaction: &Transaction<'_>) -> Result<Epoch> {
    let sql = "UPDATE meta SET epoch = epoch + 1 RETURNING epoch";
    let epoch: i64 = transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(Epoch(epoch.cast_unsigned()))
}

/// What changed after `since`. Reading everything, the table is read in its own order: an index
/// would jump about in it a million times.
pub(crate) fn control_changes(connection: &Connection, since: Epoch) -> Result<ControlChanges> {
    let epoch = read(connection)?.epoch;
    if since == Epoch::default() {
        return Ok(ControlChanges {
            epoch,
            tenants: everything(connection)?,
            tools: everything(connection)?,
            keys: all(connection, "revoked_at IS NULL", [])?,
            kills: all(connection, "restored_at IS NULL", [])?,
            policy_data: policy::changed_data(connection, since)?,
            rollouts: policy::changed_rollouts(connection, since)?,
        });
    }
    let policy_data = policy::changed_data(connection, since)?;
    let rollouts = policy::changed_rollouts(connection, since)?;
    let since = [since.0.cast_signed()];
    Ok(ControlChanges {
        epoch,
        policy_data,
        rollouts,
        tenants: all(connection, "epoch > ?1", since)?,
        tools: all(connection, "epoch > ?1", since)?,
        keys: all(connection, "epoch > ?1", since)?,
        kills: all(connection, "epoch > ?1", since)?,
    })
}

fn everything<T: Stored>(connection: &Connection) -> Result<Vec<T>> {
    select(connection, &format!("SELECT {} FROM {}", T::COLUMNS, T::TABLE), [])
}

pub(crate) fn secret(
    transaction: &Transaction<'_>,
    name: &str,
    candidate: [u8; 32],
) -> Result<[u8; 32]> {
    let sql = "INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    transaction.execute(sql, params![name, candidate])?;
    let value: Option<Vec<u8>> = transaction
        .query_row("SELECT value FROM secrets WHERE name = ?1", [name], |row| row.get(0))
        .optional()?;
    let value = value.ok_or_else(|| unavailable("the new secret is not there"))?;
    value
        .try_into()
        .map_err(|_| StoreError::Corrupt("a secret does not have 32 bytes".to_owned()).into())
}

/// Writes one row, so that the commit finds out whether the disk takes it.
pub(crate) fn ping(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("UPDATE meta SET pings = pings + 1", [])?;
    Ok(())
}

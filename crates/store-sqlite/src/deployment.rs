//! What a deployment has one of: secrets, and whether the store works.

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Transaction, params};
use sentinel_core::ports::{DeploymentStore, StoreError};

use crate::error::{Result as Work, unavailable};
use crate::store::SqliteStore;

#[async_trait]
impl DeploymentStore for SqliteStore {
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let name = name.to_owned();
        self.writer.run(move |write| secret(write, &name, candidate)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.run(ping).await
    }
}

pub(crate) fn secret(
    transaction: &Transaction<'_>,
    name: &str,
    candidate: [u8; 32],
) -> Work<[u8; 32]> {
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
pub(crate) fn ping(transaction: &Transaction<'_>) -> Work<()> {
    transaction.execute("UPDATE meta SET pings = pings + 1", [])?;
    Ok(())
}

//! How far the log was sent on, and what other services returned about its leaves.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sentinel_core::log::{LogPlace, LogReceipt};
use sentinel_core::ports::{ReceiptStore, StoreError};

use crate::error::Result as Work;
use crate::row::all;
use crate::store::SqliteStore;

#[async_trait]
impl ReceiptStore for SqliteStore {
    async fn log_cursor(&self, destination: &str, shard: u32) -> Result<u64, StoreError> {
        let destination = destination.to_owned();
        self.readers.run(move |read| cursor(read, &destination, shard)).await
    }

    async fn move_log_cursor(
        &self,
        destination: &str,
        shard: u32,
        to: u64,
        receipts: Vec<LogReceipt>,
    ) -> Result<(), StoreError> {
        let destination = destination.to_owned();
        self.writer.run(move |write| move_cursor(write, &destination, shard, to, &receipts)).await
    }

    async fn receipts(&self, place: LogPlace) -> Result<Vec<LogReceipt>, StoreError> {
        self.readers.run(move |read| receipts(read, place)).await
    }
}

fn cursor(connection: &Connection, destination: &str, shard: u32) -> Work<u64> {
    let sql = "SELECT position FROM log_cursors WHERE destination = ?1 AND shard = ?2";
    let position = connection.query_row(sql, params![destination, shard], |row| row.get(0));
    Ok(position.optional()?.map_or(0, i64::cast_unsigned))
}

fn move_cursor(
    transaction: &Transaction<'_>,
    destination: &str,
    shard: u32,
    to: u64,
    receipts: &[LogReceipt],
) -> Work<()> {
    let sql = "INSERT INTO log_cursors VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET position = max(position, excluded.position)";
    transaction.execute(sql, params![destination, shard, to.cast_signed()])?;
    let sql = "INSERT INTO log_receipts VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let mut statement = transaction.prepare_cached(sql)?;
    for LogReceipt { place, kind, content } in receipts {
        let index = place.index.cast_signed();
        statement.execute(params![place.shard, index, kind.as_str(), content])?;
    }
    Ok(())
}

fn receipts(connection: &Connection, place: LogPlace) -> Work<Vec<LogReceipt>> {
    let place = params![place.shard, place.index.cast_signed()];
    all(connection, "shard = ?1 AND log_index = ?2 ORDER BY kind", place)
}

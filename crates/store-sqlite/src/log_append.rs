//! Appending to the log: leaves get their places in the transaction that stores what they are
//! about.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sentinel_core::log::{LogPlace, LogStatement, NewStatement, StatementKind};
use sentinel_core::manifest::Manifest;
use sentinel_core::ports::{StatementStore, StoreError};
use uuid::Uuid;

use crate::error::{Result as Work, unavailable};
use crate::row::{self, all};
use crate::store::SqliteStore;

#[async_trait]
impl StatementStore for SqliteStore {
    async fn append_statements(
        &self,
        statements: Vec<NewStatement>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        self.writer.run(move |write| append_statements(write, &statements)).await
    }

    async fn statements(&self, kind: StatementKind) -> Result<Vec<LogStatement>, StoreError> {
        self.readers.run(move |read| statements(read, kind)).await
    }

    async fn unlogged_manifests(&self, limit: u32) -> Result<Vec<Manifest>, StoreError> {
        self.readers.run(move |read| unlogged(read, limit)).await
    }

    async fn log_manifests(&self, manifests: Vec<(Uuid, Vec<u8>)>) -> Result<(), StoreError> {
        self.writer.run(move |write| adopt(write, &manifests)).await
    }
}

/// Where the next leaf goes.
struct Counter {
    shard: u32,
    next: u64,
}

/// The counter of the open shard.
fn counter(connection: &Connection) -> Work<Option<Counter>> {
    let sql = "SELECT shard, next_index FROM log_counters WHERE is_open";
    let mut statement = connection.prepare_cached(sql)?;
    let counter = statement.query_row([], |row| {
        Ok(Counter { shard: row.get(0)?, next: row.get::<_, i64>(1)?.cast_unsigned() })
    });
    Ok(counter.optional()?)
}

/// Appends leaves to the open shard, in order; returns their places.
pub(crate) fn leaves(transaction: &Transaction<'_>, leaves: &[&[u8]]) -> Work<Vec<LogPlace>> {
    let Counter { shard, next } = counter(transaction)?.ok_or(StoreError::NoOpenShard)?;
    let sql = "INSERT INTO log_entries (shard, log_index, leaf) VALUES (?1, ?2, ?3)";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut places = Vec::with_capacity(leaves.len());
    for (leaf, index) in leaves.iter().zip(next..) {
        statement.execute(params![shard, index.cast_signed(), leaf])?;
        places.push(LogPlace { shard, index });
    }
    let after = next + places.len() as u64;
    let sql = "UPDATE log_counters SET next_index = ?2 WHERE shard = ?1";
    transaction.prepare_cached(sql)?.execute(params![shard, after.cast_signed()])?;
    Ok(places)
}

/// Stores and appends statements; those that are stored already are left as they are.
pub(crate) fn append_statements(
    transaction: &Transaction<'_>,
    statements: &[NewStatement],
) -> Work<Vec<LogPlace>> {
    let mut places = Vec::with_capacity(statements.len());
    for NewStatement { statement, leaf } in statements {
        let id = statement.id.0;
        let place = match place_of(transaction, id)? {
            Some(place) => place,
            None => {
                let new = leaves(transaction, &[leaf])?;
                let place =
                    new.first().copied().ok_or_else(|| unavailable("no place was given"))?;
                let statement = LogStatement { place: Some(place), ..statement.clone() };
                row::insert(transaction, &statement, &[])?;
                place
            }
        };
        places.push(place);
    }
    Ok(places)
}

fn place_of(connection: &Connection, id: Uuid) -> Work<Option<LogPlace>> {
    let sql = "SELECT log_shard, log_index FROM log_statements WHERE id = ?1";
    let place = connection.query_row(sql, [id.as_bytes()], |row| {
        Ok(LogPlace { shard: row.get(0)?, index: row.get::<_, i64>(1)?.cast_unsigned() })
    });
    Ok(place.optional()?)
}

/// Manifests of versions without a log.
fn unlogged(connection: &Connection, limit: u32) -> Work<Vec<Manifest>> {
    all(connection, "log_index IS NULL ORDER BY sequence LIMIT ?1", [limit])
}

/// Gives such manifests places.
fn adopt(transaction: &Transaction<'_>, manifests: &[(Uuid, Vec<u8>)]) -> Work<()> {
    let sql = "SELECT count(*) FROM manifests WHERE id = ?1 AND log_index IS NULL";
    for (id, leaf) in manifests {
        let is_unlogged: u32 = transaction.query_row(sql, [id.as_bytes()], |row| row.get(0))?;
        if is_unlogged == 0 {
            continue;
        }
        for place in leaves(transaction, &[leaf])? {
            let sql = "UPDATE manifests SET log_shard = ?2, log_index = ?3 WHERE id = ?1";
            let index = place.index.cast_signed();
            transaction.execute(sql, params![id.as_bytes(), place.shard, index])?;
        }
    }
    Ok(())
}

fn statements(connection: &Connection, kind: StatementKind) -> Work<Vec<LogStatement>> {
    all(connection, "kind = ?1 ORDER BY sequence", [kind.as_str()])
}

//! The transparency log: shards, heads, tiles, leaves, and which replica sequences.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sentinel_core::log::{Advance, LogHead, LogPlace, LogShard, NewShard};
use sentinel_core::ports::{ShardStore, StoreError};
use sentinel_store_rows::whole_leaves;
use uuid::Uuid;

use crate::error::Result as Work;
use crate::log_append;
use crate::row::{all, one, select_with};
use crate::store::SqliteStore;

/// The frontier of a tree without leaves.
const EMPTY: [u8; 8] = [0; 8];

/// The clock of the store, in microseconds.
const NOW: &str = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

#[async_trait]
impl ShardStore for SqliteStore {
    async fn log_shards(&self) -> Result<Vec<LogShard>, StoreError> {
        self.readers.run(|read| shards(read)).await
    }

    async fn seal_shard(&self, ordinal: u32) -> Result<(), StoreError> {
        self.writer.run(move |write| seal_shard(write, ordinal)).await
    }

    async fn start_shard(&self, shard: NewShard) -> Result<Option<LogShard>, StoreError> {
        self.writer.run(move |write| start_shard(write, shard)).await
    }

    async fn lead(&self, holder: Uuid, ttl: Duration) -> Result<Option<u64>, StoreError> {
        self.writer.run(move |write| lead(write, holder, ttl)).await
    }

    async fn resign(&self, holder: Uuid) -> Result<(), StoreError> {
        self.writer.run(move |write| resign(write, holder)).await
    }

    async fn log_head(&self, shard: u32) -> Result<Option<LogHead>, StoreError> {
        self.readers.run(move |read| head(read, shard)).await
    }

    async fn leaves(&self, shard: u32, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        self.readers.run(move |read| leaves(read, shard, from, limit)).await
    }

    async fn tiles(
        &self,
        shard: u32,
        wanted: Vec<(u8, u64)>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.readers.run(move |read| tiles(read, shard, &wanted)).await
    }

    async fn advance(&self, step: Advance) -> Result<bool, StoreError> {
        self.writer.run(move |write| advance(write, &step)).await
    }

    async fn keep_witnessed(
        &self,
        shard: u32,
        size: u64,
        checkpoint: String,
    ) -> Result<(), StoreError> {
        self.writer.run(move |write| keep_witnessed(write, shard, size, &checkpoint)).await
    }
}

fn shards(connection: &Connection) -> Work<Vec<LogShard>> {
    all(connection, "true ORDER BY ordinal", [])
}

fn seal_shard(transaction: &Transaction<'_>, ordinal: u32) -> Work<()> {
    transaction.execute("UPDATE log_counters SET is_open = 0 WHERE shard = ?1", [ordinal])?;
    Ok(())
}

fn start_shard(transaction: &Transaction<'_>, shard: NewShard) -> Work<Option<LogShard>> {
    if !is_next(transaction, shard.after)? {
        return Ok(None);
    }
    let ordinal = shard.after.map_or(1, |last| last.shard + 1);
    let at = shard.at.as_microsecond();
    let sql = "UPDATE log_shards SET sealed_at = ?2 WHERE ordinal = ?1 - 1";
    transaction.execute(sql, params![ordinal, at])?;
    let sql = "INSERT INTO log_shards (ordinal, origin, verifier_key, started_at)
        VALUES (?1, ?2, ?3, ?4)";
    transaction.execute(sql, params![ordinal, shard.origin, shard.verifier_key, at])?;
    transaction.execute("INSERT INTO log_counters VALUES (?1, 0, 1)", [ordinal])?;
    let sql = "INSERT INTO log_heads (shard, size, frontier) VALUES (?1, 0, ?2)";
    transaction.execute(sql, params![ordinal, EMPTY])?;
    log_append::append_statements(transaction, &[shard.first])?;
    one(transaction, "ordinal = ?1", [ordinal])
}

/// Whether a shard may begin after `after`, the place behind the last leaf of the one before.
fn is_next(connection: &Connection, after: Option<LogPlace>) -> Work<bool> {
    let sql =
        "SELECT shard, next_index, is_open, size FROM log_counters JOIN log_heads USING (shard)
        ORDER BY shard DESC LIMIT 1";
    let last = connection.query_row(sql, [], |row| {
        let next = row.get::<_, i64>(1)?;
        let place = LogPlace { shard: row.get(0)?, index: next.cast_unsigned() };
        Ok((place, !row.get::<_, bool>(2)? && row.get::<_, i64>(3)? == next))
    });
    Ok(match (last.optional()?, after) {
        (None, None) => true,
        (Some((place, is_over)), Some(after)) => is_over && place == after,
        _ => false,
    })
}

fn lead(transaction: &Transaction<'_>, holder: Uuid, ttl: Duration) -> Work<Option<u64>> {
    let sql = format!(
        "UPDATE log_leader SET fence = fence + (holder IS NOT ?1), holder = ?1,
            held_until = {NOW} + ?2
        WHERE holder = ?1 OR held_until < {NOW} RETURNING fence"
    );
    let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare_cached(&sql)?;
    let fence = statement.query_row(params![holder.as_bytes(), ttl], |row| row.get::<_, i64>(0));
    Ok(fence.optional()?.map(i64::cast_unsigned))
}

fn resign(transaction: &Transaction<'_>, holder: Uuid) -> Work<()> {
    let sql = "UPDATE log_leader SET held_until = 0 WHERE holder = ?1";
    transaction.execute(sql, [holder.as_bytes()])?;
    Ok(())
}

fn head(connection: &Connection, shard: u32) -> Work<Option<LogHead>> {
    one(connection, "shard = ?1", [shard])
}

fn leaves(connection: &Connection, shard: u32, from: u64, limit: u32) -> Work<Vec<Vec<u8>>> {
    let sql = "SELECT counter.next_index, entry.log_index, entry.leaf FROM log_counters AS counter
        LEFT JOIN log_entries AS entry ON entry.shard = counter.shard
            AND entry.log_index >= ?2 AND entry.log_index < ?2 + ?3
        WHERE counter.shard = ?1 ORDER BY entry.log_index";
    let params = params![shard, from.cast_signed(), limit];
    let rows = select_with(connection, sql, params, "log_entries", |columns| {
        Ok((columns.count()?, columns.count_optional()?.zip(columns.bytes_optional()?)))
    })?;
    Ok(whole_leaves(shard, from, limit, rows)?)
}

fn tiles(connection: &Connection, shard: u32, wanted: &[(u8, u64)]) -> Work<Vec<Option<Vec<u8>>>> {
    let sql = "SELECT hashes FROM log_tiles WHERE shard = ?1 AND level = ?2 AND tile_index = ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let read = wanted.iter().map(|(level, index)| {
        let params = params![shard, level, index.cast_signed()];
        Ok(statement.query_row(params, |row| row.get(0)).optional()?)
    });
    read.collect()
}

fn advance(transaction: &Transaction<'_>, step: &Advance) -> Work<bool> {
    let sql = "UPDATE log_heads SET size = ?3, frontier = ?4, checkpoint = ?5
        WHERE shard = ?1 AND size = ?2 AND (SELECT fence FROM log_leader) = ?6";
    let moved = transaction.prepare_cached(sql)?.execute(params![
        step.shard,
        step.from.cast_signed(),
        step.size.cast_signed(),
        step.frontier,
        step.checkpoint,
        step.fence.cast_signed(),
    ])?;
    if moved == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO log_tiles (shard, level, tile_index, hashes) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET hashes = excluded.hashes";
    let mut statement = transaction.prepare_cached(sql)?;
    for tile in &step.tiles {
        let index = tile.index.cast_signed();
        statement.execute(params![step.shard, tile.level, index, tile.hashes])?;
    }
    Ok(true)
}

fn keep_witnessed(
    transaction: &Transaction<'_>,
    shard: u32,
    size: u64,
    checkpoint: &str,
) -> Work<()> {
    let sql = "UPDATE log_heads SET witnessed_size = ?2, witnessed = ?3
        WHERE shard = ?1 AND coalesce(witnessed_size, 0) <= ?2";
    transaction.execute(sql, params![shard, size.cast_signed(), checkpoint])?;
    Ok(())
}

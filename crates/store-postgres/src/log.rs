//! The transparency log: shards, heads, tiles, leaves, and which replica sequences.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::log::{Advance, LogHead, LogPlace, LogShard, NewShard};
use sentinel_core::ports::{ShardStore, StoreError};
use sentinel_store_rows::whole_leaves;
use sqlx::{PgConnection, PgPool, query, query_as, query_scalar};
use uuid::Uuid;

use crate::error::Result as Work;
use crate::log_append;
use crate::row::{all, one};
use crate::store::PostgresStore;
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

/// The frontier of a tree without leaves.
const EMPTY: [u8; 8] = [0; 8];

#[async_trait]
impl ShardStore for PostgresStore {
    async fn log_shards(&self) -> Result<Vec<LogShard>, StoreError> {
        self.read(shards(&self.pool)).await
    }

    async fn seal_shard(&self, ordinal: u32) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { seal_shard(&pool, ordinal).await }).await
    }

    async fn start_shard(&self, shard: NewShard) -> Result<Option<LogShard>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { start_shard(&pool, shard).await }).await
    }

    async fn lead(&self, holder: Uuid, ttl: Duration) -> Result<Option<u64>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { lead(&pool, holder, ttl).await }).await
    }

    async fn resign(&self, holder: Uuid) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { resign(&pool, holder).await }).await
    }

    async fn log_head(&self, shard: u32) -> Result<Option<LogHead>, StoreError> {
        self.read(async { head(&mut *self.pool.acquire().await?, shard).await }).await
    }

    async fn leaves(&self, shard: u32, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(leaves(&self.pool, shard, from, limit)).await
    }

    async fn tiles(
        &self,
        shard: u32,
        wanted: Vec<(u8, u64)>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.read(tiles(&self.pool, shard, &wanted)).await
    }

    async fn advance(&self, step: Advance) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { advance(&pool, &step).await }).await
    }

    async fn keep_witnessed(
        &self,
        shard: u32,
        size: u64,
        checkpoint: String,
    ) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { keep_witnessed(&pool, shard, size, &checkpoint).await }).await
    }
}

async fn shards(pool: &PgPool) -> Work<Vec<LogShard>> {
    all(&mut *pool.acquire().await?, "ORDER BY ordinal", |query| query).await
}

async fn seal_shard(pool: &PgPool, ordinal: u32) -> Work<()> {
    let sql = "UPDATE log_counters SET is_open = false WHERE shard = $1";
    query(sql).bind(ordinal.cast_signed()).execute(pool).await?;
    Ok(())
}

async fn start_shard(pool: &PgPool, shard: NewShard) -> Work<Option<LogShard>> {
    let mut transaction = Transaction::begin(pool, "start_log_shard", Begin::Rows).await?;
    let started = start(&mut transaction, shard).await;
    transaction.end(started).await
}

async fn start(connection: &mut PgConnection, shard: NewShard) -> Work<Option<LogShard>> {
    if !is_next(connection, shard.after).await? {
        return Ok(None);
    }
    let at = Time(shard.at);
    let ordinal = shard.after.map_or(1, |last| last.shard + 1).cast_signed();
    // Another replica may have begun one while this waited for the row of the counter.
    let sql = "UPDATE log_shards SET sealed_at = $2 WHERE ordinal = $1 - 1 AND sealed_at IS NULL";
    let sealed = query(sql).bind(ordinal).bind(at).execute(&mut *connection).await?;
    if sealed.rows_affected() == 0 && shard.after.is_some() {
        return Ok(None);
    }
    let sql = "INSERT INTO log_shards (ordinal, origin, verifier_key, started_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT (ordinal) DO NOTHING";
    let begun = query(sql).bind(ordinal).bind(shard.origin).bind(shard.verifier_key).bind(at);
    if begun.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let sql = "INSERT INTO log_counters VALUES ($1, 0, true)";
    query(sql).bind(ordinal).execute(&mut *connection).await?;
    let sql = "INSERT INTO log_heads (shard, size, frontier) VALUES ($1, 0, $2)";
    query(sql).bind(ordinal).bind(EMPTY.as_slice()).execute(&mut *connection).await?;
    log_append::append_statements(connection, &[shard.first]).await?;
    one(connection, "WHERE ordinal = $1", |query| query.bind(ordinal)).await
}

/// Whether a shard may begin after `after`, the place behind the last leaf of the one before. Its
/// row is held until the transaction ends.
async fn is_next(connection: &mut PgConnection, after: Option<LogPlace>) -> Work<bool> {
    let sql = "SELECT c.shard, c.next_index, c.is_open, h.size
        FROM log_counters AS c JOIN log_heads AS h USING (shard)
        ORDER BY c.shard DESC LIMIT 1 FOR UPDATE OF c";
    let last: Option<(i32, i64, bool, i64)> = query_as(sql).fetch_optional(connection).await?;
    Ok(match (last, after) {
        (None, None) => true,
        (Some((shard, next, is_open, size)), Some(after)) => {
            let end = LogPlace { shard: shard.cast_unsigned(), index: next.cast_unsigned() };
            !is_open && size == next && end == after
        }
        _ => false,
    })
}

async fn lead(pool: &PgPool, holder: Uuid, ttl: Duration) -> Work<Option<u64>> {
    let sql =
        "UPDATE log_leader SET fence = fence + (holder IS DISTINCT FROM $1)::int, holder = $1,
            held_until = clock_timestamp() + $2 * interval '1 microsecond'
        WHERE holder = $1 OR held_until < clock_timestamp() RETURNING fence";
    let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
    let fence = query_scalar::<_, i64>(sql).bind(holder).bind(ttl).fetch_optional(pool).await?;
    Ok(fence.map(i64::cast_unsigned))
}

async fn resign(pool: &PgPool, holder: Uuid) -> Work<()> {
    let sql = "UPDATE log_leader SET held_until = '-infinity' WHERE holder = $1";
    query(sql).bind(holder).execute(pool).await?;
    Ok(())
}

async fn head(connection: &mut PgConnection, shard: u32) -> Work<Option<LogHead>> {
    one(connection, "WHERE shard = $1", |query| query.bind(shard.cast_signed())).await
}

async fn leaves(pool: &PgPool, shard: u32, from: u64, limit: u32) -> Work<Vec<Vec<u8>>> {
    let sql = "SELECT counter.next_index, entry.log_index, entry.leaf FROM log_counters AS counter
        LEFT JOIN log_entries AS entry ON entry.shard = $1
            AND entry.log_index >= $2 AND entry.log_index < $3
        WHERE counter.shard = $1 ORDER BY entry.log_index";
    let rows: Vec<(i64, Option<i64>, Option<Vec<u8>>)> = query_as(sql)
        .bind(shard.cast_signed())
        .bind(from.cast_signed())
        .bind(from.saturating_add(u64::from(limit)).cast_signed())
        .fetch_all(pool)
        .await?;
    let rows = rows
        .into_iter()
        .map(|(next, index, leaf)| (next.cast_unsigned(), index.map(i64::cast_unsigned).zip(leaf)));
    Ok(whole_leaves(shard, from, limit, rows.collect())?)
}

async fn tiles(pool: &PgPool, shard: u32, wanted: &[(u8, u64)]) -> Work<Vec<Option<Vec<u8>>>> {
    let sql = "SELECT hashes FROM UNNEST($2::smallint[], $3::bigint[]) WITH ORDINALITY
            AS wanted (level, tile_index, position)
        LEFT JOIN log_tiles AS t ON t.shard = $1 AND t.level = wanted.level
            AND t.tile_index = wanted.tile_index
        ORDER BY position";
    let levels: Vec<_> = wanted.iter().map(|(level, _)| i16::from(*level)).collect();
    let indexes: Vec<_> = wanted.iter().map(|(_, index)| index.cast_signed()).collect();
    let rows = query_scalar(sql).bind(shard.cast_signed()).bind(levels).bind(indexes);
    Ok(rows.fetch_all(pool).await?)
}

/// One statement: the fence is held still by its row, which who takes the lead has to change.
async fn advance(pool: &PgPool, step: &Advance) -> Work<bool> {
    let sql = "WITH led AS MATERIALIZED (
            SELECT FROM log_leader WHERE fence = $6 FOR SHARE
        ), moved AS (
            UPDATE log_heads SET size = $3, frontier = $4, checkpoint = $5 FROM led
            WHERE shard = $1 AND size = $2 RETURNING shard
        ), written AS (
            INSERT INTO log_tiles (shard, level, tile_index, hashes)
            SELECT moved.shard, tile.level, tile.tile_index, tile.hashes
            FROM moved, UNNEST($7::smallint[], $8::bigint[], $9::bytea[])
                AS tile (level, tile_index, hashes)
            ON CONFLICT (shard, level, tile_index) DO UPDATE SET hashes = excluded.hashes
        )
        SELECT count(*) FROM moved";
    let levels: Vec<_> = step.tiles.iter().map(|tile| i16::from(tile.level)).collect();
    let indexes: Vec<_> = step.tiles.iter().map(|tile| tile.index.cast_signed()).collect();
    let hashes: Vec<_> = step.tiles.iter().map(|tile| tile.hashes.as_slice()).collect();
    let moved: i64 = query_scalar(sql)
        .bind(step.shard.cast_signed())
        .bind(step.from.cast_signed())
        .bind(step.size.cast_signed())
        .bind(step.frontier.as_slice())
        .bind(step.checkpoint.as_str())
        .bind(step.fence.cast_signed())
        .bind(levels)
        .bind(indexes)
        .bind(hashes)
        .fetch_one(pool)
        .await?;
    Ok(moved == 1)
}

async fn keep_witnessed(pool: &PgPool, shard: u32, size: u64, checkpoint: &str) -> Work<()> {
    let sql = "UPDATE log_heads SET witnessed_size = $2, witnessed = $3
        WHERE shard = $1 AND coalesce(witnessed_size, 0) <= $2";
    let update = query(sql).bind(shard.cast_signed()).bind(size.cast_signed()).bind(checkpoint);
    update.execute(pool).await?;
    Ok(())
}

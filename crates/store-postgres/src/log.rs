//! The transparency log: shards, heads, tiles, leaves, and who sequences.

use std::time::Duration;

use sentinel_core::id::{StatementId, TenantId};
use sentinel_core::log::{
    Advance, LogHead, LogPlace, LogReceipt, LogShard, LogStatement, NewShard, StatementKind,
    whole_leaves,
};
use sqlx::{PgConnection, PgPool, query, query_as, query_scalar};
use uuid::Uuid;

use crate::error::Result;
use crate::log_append;
use crate::row::{Columns, Stored, all, one};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

/// The frontier of a tree without leaves.
const EMPTY: [u8; 8] = [0; 8];

impl Stored for LogShard {
    const TABLE: &'static str = "log_shards";
    const COLUMNS: &'static str = "ordinal, origin, verifier_key, started_at, sealed_at";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            ordinal: columns.small()?,
            origin: columns.take()?,
            verifier_key: columns.take()?,
            started_at: columns.time()?,
            sealed_at: columns.time_optional()?,
        })
    }
}

impl Stored for LogHead {
    const TABLE: &'static str = "log_heads";
    const COLUMNS: &'static str = "shard, size, frontier, checkpoint, witnessed_size, witnessed";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            shard: columns.small()?,
            size: columns.count()?,
            frontier: columns.take()?,
            checkpoint: columns.take()?,
            witnessed: columns.count_optional()?.zip(columns.take()?),
        })
    }
}

impl Stored for LogStatement {
    const TABLE: &'static str = "log_statements";
    const COLUMNS: &'static str =
        "id, kind, tenant_id, subject, bundle, created_at, log_shard, log_index";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: StatementId(columns.uuid()?),
            kind: columns.parse()?,
            tenant_id: columns.uuid_optional()?.map(TenantId),
            subject: columns.take()?,
            bundle: columns.take()?,
            created_at: columns.time()?,
            place: Some(LogPlace { shard: columns.small()?, index: columns.count()? }),
        })
    }
}

impl Stored for LogReceipt {
    const TABLE: &'static str = "log_receipts";
    const COLUMNS: &'static str = "shard, log_index, kind, content";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        let place = LogPlace { shard: columns.small()?, index: columns.count()? };
        Ok(Self { place, kind: columns.parse()?, content: columns.take()? })
    }
}

pub(crate) async fn shards(pool: &PgPool) -> Result<Vec<LogShard>> {
    all(&mut *pool.acquire().await?, "ORDER BY ordinal", |query| query).await
}

pub(crate) async fn seal_shard(pool: &PgPool, ordinal: u32) -> Result<()> {
    let sql = "UPDATE log_counters SET is_open = false WHERE shard = $1";
    query(sql).bind(ordinal.cast_signed()).execute(pool).await?;
    Ok(())
}

pub(crate) async fn start_shard(pool: &PgPool, shard: NewShard) -> Result<Option<LogShard>> {
    let mut transaction = Transaction::begin(pool, "start_log_shard", Begin::Rows).await?;
    let started = start(&mut transaction, shard).await;
    transaction.end(started).await
}

async fn start(connection: &mut PgConnection, shard: NewShard) -> Result<Option<LogShard>> {
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
async fn is_next(connection: &mut PgConnection, after: Option<LogPlace>) -> Result<bool> {
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

pub(crate) async fn lead(pool: &PgPool, holder: Uuid, ttl: Duration) -> Result<Option<u64>> {
    let sql =
        "UPDATE log_leader SET fence = fence + (holder IS DISTINCT FROM $1)::int, holder = $1,
            held_until = clock_timestamp() + $2 * interval '1 microsecond'
        WHERE holder = $1 OR held_until < clock_timestamp() RETURNING fence";
    let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
    let fence = query_scalar::<_, i64>(sql).bind(holder).bind(ttl).fetch_optional(pool).await?;
    Ok(fence.map(i64::cast_unsigned))
}

pub(crate) async fn resign(pool: &PgPool, holder: Uuid) -> Result<()> {
    let sql = "UPDATE log_leader SET held_until = '-infinity' WHERE holder = $1";
    query(sql).bind(holder).execute(pool).await?;
    Ok(())
}

pub(crate) async fn head(connection: &mut PgConnection, shard: u32) -> Result<Option<LogHead>> {
    one(connection, "WHERE shard = $1", |query| query.bind(shard.cast_signed())).await
}

pub(crate) async fn leaves(
    pool: &PgPool,
    shard: u32,
    from: u64,
    limit: u32,
) -> Result<Vec<Vec<u8>>> {
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

pub(crate) async fn tiles(
    pool: &PgPool,
    shard: u32,
    wanted: &[(u8, u64)],
) -> Result<Vec<Option<Vec<u8>>>> {
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
pub(crate) async fn advance(pool: &PgPool, step: &Advance) -> Result<bool> {
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

pub(crate) async fn keep_witnessed(
    pool: &PgPool,
    shard: u32,
    size: u64,
    checkpoint: &str,
) -> Result<()> {
    let sql = "UPDATE log_heads SET witnessed_size = $2, witnessed = $3
        WHERE shard = $1 AND coalesce(witnessed_size, 0) <= $2";
    let update = query(sql).bind(shard.cast_signed()).bind(size.cast_signed()).bind(checkpoint);
    update.execute(pool).await?;
    Ok(())
}

pub(crate) async fn cursor(pool: &PgPool, destination: &str, shard: u32) -> Result<u64> {
    let sql = "SELECT position FROM log_cursors WHERE destination = $1 AND shard = $2";
    let position: Option<i64> =
        query_scalar(sql).bind(destination).bind(shard.cast_signed()).fetch_optional(pool).await?;
    Ok(position.map_or(0, i64::cast_unsigned))
}

/// One statement, hence all or none.
pub(crate) async fn move_cursor(
    pool: &PgPool,
    destination: &str,
    shard: u32,
    to: u64,
    receipts: &[LogReceipt],
) -> Result<()> {
    let sql = "WITH kept AS (
            INSERT INTO log_receipts (shard, log_index, kind, content)
            SELECT * FROM UNNEST($4::int[], $5::bigint[], $6::text[], $7::bytea[])
            ON CONFLICT DO NOTHING
        )
        INSERT INTO log_cursors AS cursor VALUES ($1, $2, $3)
        ON CONFLICT (destination, shard)
            DO UPDATE SET position = greatest(cursor.position, excluded.position)";
    let shards: Vec<_> = receipts.iter().map(|one| one.place.shard.cast_signed()).collect();
    let indexes: Vec<_> = receipts.iter().map(|one| one.place.index.cast_signed()).collect();
    let kinds: Vec<_> = receipts.iter().map(|one| one.kind.as_str()).collect();
    let contents: Vec<_> = receipts.iter().map(|one| one.content.as_slice()).collect();
    query(sql)
        .bind(destination)
        .bind(shard.cast_signed())
        .bind(to.cast_signed())
        .bind(shards)
        .bind(indexes)
        .bind(kinds)
        .bind(contents)
        .execute(pool)
        .await?;
    Ok(())
}

pub(crate) async fn receipts(pool: &PgPool, place: LogPlace) -> Result<Vec<LogReceipt>> {
    let condition = "WHERE shard = $1 AND log_index = $2 ORDER BY kind";
    let bind = |query: crate::row::Query| {
        query.bind(place.shard.cast_signed()).bind(place.index.cast_signed())
    };
    all(&mut *pool.acquire().await?, condition, bind).await
}

pub(crate) async fn statements(pool: &PgPool, kind: StatementKind) -> Result<Vec<LogStatement>> {
    let condition = "WHERE kind = $1 ORDER BY sequence";
    all(&mut *pool.acquire().await?, condition, |query| query.bind(kind.as_str())).await
}

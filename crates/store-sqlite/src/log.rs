//! The transparency log: shards, heads, tiles, leaves, and who sequences.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sentinel_core::log::{
    Advance, LogHead, LogPlace, LogReceipt, LogShard, LogStatement, NewShard, ReceiptKind,
    StatementKind, whole_leaves,
};
use uuid::Uuid;

use crate::error::Result;
use crate::log_append;
use crate::row::{Columns, Stored, all, one, select_with};

/// The frontier of a tree without leaves.
const EMPTY: [u8; 8] = [0; 8];

/// The clock of the store, in microseconds.
const NOW: &str = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

impl Stored for LogShard {
    const TABLE: &'static str = "log_shards";
    const COLUMNS: &'static str = "ordinal, origin, verifier_key, started_at, sealed_at";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            ordinal: columns.take()?,
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

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            shard: columns.take()?,
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

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: sentinel_core::id::StatementId(columns.uuid()?),
            kind: columns.parse()?,
            tenant_id: columns.uuid_optional()?.map(sentinel_core::id::TenantId),
            subject: columns.take()?,
            bundle: columns.take()?,
            created_at: columns.time()?,
            place: Some(LogPlace { shard: columns.take()?, index: columns.count()? }),
        })
    }
}

pub(crate) fn shards(connection: &Connection) -> Result<Vec<LogShard>> {
    all(connection, "true ORDER BY ordinal", [])
}

pub(crate) fn seal_shard(transaction: &Transaction<'_>, ordinal: u32) -> Result<()> {
    transaction.execute("UPDATE log_counters SET is_open = 0 WHERE shard = ?1", [ordinal])?;
    Ok(())
}

pub(crate) fn start_shard(
    transaction: &Transaction<'_>,
    shard: NewShard,
) -> Result<Option<LogShard>> {
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
    log_append::statements(transaction, &[shard.first])?;
    one(transaction, "ordinal = ?1", [ordinal])
}

/// Whether a shard may begin after `after`, the place behind the last leaf of the one before.
fn is_next(connection: &Connection, after: Option<LogPlace>) -> Result<bool> {
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

pub(crate) fn lead(
    transaction: &Transaction<'_>,
    holder: Uuid,
    ttl: Duration,
) -> Result<Option<u64>> {
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

/// Nobody leads who does not hold the file, and whoever opens it holds it alone: the log need not
/// wait until the lead of a process that is gone has run out.
pub(crate) fn end_leads(connection: &Connection) -> Result<()> {
    connection.execute("UPDATE log_leader SET held_until = 0 WHERE held_until > 0", [])?;
    Ok(())
}

pub(crate) fn resign(transaction: &Transaction<'_>, holder: Uuid) -> Result<()> {
    let sql = "UPDATE log_leader SET held_until = 0 WHERE holder = ?1";
    transaction.execute(sql, [holder.as_bytes()])?;
    Ok(())
}

pub(crate) fn head(connection: &Connection, shard: u32) -> Result<Option<LogHead>> {
    one(connection, "shard = ?1", [shard])
}

pub(crate) fn leaves(
    connection: &Connection,
    shard: u32,
    from: u64,
    limit: u32,
) -> Result<Vec<Vec<u8>>> {
    let sql = "SELECT counter.next_index, entry.log_index, entry.leaf FROM log_counters AS counter
        LEFT JOIN log_entries AS entry ON entry.shard = counter.shard
            AND entry.log_index >= ?2 AND entry.log_index < ?2 + ?3
        WHERE counter.shard = ?1 ORDER BY entry.log_index";
    let params = params![shard, from.cast_signed(), limit];
    let rows = select_with(connection, sql, params, "log_entries", |columns| {
        Ok((columns.count()?, columns.count_optional()?.zip(columns.take()?)))
    })?;
    Ok(whole_leaves(shard, from, limit, rows)?)
}

pub(crate) fn tiles(
    connection: &Connection,
    shard: u32,
    wanted: &[(u8, u64)],
) -> Result<Vec<Option<Vec<u8>>>> {
    let sql = "SELECT hashes FROM log_tiles WHERE shard = ?1 AND level = ?2 AND tile_index = ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let read = wanted.iter().map(|(level, index)| {
        let params = params![shard, level, index.cast_signed()];
        Ok(statement.query_row(params, |row| row.get(0)).optional()?)
    });
    read.collect()
}

pub(crate) fn advance(transaction: &Transaction<'_>, step: &Advance) -> Result<bool> {
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

pub(crate) fn keep_witnessed(
    transaction: &Transaction<'_>,
    shard: u32,
    size: u64,
    checkpoint: &str,
) -> Result<()> {
    let sql = "UPDATE log_heads SET witnessed_size = ?2, witnessed = ?3
        WHERE shard = ?1 AND coalesce(witnessed_size, 0) <= ?2";
    transaction.execute(sql, params![shard, size.cast_signed(), checkpoint])?;
    Ok(())
}

pub(crate) fn cursor(connection: &Connection, destination: &str, shard: u32) -> Result<u64> {
    let sql = "SELECT position FROM log_cursors WHERE destination = ?1 AND shard = ?2";
    let position = connection.query_row(sql, params![destination, shard], |row| row.get(0));
    Ok(position.optional()?.map_or(0, i64::cast_unsigned))
}

pub(crate) fn move_cursor(
    transaction: &Transaction<'_>,
    destination: &str,
    shard: u32,
    to: u64,
    receipts: &[LogReceipt],
) -> Result<()> {
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

pub(crate) fn receipts(connection: &Connection, place: LogPlace) -> Result<Vec<LogReceipt>> {
    let sql = "SELECT kind, content FROM log_receipts
        WHERE shard = ?1 AND log_index = ?2 ORDER BY kind";
    let params = params![place.shard, place.index.cast_signed()];
    select_with(connection, sql, params, "log_receipts", |columns| {
        Ok(LogReceipt { place, kind: columns.parse::<ReceiptKind>()?, content: columns.take()? })
    })
}

pub(crate) fn statements(
    connection: &Connection,
    kind: StatementKind,
) -> Result<Vec<LogStatement>> {
    all(connection, "kind = ?1 ORDER BY sequence", [kind.as_str()])
}

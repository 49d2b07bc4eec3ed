//! Deletes what has expired, a few rows at a time: kills and commits come in between.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use sentinel_core::housekeeping::{AT_ONCE, Expiring, Reading};
use sentinel_core::store::StoreError;

use crate::error::Result;

/// The time by which things may be deleted. The first time it is that of the latest decision: the
/// clock may be wrong already.
pub(crate) fn believed(transaction: &Transaction<'_>, reading: Reading) -> Result<Timestamp> {
    let sql = "SELECT coalesce((SELECT believed_at FROM housekeeping),
        (SELECT created_at FROM policy_logs ORDER BY sequence DESC LIMIT 1))";
    let before: Option<i64> =
        transaction.query_row(sql, [], |row| row.get(0)).optional()?.flatten();
    let before = before.map_or(Ok(reading.now), Timestamp::from_microsecond);
    let before = before.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let believed = reading.believed(before);
    let sql = "INSERT INTO housekeeping (only_row, believed_at) VALUES (1, ?1)
        ON CONFLICT DO UPDATE SET believed_at = excluded.believed_at";
    transaction.execute(sql, [believed.as_microsecond()])?;
    Ok(believed)
}

/// Deletes at most [`AT_ONCE`] rows. A permit stays while its decision is young, whatever the clock
/// said that noted its redemption.
pub(crate) fn expire(
    transaction: &Transaction<'_>,
    what: Expiring,
    before: Timestamp,
) -> Result<u64> {
    let sql = match what {
        Expiring::Counters => {
            "DELETE FROM quota_counters WHERE (tool_id, quota_window, window_start) IN (
                SELECT tool_id, quota_window, window_start FROM quota_counters
                WHERE window_end < ?1 ORDER BY window_end LIMIT ?2)"
        }
        Expiring::Permits => {
            "DELETE FROM permits WHERE decision_id IN (
                SELECT p.decision_id FROM permits AS p
                LEFT JOIN policy_logs AS d ON d.id = p.decision_id
                WHERE p.redeemed_at < ?1 AND coalesce(d.created_at < ?1, true)
                ORDER BY p.redeemed_at LIMIT ?2)"
        }
    };
    let (before, limit) = (before.as_microsecond(), AT_ONCE.cast_signed());
    let deleted = transaction.prepare_cached(sql)?.execute(params![before, limit])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

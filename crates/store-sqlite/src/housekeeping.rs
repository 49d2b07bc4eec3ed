//! Deletes what has expired, a few rows at a time: kills and commits come in between.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};
use sentinel_core::housekeeping::{AT_ONCE, Expiring, Reading};
use sentinel_core::ports::{ExpiryStore, StoreError};
use uuid::Uuid;

use crate::error::Result as Work;
use crate::store::SqliteStore;

/// Claims deleted in one transaction at most, so that decisions do not wait for long.
const CLAIMS_AT_ONCE: u64 = 2_000;

#[async_trait]
impl ExpiryStore for SqliteStore {
    // One process has the file, so no other can have the housekeeping.
    async fn take_housekeeping(
        &self,
        _holder: Uuid,
        reading: Reading,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.writer.run(move |write| believed(write, reading)).await.map(Some)
    }

    async fn expire_claims(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let deleted = self.writer.run(move |write| expire_claims(write, before)).await?;
            total += deleted;
            if deleted < CLAIMS_AT_ONCE {
                return Ok(total);
            }
        }
    }

    async fn expire(&self, what: Expiring, before: Timestamp) -> Result<u64, StoreError> {
        self.writer.run(move |write| expire(write, what, before)).await
    }
}

/// The time by which things may be deleted. The first time it is that of the latest decision: the
/// clock may be wrong already.
fn believed(transaction: &Transaction<'_>, reading: Reading) -> Work<Timestamp> {
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
/// said at its redemption.
fn expire(transaction: &Transaction<'_>, what: Expiring, before: Timestamp) -> Work<u64> {
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

/// Deletes some of the claims made before `before`; fewer than [`CLAIMS_AT_ONCE`] when none are
/// left.
fn expire_claims(transaction: &Transaction<'_>, before: Timestamp) -> Work<u64> {
    let sql = "DELETE FROM claims WHERE (principal, tool_id, call_id) IN (
        SELECT principal, tool_id, call_id FROM claims WHERE created_at < ?1 LIMIT ?2)";
    let limit = CLAIMS_AT_ONCE.cast_signed();
    let deleted =
        transaction.prepare_cached(sql)?.execute(params![before.as_microsecond(), limit])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

//! Deletes what has expired: one replica at a time, a few rows at a time, without the epoch lock.
//! Makes the partitions of the coming months.
//!
//! Deleting skips rows that another transaction has locked, so no commit and no kill waits for more
//! than one short statement. A replica that dies in between leaves nothing behind but a lease that
//! ends.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::housekeeping::{AT_ONCE, Expiring, Reading};
use sentinel_core::ports::{ExpiryStore, StoreError, Upkeep};
use sqlx::{PgPool, query, query_scalar};
use uuid::Uuid;

use crate::error::Result as Work;
use crate::partitions;
use crate::store::PostgresStore;
use crate::time::Time;

/// Claims deleted in one statement at most, so that locks are held for a short time.
const CLAIMS_AT_ONCE: u64 = 2_000;

#[async_trait]
impl ExpiryStore for PostgresStore {
    async fn take_housekeeping(
        &self,
        holder: Uuid,
        reading: Reading,
    ) -> Result<Option<Timestamp>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { take(&pool, holder, reading).await }).await
    }

    async fn expire_claims(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let pool = self.pool.clone();
            let expire = async move { expire_claims(&pool, before).await };
            let deleted = self.to_end(expire).await?;
            total += deleted;
            if deleted < CLAIMS_AT_ONCE {
                return Ok(total);
            }
        }
    }

    async fn expire(&self, what: Expiring, before: Timestamp) -> Result<u64, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { expire(&pool, what, before).await }).await
    }
}

#[async_trait]
impl Upkeep for PostgresStore {
    /// Makes the partitions of the audit log for this month and the coming ones.
    async fn prepare(&self, now: Timestamp) -> Result<u32, StoreError> {
        self.ensure_partitions(now, partitions::MONTHS_AHEAD).await
    }
}

impl PostgresStore {
    /// Makes the partitions of the audit log for the month of `now` and so many months after it;
    /// returns how many were missing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; nothing is lost by trying again later.
    pub async fn ensure_partitions(
        &self,
        now: Timestamp,
        months_ahead: u32,
    ) -> Result<u32, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { partitions::ensure(&pool, now, months_ahead).await }).await
    }
}

/// The longest step, in microseconds, that the server adds without leaving its calendar: a century.
const LONGEST_STEP: i64 = 100 * 365 * 86_400 * 1_000_000;

/// Takes the lease for two minutes, or goes on with it, and returns the time by which things may be
/// deleted: the earlier of the two clocks, the server's and the replica's, and no later than what
/// passed allows. The first time it is that of the latest decision: the clocks may be wrong
/// already. A lease that ends in more than an hour was taken by a clock that was wrong.
async fn take(pool: &PgPool, holder: Uuid, reading: Reading) -> Work<Option<Timestamp>> {
    let sql = "INSERT INTO housekeeping AS h (believed_at, holder, held_until)
        VALUES (least($1, clock_timestamp(), (SELECT created_at FROM policy_logs
                ORDER BY sequence DESC LIMIT 1)),
            $2, clock_timestamp() + interval '2 minutes')
        ON CONFLICT (only_row) DO UPDATE SET
            believed_at = least($1, clock_timestamp(),
                h.believed_at + $3 * interval '1 microsecond'),
            holder = excluded.holder,
            held_until = excluded.held_until
        WHERE h.holder = excluded.holder OR h.held_until < clock_timestamp()
            OR h.held_until > clock_timestamp() + interval '1 hour'
        RETURNING believed_at";
    let step = i64::try_from(reading.step().as_micros()).unwrap_or(LONGEST_STEP).min(LONGEST_STEP);
    let taken: Option<Time> = query_scalar(sql)
        .bind(Time::bound(reading.now))
        .bind(holder)
        .bind(step)
        .fetch_optional(pool)
        .await?;
    Ok(taken.map(|Time(at)| at))
}

/// Deletes at most [`AT_ONCE`] rows. A permit stays while its decision is young, whatever the clock
/// said at its redemption.
async fn expire(pool: &PgPool, what: Expiring, before: Timestamp) -> Work<u64> {
    let sql = match what {
        Expiring::Counters => {
            "DELETE FROM quota_counters WHERE ctid = ANY (ARRAY (
                SELECT ctid FROM quota_counters WHERE window_end < $1
                ORDER BY window_end LIMIT $2 FOR UPDATE SKIP LOCKED))"
        }
        Expiring::Permits => {
            "DELETE FROM permits WHERE ctid = ANY (ARRAY (
                SELECT p.ctid FROM permits AS p WHERE p.redeemed_at < $1
                AND NOT EXISTS (SELECT FROM policy_logs AS d
                    WHERE d.id = p.decision_id AND d.created_at >= $1)
                ORDER BY p.redeemed_at LIMIT $2 FOR UPDATE OF p SKIP LOCKED))"
        }
    };
    let done = query(sql).bind(Time::bound(before)).bind(AT_ONCE.cast_signed());
    Ok(done.execute(pool).await?.rows_affected())
}

/// Deletes some of the claims made before `before`; fewer than [`CLAIMS_AT_ONCE`] when none are
/// left. Those that a commit is reading are left for the next time.
async fn expire_claims(pool: &PgPool, before: Timestamp) -> Work<u64> {
    let sql = "DELETE FROM claims WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM claims WHERE created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))";
    let limit = CLAIMS_AT_ONCE.cast_signed();
    Ok(query(sql).bind(Time::bound(before)).bind(limit).execute(pool).await?.rows_affected())
}

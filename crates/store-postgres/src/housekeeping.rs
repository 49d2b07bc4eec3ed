//! Deletes what has expired: one replica at a time, a few rows at a time, without the epoch lock.
//!
//! Nothing here waits for a row that somebody else has locked, so no commit and no kill can wait for
//! more than one short statement. A replica that dies in between leaves nothing behind but a lease
//! that ends.

use jiff::Timestamp;
use sentinel_core::housekeeping::{AT_ONCE, Expiring, Reading};
use sqlx::{PgPool, query, query_scalar};
use uuid::Uuid;

use crate::error::Result;
use crate::time::Time;

/// The longest step, in microseconds, that the server adds without leaving its calendar: a century.
const LONGEST_STEP: i64 = 100 * 365 * 86_400 * 1_000_000;

/// Takes the lease for two minutes, or goes on with it, and returns the time by which things may be
/// deleted: the earlier of the two clocks, the server's and the replica's, and no later than what
/// passed allows. The first time it is that of the latest decision: the clocks may be wrong already.
/// A lease that ends in more than an hour was taken by a clock that was wrong.
pub(crate) async fn take(
    pool: &PgPool,
    holder: Uuid,
    reading: Reading,
) -> Result<Option<Timestamp>> {
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
/// said that noted its redemption.
pub(crate) async fn expire(pool: &PgPool, what: Expiring, before: Timestamp) -> Result<u64> {
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

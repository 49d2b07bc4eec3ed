//! The months of the audit log, each a partition.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, query_scalar, raw_sql};

use crate::error::{Result, unavailable};
use crate::transaction::{Begin, Transaction};

/// Makes the partition of the month of `now` and of so many months after it, as far as they are
/// missing; answers how many were made.
pub(crate) async fn ensure(pool: &PgPool, now: Timestamp, months_ahead: u32) -> Result<u32> {
    let this = now.to_zoned(TimeZone::UTC).date().first_of_month();
    let mut made = 0;
    for ahead in 0..=months_ahead {
        let first = later(this, ahead)?;
        if !exists(&mut *pool.acquire().await?, first).await? {
            made += u32::from(make(pool, first).await?);
        }
    }
    Ok(made)
}

fn later(month: Date, months: u32) -> Result<Date> {
    month
        .checked_add(Span::new().months(i64::from(months)))
        .ok()
        .filter(|date| (1..=9999).contains(&date.year()))
        .ok_or_else(|| unavailable("the clock is beyond the calendar"))
}

fn name_of(first: Date) -> String {
    format!("policy_logs_{:04}_{:02}", first.year(), first.month())
}

async fn exists(connection: &mut PgConnection, first: Date) -> Result<bool> {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    Ok(query_scalar(sql).bind(name_of(first)).fetch_one(connection).await?)
}

async fn make(pool: &PgPool, first: Date) -> Result<bool> {
    let mut transaction = Transaction::begin(pool, "ensure_partitions", Begin::Exclusive).await?;
    let made = attach(&mut transaction, first).await;
    transaction.end(made).await
}

/// Makes the partition beside the log and attaches it. Rows of the month that went to the default
/// partition move over.
///
/// The transaction holds the epoch lock alone, since a commit that had looked for its partition
/// before it was attached would be refused by the default one. For the same reason commits wait
/// meanwhile, so a listing that is in the way makes this give up quickly.
async fn attach(connection: &mut PgConnection, first: Date) -> Result<bool> {
    if exists(connection, first).await? {
        return Ok(false);
    }
    let (name, end) = (name_of(first), later(first, 1)?);
    let sql = format!(
        "SET LOCAL lock_timeout = '250ms';
        CREATE TABLE {name} (LIKE policy_logs INCLUDING CONSTRAINTS);
        LOCK TABLE policy_logs_default IN ACCESS EXCLUSIVE MODE;
        WITH moved AS (DELETE FROM policy_logs_default
            WHERE created_at >= '{first} 00:00:00+00' AND created_at < '{end} 00:00:00+00'
            RETURNING *)
        INSERT INTO {name} SELECT * FROM moved;
        ALTER TABLE policy_logs ATTACH PARTITION {name}
            FOR VALUES FROM ('{first} 00:00:00+00') TO ('{end} 00:00:00+00')"
    );
    raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(true)
}

//! The months of the audit log, each a partition. A past one is taken out of the log before it is
//! dropped: it is a table of its own meanwhile, with a name that says so.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use sentinel_archive::Month;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, query_scalar, raw_sql};

use crate::error::{Result, unavailable};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

/// Months for which partitions are made ahead.
pub(crate) const MONTHS_AHEAD: u32 = 2;

/// Makes the partition of the month of `now` and of so many months after it, as far as they are
/// missing; returns how many were made.
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
        "{GIVE_UP}; CREATE TABLE {name} (LIKE policy_logs INCLUDING CONSTRAINTS); {}",
        move_and_attach(first, end)
    );
    raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(true)
}

/// What holds the epoch lock alone makes commits wait, so it does not wait long for others.
const GIVE_UP: &str = "SET LOCAL lock_timeout = '250ms'; SET LOCAL statement_timeout = '5s'";

/// Makes the table of a month a partition, with the rows of that month that the default one has.
fn move_and_attach(first: Date, end: Date) -> String {
    let name = name_of(first);
    format!(
        "LOCK TABLE policy_logs_default IN ACCESS EXCLUSIVE MODE;
        WITH moved AS (DELETE FROM policy_logs_default
            WHERE created_at >= '{first} 00:00:00+00' AND created_at < '{end} 00:00:00+00'
            RETURNING *)
        INSERT INTO {name} SELECT * FROM moved;
        ALTER TABLE policy_logs ATTACH PARTITION {name}
            FOR VALUES FROM ('{first} 00:00:00+00') TO ('{end} 00:00:00+00')"
    )
}

/// The table of a month, and whether it is a part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Attached,
    Detached,
}

pub(crate) fn table(month: Month, place: Place) -> String {
    let name = name_of(month.first());
    match place {
        Place::Attached => name,
        Place::Detached => format!("{name}_detached"),
    }
}

/// The months that have a table, the oldest first. A month has two when its partition was made
/// again while the old one waited to be dropped.
pub(crate) async fn months(connection: &mut PgConnection) -> Result<Vec<(Month, Place)>> {
    let sql = "SELECT relname::text FROM pg_class
        WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'policy_logs'::regclass)
        AND relkind = 'r' AND relname ~ '^policy_logs_[0-9]{4}_[0-9]{2}(_detached)?$'
        AND (relname LIKE '%_detached' OR oid IN
            (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'policy_logs'::regclass))
        ORDER BY relname";
    let names: Vec<String> = query_scalar(sql).fetch_all(connection).await?;
    let parsed = names.iter().filter_map(|name| {
        let name = name.strip_prefix("policy_logs_")?;
        let (month, place) = match name.strip_suffix("_detached") {
            Some(month) => (month, Place::Detached),
            None => (name, Place::Attached),
        };
        Some((month.replace('_', "-").parse().ok()?, place))
    });
    Ok(parsed.collect())
}

/// Whether the month of `at` is over and has no table: it was archived, or, for a time before the
/// log began, never had one.
pub(crate) async fn is_gone(connection: &mut PgConnection, at: Timestamp) -> Result<bool> {
    let Some(month) = Month::of(at) else { return Ok(false) };
    let sql = "SELECT $1 <= now()";
    let over = query_scalar(sql).bind(Time(month.end())).fetch_one(&mut *connection).await?;
    Ok(over && !months(connection).await?.iter().any(|(found, _)| *found == month))
}

/// Takes a month out of the log, in a transaction that holds the epoch lock alone: so no commit is
/// under way that has written to it, and what comes later for that month goes to the default
/// partition. A listing that is in the way makes this give up quickly.
pub(crate) async fn detach(connection: &mut PgConnection, month: Month) -> Result<()> {
    let (name, detached) = (table(month, Place::Attached), table(month, Place::Detached));
    let sql = format!(
        "{GIVE_UP}; ALTER TABLE policy_logs DETACH PARTITION {name};
        ALTER TABLE {name} RENAME TO {detached}"
    );
    raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Checks that the rows of a month that was taken out are of that month, so that putting it back
/// need not do so while commits wait.
pub(crate) async fn prepare_to_attach(connection: &mut PgConnection, month: Month) -> Result<()> {
    let (detached, first) = (table(month, Place::Detached), month.first());
    let end = later(first, 1)?;
    let sql = format!(
        "ALTER TABLE {detached} DROP CONSTRAINT IF EXISTS policy_logs_month;
        ALTER TABLE {detached} ADD CONSTRAINT policy_logs_month CHECK
            (created_at >= '{first} 00:00:00+00' AND created_at < '{end} 00:00:00+00')"
    );
    raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Puts a month back, in a transaction like that of [`detach`].
pub(crate) async fn attach_again(connection: &mut PgConnection, month: Month) -> Result<()> {
    let (name, detached) = (table(month, Place::Attached), table(month, Place::Detached));
    let first = month.first();
    let sql = format!(
        "{GIVE_UP}; ALTER TABLE {detached} RENAME TO {name}; {};
        ALTER TABLE {name} DROP CONSTRAINT policy_logs_month",
        move_and_attach(first, later(first, 1)?)
    );
    raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Drops a month that was taken out.
pub(crate) async fn drop_detached(connection: &mut PgConnection, month: Month) -> Result<()> {
    let sql = format!("DROP TABLE {}", table(month, Place::Detached));
    raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

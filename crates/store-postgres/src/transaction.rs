//! Transactions: each has a name, under which its duration and its end are counted and logged.
//!
//! The numbers of all advisory locks of this crate, none of which may be used twice: 1936618604
//! (the epoch), 1936618605 (migrations), 1936618606 (a server that starts, against a contraction),
//! 1936618607 (archiving), 1936618608 (held by each replica that is connected).

use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, raw_sql};

use crate::error::Result;
use crate::measures::count;

/// How a transaction begins.
///
/// The number is the epoch lock, "sntl" in ASCII. Taking it is a statement of its own: the snapshot
/// of a statement is taken before it waits, so one that took the lock and read the epoch would read
/// an epoch from before the wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin {
    /// Holding the epoch lock alone: no decision commits meanwhile.
    Exclusive,
    /// Holding the epoch lock along with commits of decisions: the epoch stays what it is.
    Shared,
    /// Holding nothing but the rows that it changes.
    Rows,
    /// One snapshot for all of its statements, none of which writes.
    Snapshot,
}

/// Takes the epoch lock along with the other commits, then reads the epoch and the clock.
pub(crate) const BEGIN_SHARED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SELECT pg_advisory_xact_lock_shared(1936618604);
    SELECT epoch, floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM meta";

impl Begin {
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Exclusive => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
                SELECT pg_advisory_xact_lock(1936618604)"
            }
            Self::Shared => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
                SELECT pg_advisory_xact_lock_shared(1936618604)"
            }
            Self::Rows => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Self::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// An open transaction. When it is dropped before its end, its connection is closed, which makes
/// the server roll it back.
#[derive(Debug)]
pub(crate) struct Transaction {
    connection: PoolConnection<Postgres>,
    ended: bool,
    measured: Measured,
}

impl Transaction {
    pub(crate) async fn begin(pool: &PgPool, name: &'static str, begin: Begin) -> Result<Self> {
        let measured = Measured::start(name);
        let connection = pool.acquire().await?;
        let mut transaction = Self { connection, ended: false, measured };
        raw_sql(begin.sql()).execute(&mut *transaction.connection).await?;
        Ok(transaction)
    }

    /// Commits when `result` is `Ok`, else rolls back; returns `result`. When the commit fails it
    /// is unknown whether it took place.
    pub(crate) async fn end<T>(mut self, result: Result<T>) -> Result<T> {
        let (sql, outcome) = match result {
            Ok(_) => ("COMMIT", "committed"),
            Err(_) => ("ROLLBACK", "rolled_back"),
        };
        let ended = raw_sql(sql).execute(&mut *self.connection).await;
        self.ended = ended.is_ok();
        if self.ended {
            self.measured.outcome = outcome;
        }
        let value = result?;
        ended?;
        Ok(value)
    }
}

impl std::ops::Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

/// Counts and logs, when dropped, how long a transaction took and how it ended.
#[derive(Debug)]
pub(crate) struct Measured {
    name: &'static str,
    started: Instant,
    pub(crate) outcome: &'static str,
}

impl Measured {
    pub(crate) fn start(name: &'static str) -> Self {
        Self { name, started: Instant::now(), outcome: "failed" }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let (transaction, outcome) = (self.name, self.outcome);
        let took = self.started.elapsed();
        count(transaction, outcome, took);
        let duration_us = took.as_micros();
        tracing::debug!(transaction, outcome, duration_us, "a transaction has ended");
    }
}

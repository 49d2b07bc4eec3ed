//! The few connections that commit decisions. They are kept apart from the pool, which would ask
//! the server before and after each use whether the connection is alive: here that is asked after
//! a pause only, in which the server may have gone away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::commit::Batch;
use sentinel_core::epoch::Epoch;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _, query, raw_sql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{Result, unavailable};
use crate::migrations::{self, Schema};
use crate::options::{Options, too_slow};
use crate::transaction::{BEGIN_SHARED, Measured};

/// Commits batches of decisions, in one way: [`Committers`]. The tests of the chaos suite put one
/// that is wrong in its place.
#[async_trait]
pub(crate) trait Committing: Send + Sync + std::fmt::Debug {
    /// Commits a batch as [`sentinel_core::commit`] describes.
    async fn commit(&self, batch: Batch, claims_expire_before: Timestamp) -> Result<Batch>;
}

/// Connections that commit decisions.
#[derive(Debug)]
pub(crate) struct Committers {
    connect: PgConnectOptions,
    acquire_timeout: Duration,
    permits: Arc<Semaphore>,
    idle: Idle,
    pub(crate) schema: Schema,
}

/// Connections that are free, and since when.
type Idle = Arc<Mutex<Vec<(PgConnection, Instant)>>>;

/// How long a connection may have been idle and still be taken for alive.
const FRESH: Duration = Duration::from_secs(1);

/// A connection for one commit. Dropping it closes it, which makes the server roll back what is
/// not committed.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) connection: PgConnection,
    measured: Measured,
    idle: Idle,
    _permit: OwnedSemaphorePermit,
}

impl Committers {
    pub(crate) fn new(connect: PgConnectOptions, options: &Options, schema: Schema) -> Self {
        let count = usize::try_from(options.committers.max(1)).unwrap_or(1);
        Self {
            connect,
            acquire_timeout: options.acquire_timeout,
            permits: Arc::new(Semaphore::new(count)),
            idle: Arc::default(),
            schema,
        }
    }

    /// Takes a connection, a new one when the old ones are gone.
    pub(crate) async fn take(&self) -> Result<Committer> {
        let permit = timeout(self.acquire_timeout, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| too_slow("waiting for a committer", self.acquire_timeout))?
            .map_err(|error| unavailable(error.to_string()))?;
        let measured = Measured::start("commit_decisions");
        let connection = self.connection().await?;
        let idle = Arc::clone(&self.idle);
        Ok(Committer { connection, measured, idle, _permit: permit })
    }

    async fn connection(&self) -> Result<PgConnection> {
        while let Some((mut connection, since)) = self.reuse() {
            if since.elapsed() < FRESH {
                return Ok(connection);
            }
            match timeout(self.acquire_timeout, connection.ping()).await {
                Ok(Ok(())) => return Ok(connection),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a connection is lost; connecting again");
                }
                Err(_) => tracing::debug!("a connection is silent; connecting again"),
            }
        }
        let connected =
            timeout(self.acquire_timeout, PgConnection::connect_with(&self.connect)).await;
        let mut connection =
            connected.map_err(|_| too_slow("connecting", self.acquire_timeout))??;
        migrations::usable(&mut connection, self.schema).await?;
        Ok(connection)
    }

    fn reuse(&self) -> Option<(PgConnection, Instant)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// The setting can be changed while servers run, and holds for each new connection.
pub(crate) fn waits_for_disk(synchronous_commit: &str) -> Result<()> {
    if synchronous_commit == "off" {
        let why = "the server has `synchronous_commit` off, so it would lose decisions";
        return Err(unavailable(why));
    }
    Ok(())
}

impl Committer {
    /// Waits until what was committed on this connection is as durable as the server's setting of
    /// `synchronous_commit` says, by a commit that waits for that: the log is written in order, so
    /// all that is before it in the log is durable then, too. Others that compete for the same
    /// counters go on meanwhile, and whatever they commit is further on in the log.
    pub(crate) async fn make_durable(&mut self) -> Result<()> {
        let sql = "SELECT pg_logical_emit_message(true, 'sentinel', '')::text,
            current_setting('synchronous_commit')";
        let row = query(sql).fetch_one(&mut self.connection).await?;
        waits_for_disk(row.try_get(1)?)
    }

    /// One round trip: begins, takes the epoch lock and reads the epoch, which is that of the store
    /// until the transaction has ended, and what the server's clock says.
    pub(crate) async fn begin(&mut self) -> Result<(Epoch, Timestamp)> {
        let rows = raw_sql(BEGIN_SHARED).fetch_all(&mut self.connection).await?;
        // The lock returns a row, too.
        let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
        // A simple query returns text, which `Time` does not read.
        let epoch = Epoch(row.try_get::<i64, _>(0)?.cast_unsigned());
        let micros = row.try_get::<i64, _>(1)?;
        let now = Timestamp::from_microsecond(micros).map_err(|e| unavailable(e.to_string()))?;
        Ok((epoch, now))
    }

    /// Commits, durably. When this fails it is unknown whether the commit took place.
    pub(crate) async fn commit(mut self) -> Result<()> {
        raw_sql("COMMIT").execute(&mut self.connection).await?;
        self.make_durable().await?;
        self.committed();
        Ok(())
    }

    /// Gives the connection back, on which everything is committed, durably.
    pub(crate) fn committed(mut self) {
        self.measured.outcome = "committed";
        let Self { connection, idle, .. } = self;
        let free = (connection, Instant::now());
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(free);
    }
}

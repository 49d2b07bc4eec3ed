//! The few connections that commit decisions. They are kept apart from the pool, which would ask
//! the server before and after each use whether the connection is alive: here the first statement
//! of a transaction finds out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::epoch::Epoch;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _, raw_sql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{Result, is_lost, unavailable};
use crate::migrations::{self, Schema};
use crate::options::{Options, too_slow};
use crate::transaction::{BEGIN_SHARED, Measured};

/// Connections that commit decisions.
#[derive(Debug)]
pub(crate) struct Committers {
    connect: PgConnectOptions,
    acquire_timeout: Duration,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<PgConnection>>>,
    pub(crate) schema: Schema,
    #[cfg(feature = "planted-faults")]
    pub(crate) planted: crate::fault::Planted,
}

/// A transaction that holds the epoch lock shared. Dropping it closes its connection, which makes
/// the server roll it back.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) connection: PgConnection,
    /// The epoch of the store, until this transaction has ended.
    pub(crate) epoch: Epoch,
    measured: Measured,
    idle: Arc<Mutex<Vec<PgConnection>>>,
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
            #[cfg(feature = "planted-faults")]
            planted: crate::fault::Planted::default(),
        }
    }

    /// Begins a transaction, on a new connection when the old ones are gone.
    pub(crate) async fn begin(&self) -> Result<Committer> {
        let permit = timeout(self.acquire_timeout, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| too_slow("waiting for a committer", self.acquire_timeout))?
            .map_err(|error| unavailable(error.to_string()))?;
        let measured = Measured::start("commit_decisions");
        let (connection, epoch) = self.connection().await?;
        let idle = Arc::clone(&self.idle);
        Ok(Committer { connection, epoch, measured, idle, _permit: permit })
    }

    async fn connection(&self) -> Result<(PgConnection, Epoch)> {
        while let Some(mut connection) = self.reuse() {
            match begin(&mut connection).await {
                Ok(epoch) => return Ok((connection, epoch)),
                // Nothing was written on it.
                Err(error) if is_lost(&error) => {
                    tracing::debug!(%error, "a connection is lost; connecting anew");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut connection =
            timeout(self.acquire_timeout, PgConnection::connect_with(&self.connect))
                .await
                .map_err(|_| too_slow("connecting", self.acquire_timeout))??;
        migrations::usable(&mut connection, self.schema).await?;
        let epoch = begin(&mut connection).await?;
        Ok((connection, epoch))
    }

    fn reuse(&self) -> Option<PgConnection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Committer {
    /// Commits. When this fails it is unknown whether the commit took place.
    pub(crate) async fn commit(mut self) -> Result<()> {
        raw_sql("COMMIT").execute(&mut self.connection).await?;
        self.measured.outcome = "committed";
        let Self { connection, idle, .. } = self;
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }
}

/// One round trip: begins, takes the epoch lock and reads the epoch.
async fn begin(connection: &mut PgConnection) -> sqlx::Result<Epoch> {
    let rows = raw_sql(BEGIN_SHARED).fetch_all(connection).await?;
    // The lock answers a row, too.
    let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
    Ok(Epoch(row.try_get::<i64, _>(0)?.cast_unsigned()))
}

//! Opening the database, and how work is run on it; each port is implemented beside its SQL.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::Bus;
use sentinel_core::ports::StoreError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::watch;

use crate::committers::{self, Committers, Committing};
use crate::epochs::Epochs;
use crate::error::Result as Work;
use crate::events::PostgresEvents;
use crate::measures::{self, PoolUse, Transactions};
use crate::migrations::{self, Schema, Step};
use crate::options::{Options, too_slow};
use crate::{epoch, partitions, time};

/// A store in one database. Its methods need a Tokio runtime, as does opening it.
///
/// Times are kept in microseconds: what is read back has lost anything finer. Texts hold no NUL
/// characters; in the reasons and metadata of a decision they are replaced by U+FFFD.
#[derive(Debug)]
pub struct PostgresStore {
    /// The primary: every change, and every read that must see it.
    pub(crate) pool: PgPool,
    /// The primary once more, for kills, restores, what they changed, and the check that the store
    /// works: no listing may be in their way.
    pub(crate) urgent: PgPool,
    /// Listings: the read replica, or the primary.
    pub(crate) listings: PgPool,
    /// What commits decisions.
    pub(crate) committing: Arc<dyn Committing>,
    pub(crate) epochs: Epochs,
    pub(crate) connect: PgConnectOptions,
    pub(crate) schema: Schema,
    pub(crate) acquire_timeout: Duration,
    pub(crate) call_timeout: Duration,
}

impl PostgresStore {
    /// Opens the database at `url`, which [`PostgresStore::migrate`] has prepared.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the server does not answer, commits without waiting for
    /// the disk, or has an older schema or an edited one; [`StoreError::SchemaTooNew`] when a
    /// newer version has migrated it so that this one cannot use it.
    pub async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        let call_timeout = options.call_timeout;
        in_time(call_timeout, Self::connect(url, options, migrations::CURRENT)).await
    }

    pub(crate) async fn connect(url: &str, options: Options, schema: Schema) -> Work<Self> {
        let connect = options.connect(url)?.application_name(&schema.application_name());
        // Past the pool, which would go on trying.
        let mut connection = PgConnection::connect_with(&connect).await?;
        migrations::check(&mut connection, schema).await?;
        let now = check_durable(&mut connection).await?;
        let epoch = epoch::epoch(&mut connection).await?;
        connection.close().await?;
        let pool = pool_of_primary(&options, options.max_connections, schema)
            .connect_with(connect.clone())
            .await?;
        let urgent = pool_of_primary(&options, URGENT, schema).connect_lazy_with(connect.clone());
        let listings = match &options.read_url {
            Some(url) => pool_of_replica(url, &options)?,
            None => pool.clone(),
        };
        if let Err(error) = partitions::ensure(&pool, now, partitions::MONTHS_AHEAD).await {
            // Nothing is lost: what has no partition goes to the default one.
            tracing::warn!(%error, "the partitions of the coming months could not be made");
        }
        Ok(Self {
            pool,
            urgent,
            listings,
            committing: Arc::new(Committers::new(connect.clone(), &options, schema)),
            epochs: Epochs::listen(connect.clone(), &options, epoch),
            connect,
            schema,
            acquire_timeout: options.acquire_timeout,
            call_timeout: options.call_timeout,
        })
    }

    /// Brings the schema of the database at `url` to what this version needs; returns its version.
    /// Others that do the same at the same time wait for each other.
    ///
    /// # Errors
    /// Those of [`PostgresStore::open`].
    pub async fn migrate(url: &str) -> Result<u32, StoreError> {
        Self::migrate_to(url, Step::Expand, &|_| {}).await
    }

    /// Brings the schema to a step of an upgrade, while servers work on it; passes a sentence to
    /// `tell` about what is done and what is waited for. An empty database gets everything at once.
    ///
    /// # Errors
    /// Those of [`PostgresStore::open`]; [`StoreError::Unavailable`] when the schema is to be
    /// contracted and a server is connected that would then fail.
    pub async fn migrate_to(
        url: &str,
        step: Step,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<u32, StoreError> {
        Ok(migrations::migrate(url, migrations::CURRENT, step, tell).await?)
    }

    /// The epoch of the store, as far as it was heard of: a reason to look sooner, and no more.
    #[must_use]
    pub fn epochs(&self) -> watch::Receiver<Epoch> {
        self.epochs.receiver()
    }

    /// The transactions of this process, by name and end.
    #[must_use]
    pub fn transactions(&self) -> Vec<Transactions> {
        measures::transactions()
    }

    /// The connections that queries and changes of control state share.
    #[must_use]
    pub fn pool_use(&self) -> PoolUse {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        PoolUse { open: self.pool.size(), idle }
    }

    /// Starts to carry control events between the replicas of this database: those of others go to
    /// `sink`, which must not send them on. For fleets without Redis.
    #[must_use]
    pub fn carry_events(&self, sink: Arc<dyn Bus>) -> PostgresEvents {
        PostgresEvents::start(&self.connect, self.acquire_timeout, sink)
    }

    /// Runs `work` to its end even when the caller stops waiting.
    pub(crate) async fn to_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Work<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let call_timeout = self.call_timeout;
        let running = tokio::spawn(async move { in_time(call_timeout, work).await });
        running.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Runs `work` while the caller waits.
    pub(crate) async fn read<T>(
        &self,
        work: impl Future<Output = Work<T>> + Send,
    ) -> Result<T, StoreError> {
        in_time(self.call_timeout, work).await
    }
}

pub(crate) async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Work<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(StoreError::from),
        Err(_) => Err(too_slow("the database", limit)),
    }
}

/// Connections for what must not wait for listings.
const URGENT: u32 = 2;

fn pool(options: &Options, most: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(most.max(1)).acquire_timeout(options.acquire_timeout)
}

fn pool_of_primary(options: &Options, most: u32, schema: Schema) -> PgPoolOptions {
    pool(options, most).after_connect(move |connection, _| {
        Box::pin(async move {
            let usable = migrations::usable(connection, schema).await;
            usable.map(|_| ()).map_err(sqlx::Error::from)
        })
    })
}

/// Connected when it is first used: a replica that is away must not keep this server from deciding.
fn pool_of_replica(url: &str, options: &Options) -> Work<PgPool> {
    Ok(pool(options, options.max_connections).connect_lazy_with(options.connect(url)?))
}

/// Refuses a server that acknowledges what is not on disk yet; returns its time.
async fn check_durable(connection: &mut sqlx::PgConnection) -> Work<Timestamp> {
    let sql = "SELECT now(), current_setting('synchronous_commit')";
    let (now, setting): (time::Time, String) = sqlx::query_as(sql).fetch_one(connection).await?;
    committers::waits_for_disk(&setting)?;
    Ok(now.0)
}

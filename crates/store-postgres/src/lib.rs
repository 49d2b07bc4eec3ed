//! The store on `PostgreSQL`: any number of replicas, one database.
//!
//! The epoch lock of the port's contract is an advisory lock: commits of decisions hold it shared,
//! changes of control state alone. It is taken by a statement of its own, and the epoch is read by
//! the next one, so what a commit reads is what holds until it has ended: see
//! [`sentinel_core::store`] and [`sentinel_core::commit`].

mod archive;
mod commit;
mod committers;
mod counters;
mod decisions;
mod epochs;
mod error;
mod events;
#[cfg(feature = "planted-faults")]
mod fault;
mod housekeeping;
mod kills;
mod listing;
mod log;
mod log_append;
mod log_store;
mod manifests;
mod measures;
mod meta;
mod migrations;
mod options;
mod partitions;
mod payload_store;
mod payloads;
mod policy;
mod recording;
mod registry;
#[cfg(feature = "rehearsal")]
mod rehearsal;
mod row;
mod time;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::commit::Batch;
use sentinel_core::control::{ControlChanges, ControlState};
use sentinel_core::epoch::Epoch;
use sentinel_core::event::Bus;
use sentinel_core::housekeeping::{Expiring, Reading};
use sentinel_core::id::{DecisionId, KeyId, KillId, ManifestId, RolloutId, TenantId, ToolId};
use sentinel_core::kill::{Kill, RestoreOrder};
use sentinel_core::log::{LogPlace, NewManifest};
use sentinel_core::manifest::{Manifest, ManifestFilter};
use sentinel_core::page::{Page, Paged};
use sentinel_core::permit::{Redeemed, Redemption};
use sentinel_core::policy_change::PolicyChange;
use sentinel_core::policy_data::DataPath;
use sentinel_core::principal::ApiKey;
use sentinel_core::quota::Counter;
use sentinel_core::rollout::Rollout;
use sentinel_core::store::{
    DataChange, PolicyFiles, RecordedData, Registered, Restored, RolloutStep, Store, StoreError,
};
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::{Health, Tool, ToolChange};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::watch;
use uuid::Uuid;

pub use crate::archive::{ArchivedMonth, ArchivingError, ClosedMonth};
pub use crate::events::{EventCounters, PostgresEvents};
#[cfg(feature = "planted-faults")]
pub use crate::fault::Fault;
pub use crate::measures::{PoolUse, Transactions};
pub use crate::migrations::Step;
pub use crate::options::Options;

use crate::committers::Committers;
use crate::epochs::Epochs;
use crate::error::Result as Work;
use crate::migrations::Schema;
use crate::options::too_slow;
use crate::row::by_id;

/// A store in one database. Its methods need a Tokio runtime, as does opening it.
///
/// Times are kept in microseconds: what is read back has lost anything finer. Texts hold no NUL
/// characters; in the reasons and metadata of a decision they are replaced by U+FFFD.
#[derive(Debug)]
pub struct PostgresStore {
    /// The primary: every change, and every read that must see it.
    pool: PgPool,
    /// The primary once more, for kills, restores, what they changed, and the question whether the
    /// store works: no listing may be in their way.
    urgent: PgPool,
    /// Listings: the read replica, or the primary.
    listings: PgPool,
    committers: Arc<Committers>,
    epochs: Epochs,
    connect: PgConnectOptions,
    schema: Schema,
    acquire_timeout: Duration,
    call_timeout: Duration,
}

impl PostgresStore {
    /// Months for which [`PostgresStore::open`] makes partitions ahead.
    pub const MONTHS_AHEAD: u32 = 2;

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

    async fn connect(url: &str, options: Options, schema: Schema) -> Work<Self> {
        let connect = options.connect(url)?.application_name(&schema.application_name());
        // Past the pool, which would go on trying.
        let mut connection = PgConnection::connect_with(&connect).await?;
        migrations::check(&mut connection, schema).await?;
        let now = check_durable(&mut connection).await?;
        let epoch = meta::epoch(&mut connection).await?;
        connection.close().await?;
        let pool = pool_of_primary(&options, options.max_connections, schema)
            .connect_with(connect.clone())
            .await?;
        let urgent = pool_of_primary(&options, URGENT, schema).connect_lazy_with(connect.clone());
        let listings = match &options.read_url {
            Some(url) => pool_of_replica(url, &options)?,
            None => pool.clone(),
        };
        if let Err(error) = partitions::ensure(&pool, now, Self::MONTHS_AHEAD).await {
            // Nothing is lost: what has no partition goes to the default one.
            tracing::warn!(%error, "the partitions of the coming months could not be made");
        }
        Ok(Self {
            pool,
            urgent,
            listings,
            committers: Arc::new(Committers::new(connect.clone(), &options, schema)),
            epochs: Epochs::listen(connect.clone(), &options, epoch),
            connect,
            schema,
            acquire_timeout: options.acquire_timeout,
            call_timeout: options.call_timeout,
        })
    }

    /// Brings the schema of the database at `url` to what this version needs; answers its version.
    /// Others that do the same at the same time wait for each other.
    ///
    /// # Errors
    /// Those of [`PostgresStore::open`].
    pub async fn migrate(url: &str) -> Result<u32, StoreError> {
        Self::migrate_to(url, Step::Expand, &|_| {}).await
    }

    /// Brings the schema to a step of an upgrade, while servers work on it; says in words to `tell`
    /// what is done and what is waited for. An empty database gets everything at once.
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

    /// Makes the partitions of the audit log for the month of `now` and so many months after it;
    /// answers how many were missing. To be called every day or so.
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
    async fn to_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Work<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let call_timeout = self.call_timeout;
        let running = tokio::spawn(async move { in_time(call_timeout, work).await });
        running.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Runs `work` while the caller waits.
    async fn read<T>(&self, work: impl Future<Output = Work<T>> + Send) -> Result<T, StoreError> {
        in_time(self.call_timeout, work).await
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Work<T>>) -> Result<T, StoreError> {
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

/// Connected when it is first used: a replica that is away is no reason not to decide.
fn pool_of_replica(url: &str, options: &Options) -> Work<PgPool> {
    Ok(pool(options, options.max_connections).connect_lazy_with(options.connect(url)?))
}

/// Refuses a server that acknowledges what is not on disk yet; answers its time.
async fn check_durable(connection: &mut sqlx::PgConnection) -> Work<Timestamp> {
    let sql = "SELECT now(), current_setting('synchronous_commit')";
    let (now, setting): (time::Time, String) = sqlx::query_as(sql).fetch_one(connection).await?;
    committers::waits_for_disk(&setting)?;
    Ok(now.0)
}

#[async_trait]
impl Store for PostgresStore {
    async fn control_changes(&self, since: Epoch) -> Result<ControlChanges, StoreError> {
        self.read(meta::snapshot(&self.urgent, since)).await
    }

    async fn create_tenant(&self, tenant: Tenant) -> Result<Epoch, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { registry::create_tenant(&pool, &tenant).await }).await
    }

    async fn register_tool(&self, tenant: Tenant, tool: Tool) -> Result<Registered, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { registry::register_tool(&pool, &tenant, tool).await }).await
    }

    async fn update_tool(
        &self,
        id: ToolId,
        change: ToolChange,
        at: Timestamp,
    ) -> Result<Option<(Tool, Epoch)>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { registry::update_tool(&pool, id, change, at).await }).await
    }

    async fn create_key(&self, key: ApiKey) -> Result<Epoch, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { registry::create_key(&pool, &key).await }).await
    }

    async fn revoke_key(
        &self,
        id: KeyId,
        at: Timestamp,
    ) -> Result<Option<(ApiKey, Epoch)>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { registry::revoke_key(&pool, id, at).await }).await
    }

    async fn kill(&self, kill: Kill) -> Result<Epoch, StoreError> {
        let pool = self.urgent.clone();
        self.to_end(async move { kills::kill(&pool, &kill).await }).await
    }

    async fn restore(&self, order: RestoreOrder) -> Result<Restored, StoreError> {
        let pool = self.urgent.clone();
        self.to_end(async move { kills::restore(&pool, &order).await }).await
    }

    async fn turn_kills(&self, over: Vec<KillId>, now: Timestamp) -> Result<Vec<Kill>, StoreError> {
        let pool = self.urgent.clone();
        self.to_end(async move { kills::turn(&pool, &over, now).await }).await
    }

    async fn replicas(&self) -> Result<u64, StoreError> {
        let pool = self.urgent.clone();
        self.to_end(async move { kills::replicas(&pool).await }).await
    }

    async fn record_policy_change(&self, change: PolicyChange) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { policy::record(&pool, &change).await }).await
    }

    async fn policy_changes(&self, page: Page) -> Result<Paged<PolicyChange>, StoreError> {
        self.read(policy::changes(&self.listings, &page)).await
    }

    async fn change_policy_data(&self, change: DataChange) -> Result<Option<Epoch>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { policy::change_data(&pool, change).await }).await
    }

    async fn policy_data_history(
        &self,
        path: Option<DataPath>,
        page: Page,
    ) -> Result<Paged<RecordedData>, StoreError> {
        self.read(policy::data_history(&self.listings, path.as_ref(), &page)).await
    }

    async fn start_rollout(
        &self,
        rollout: Rollout,
        files: PolicyFiles,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { policy::start_rollout(&pool, &rollout, &files, change).await })
            .await
    }

    async fn move_rollout(
        &self,
        step: RolloutStep,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { policy::move_rollout(&pool, &step, change).await }).await
    }

    async fn rollout_files(&self, id: RolloutId) -> Result<Option<PolicyFiles>, StoreError> {
        self.read(async { policy::rollout_files(&mut *self.pool.acquire().await?, id).await }).await
    }

    async fn commit_decisions(
        &self,
        batch: Batch,
        claims_expire_before: Timestamp,
    ) -> Result<Batch, StoreError> {
        let committers = Arc::clone(&self.committers);
        self.to_end(async move { commit::commit(&committers, batch, claims_expire_before).await })
            .await
    }

    async fn expire_claims(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let pool = self.pool.clone();
            let expire = async move { commit::expire_claims(&pool, before).await };
            let deleted = self.to_end(expire).await?;
            total += deleted;
            if deleted < commit::CLAIMS_AT_ONCE {
                return Ok(total);
            }
        }
    }

    async fn take_housekeeping(
        &self,
        holder: Uuid,
        reading: Reading,
    ) -> Result<Option<Timestamp>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { housekeeping::take(&pool, holder, reading).await }).await
    }

    async fn expire(&self, what: Expiring, before: Timestamp) -> Result<u64, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { housekeeping::expire(&pool, what, before).await }).await
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
        self.read(async { by_id(&mut *self.pool.acquire().await?, id.0).await }).await
    }

    async fn has_archived(&self, at: Timestamp) -> Result<bool, StoreError> {
        self.read(async { partitions::is_gone(&mut *self.pool.acquire().await?, at).await }).await
    }

    async fn decisions(
        &self,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Paged<DecisionRecord>, StoreError> {
        self.read(decisions::decisions(&self.listings, &filter, &page)).await
    }

    async fn counters(
        &self,
        tenant: Option<TenantId>,
        at: Timestamp,
        page: Page,
    ) -> Result<Paged<Counter>, StoreError> {
        self.read(counters::counters(&self.pool, tenant, at, &page)).await
    }

    async fn redeem_permit(
        &self,
        redemption: Redemption,
    ) -> Result<(Redeemed, Arc<ControlState>), StoreError> {
        let pool = self.pool.clone();
        let redeemed = self.to_end(async move { commit::redeem(&pool, redemption).await }).await;
        redeemed.map(|(redemption, marked)| redemption.end(marked))
    }

    async fn insert_manifests(
        &self,
        manifests: Vec<NewManifest>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { manifests::insert(&pool, &manifests).await }).await
    }

    async fn manifest(&self, id: ManifestId) -> Result<Option<Manifest>, StoreError> {
        self.read(async { by_id(&mut *self.pool.acquire().await?, id.0).await }).await
    }

    async fn manifests(
        &self,
        filter: ManifestFilter,
        page: Page,
    ) -> Result<Paged<Manifest>, StoreError> {
        self.read(manifests::manifests(&self.listings, &filter, &page)).await
    }

    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>, StoreError> {
        self.read(registry::tenants(&self.listings, &page)).await
    }

    async fn tools(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<(Tool, Option<Health>)>, StoreError> {
        self.read(registry::tools(&self.listings, tenant, &page)).await
    }

    async fn tool(&self, id: ToolId) -> Result<Option<(Tool, Option<Health>)>, StoreError> {
        self.read(async { by_id(&mut *self.pool.acquire().await?, id.0).await }).await
    }

    async fn record_health(&self, id: ToolId, health: Health) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { registry::record_health(&pool, id, &health).await }).await
    }

    async fn kills(
        &self,
        tenant: Option<TenantId>,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<Kill>, StoreError> {
        self.read(kills::kills(&self.listings, tenant, in_force, &page)).await
    }

    async fn keys(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<ApiKey>, StoreError> {
        self.read(registry::keys(&self.pool, tenant, &page)).await
    }

    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let (pool, name) = (self.pool.clone(), name.to_owned());
        self.to_end(async move { meta::secret(&pool, &name, candidate).await }).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let (pool, schema) = (self.urgent.clone(), self.schema);
        self.to_end(async move { meta::ping(&pool, schema).await }).await
    }
}

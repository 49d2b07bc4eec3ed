//! The store on `SQLite`: one file, one process, one thread that writes.
//!
//! Write-ahead log with `synchronous=FULL`, so a commit is on disk when it returns. Every write
//! goes through one thread, which makes the epoch lock of the port's contract a matter of order:
//! see [`sentinel_core::store`] and [`sentinel_core::commit`].

mod buckets;
mod checkpoint;
mod commit;
mod connection;
mod counters;
mod decisions;
mod error;
mod housekeeping;
mod kills;
mod listing;
mod log;
mod log_append;
mod log_store;
mod manifests;
mod meta;
mod migrations;
mod payload_store;
mod payloads;
mod policy;
mod readers;
mod registry;
mod row;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Transaction;
use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::commit::Batch;
use sentinel_core::control::{ControlChanges, ControlState};
use sentinel_core::epoch::Epoch;
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
use uuid::Uuid;

use crate::readers::Readers;
use crate::row::one;
use crate::writer::Writer;

/// A store in one database file. Its methods need a Tokio runtime; opening and dropping do not.
///
/// Times are kept in microseconds: what is read back has lost anything finer.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped first: whoever has the file open last copies what is left of the log into it.
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the database at `path`, creating it when there is none and bringing its schema up to
    /// date. It belongs to this value until that is dropped, which waits for what is being
    /// written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be opened, is another application's, is
    /// open in another process or was made by an edited migration; [`StoreError::SchemaTooNew`]
    /// when a newer version wrote it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let held = connection::hold(path.as_ref())?;
        let mut connection = connection::writing(&held.path)?;
        migrations::migrate(&mut connection)?;
        log::end_leads(&connection)?;
        let readers = Readers::new(held.path.clone());
        let writer = Writer::start(connection, held)?;
        Ok(Self { readers, writer })
    }

    /// Brings the schema of the database at `path` up to date; answers its version.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`].
    pub fn migrate(path: impl AsRef<Path>) -> Result<u32, StoreError> {
        let held = connection::hold(path.as_ref())?;
        let mut connection = connection::writing(&held.path)?;
        Ok(migrations::migrate(&mut connection)?)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn control_changes(&self, since: Epoch) -> Result<ControlChanges, StoreError> {
        self.readers.run(move |read| meta::control_changes(read, since)).await
    }

    async fn create_tenant(&self, tenant: Tenant) -> Result<Epoch, StoreError> {
        self.writer.run(move |write| registry::create_tenant(write, &tenant)).await
    }

    async fn register_tool(&self, tenant: Tenant, tool: Tool) -> Result<Registered, StoreError> {
        self.writer.run(move |write| registry::register_tool(write, &tenant, tool)).await
    }

    async fn update_tool(
        &self,
        id: ToolId,
        change: ToolChange,
        at: Timestamp,
    ) -> Result<Option<(Tool, Epoch)>, StoreError> {
        self.writer.run(move |write| registry::update_tool(write, id, change, at)).await
    }

    async fn create_key(&self, key: ApiKey) -> Result<Epoch, StoreError> {
        self.writer.run(move |write| registry::create_key(write, &key)).await
    }

    async fn revoke_key(
        &self,
        id: KeyId,
        at: Timestamp,
    ) -> Result<Option<(ApiKey, Epoch)>, StoreError> {
        self.writer.run(move |write| registry::revoke_key(write, id, at)).await
    }

    async fn kill(&self, kill: Kill) -> Result<Epoch, StoreError> {
        self.writer.run(move |write| kills::kill(write, &kill)).await
    }

    async fn restore(&self, order: RestoreOrder) -> Result<Restored, StoreError> {
        self.writer.run(move |write| kills::restore(write, &order)).await
    }

    async fn turn_kills(&self, over: Vec<KillId>, now: Timestamp) -> Result<Vec<Kill>, StoreError> {
        self.writer.run(move |write| kills::turn(write, &over, now)).await
    }

    async fn record_policy_change(&self, change: PolicyChange) -> Result<bool, StoreError> {
        self.writer.run(move |write| policy::record(write, &change)).await
    }

    async fn policy_changes(&self, page: Page) -> Result<Paged<PolicyChange>, StoreError> {
        self.readers.run(move |read| policy::changes(read, &page)).await
    }

    async fn change_policy_data(&self, change: DataChange) -> Result<Option<Epoch>, StoreError> {
        self.writer.run(move |write| policy::change_data(write, change)).await
    }

    async fn policy_data_history(
        &self,
        path: Option<DataPath>,
        page: Page,
    ) -> Result<Paged<RecordedData>, StoreError> {
        self.readers.run(move |read| policy::data_history(read, path.as_ref(), &page)).await
    }

    async fn start_rollout(
        &self,
        rollout: Rollout,
        files: PolicyFiles,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError> {
        self.writer.run(move |write| policy::start_rollout(write, &rollout, &files, change)).await
    }

    async fn move_rollout(
        &self,
        step: RolloutStep,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError> {
        self.writer.run(move |write| policy::move_rollout(write, &step, change)).await
    }

    async fn rollout_files(&self, id: RolloutId) -> Result<Option<PolicyFiles>, StoreError> {
        self.readers.run(move |read| policy::rollout_files(read, id)).await
    }

    async fn commit_decisions(
        &self,
        batch: Batch,
        claims_expire_before: Timestamp,
    ) -> Result<Batch, StoreError> {
        self.writer.run(move |write| commit::commit(write, batch, claims_expire_before)).await
    }

    async fn expire_claims(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let deleted =
                self.writer.run(move |write| commit::expire_claims(write, before)).await?;
            total += deleted;
            if deleted < commit::CLAIMS_AT_ONCE {
                return Ok(total);
            }
        }
    }

    // One process has the file, so no other can have the housekeeping.
    async fn take_housekeeping(
        &self,
        _holder: Uuid,
        reading: Reading,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.writer.run(move |write| housekeeping::believed(write, reading)).await.map(Some)
    }

    async fn expire(&self, what: Expiring, before: Timestamp) -> Result<u64, StoreError> {
        self.writer.run(move |write| housekeeping::expire(write, what, before)).await
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
        self.readers.run(move |read| decisions::decision(read, id.0.as_bytes())).await
    }

    async fn decisions(
        &self,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Paged<DecisionRecord>, StoreError> {
        self.readers.run(move |read| decisions::decisions(read, &filter, &page)).await
    }

    async fn counters(
        &self,
        tenant: Option<TenantId>,
        at: Timestamp,
        page: Page,
    ) -> Result<Paged<Counter>, StoreError> {
        self.readers.run(move |read| counters::counters(read, tenant, at, &page)).await
    }

    async fn redeem_permit(
        &self,
        redemption: Redemption,
    ) -> Result<(Redeemed, Arc<ControlState>), StoreError> {
        let redeem = move |write: &Transaction<'_>| commit::redeem(write, redemption);
        let (redemption, marked) = self.writer.run(redeem).await?;
        Ok(redemption.end(marked))
    }

    async fn insert_manifests(
        &self,
        manifests: Vec<NewManifest>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        self.writer.run(move |write| manifests::insert(write, &manifests)).await
    }

    async fn manifest(&self, id: ManifestId) -> Result<Option<Manifest>, StoreError> {
        self.readers.run(move |read| one(read, "id = ?1", [id.0.as_bytes()])).await
    }

    async fn manifests(
        &self,
        filter: ManifestFilter,
        page: Page,
    ) -> Result<Paged<Manifest>, StoreError> {
        self.readers.run(move |read| manifests::manifests(read, &filter, &page)).await
    }

    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>, StoreError> {
        self.readers.run(move |read| registry::tenants(read, &page)).await
    }

    async fn tools(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<(Tool, Option<Health>)>, StoreError> {
        self.readers.run(move |read| registry::tools(read, tenant, &page)).await
    }

    async fn tool(&self, id: ToolId) -> Result<Option<(Tool, Option<Health>)>, StoreError> {
        self.readers.run(move |read| one(read, "id = ?1", [id.0.as_bytes()])).await
    }

    async fn record_health(&self, id: ToolId, health: Health) -> Result<(), StoreError> {
        self.writer.run(move |write| registry::record_health(write, id, &health)).await
    }

    async fn kills(
        &self,
        tenant: Option<TenantId>,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<Kill>, StoreError> {
        self.readers.run(move |read| kills::kills(read, tenant, in_force, &page)).await
    }

    async fn keys(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<ApiKey>, StoreError> {
        self.readers.run(move |read| registry::keys(read, tenant, &page)).await
    }

    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let name = name.to_owned();
        self.writer.run(move |write| meta::secret(write, &name, candidate)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.run(meta::ping).await
    }
}

//! The port of the store. Two implementations exist, SQLite and PostgreSQL; one conformance suite
//! (`sentinel-testkit`) runs against both, and is the definition of what each method must do.
//!
//! # Contract
//! - When a method returns `Ok`, what it wrote is on disk.
//! - Every change of control state (tenants, tools, keys, kills, policy data, rollouts) increments the epoch in its own
//!   transaction, under the epoch lock taken exclusively; [`Store::commit_decisions`] takes that
//!   lock shared. Hence no decision commits under an epoch other than the one it read.
//! - Lookups answer `Ok(None)` when there is nothing. An error says only that the store could not
//!   answer; whoever is deciding denies.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::audit::{DecisionFilter, DecisionRecord};
use crate::commit::Batch;
use crate::control::{ControlChanges, ControlState};
use crate::epoch::Epoch;
use crate::housekeeping::{Expiring, Reading};
use crate::id::{DecisionId, KeyId, KillId, ManifestId, RolloutId, TenantId, ToolId};
use crate::kill::{Kill, RestoreOrder};
use crate::log::{LogPlace, NewManifest};
use crate::manifest::{Manifest, ManifestFilter};
use crate::name::{DisplayName, Owner, TenantSlug, ToolName};
use crate::page::{Page, Paged};
use crate::permit::{Redeemed, Redemption};
use crate::policy_change::PolicyChange;
use crate::policy_data::{DataEntries, DataPath};
use crate::principal::ApiKey;
use crate::quota::Counter;
use crate::rollout::{Rollout, RolloutState};
use crate::tenant::Tenant;
use crate::tool::{Health, Tool, ToolChange};

/// Durable state of a deployment.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    // --- control state ---

    /// What changed after `since`; everything (restored kills and revoked keys left out) when
    /// `since` is zero. One consistent snapshot.
    async fn control_changes(&self, since: Epoch) -> Result<ControlChanges, StoreError>;

    /// Creates a tenant; [`Conflict::TenantExists`] when the slug is taken.
    async fn create_tenant(&self, tenant: Tenant) -> Result<Epoch, StoreError>;

    /// Registers a tool, and its tenant when `tenant.slug` is new. Answers the tool as stored and
    /// its tenant. [`Conflict::ToolExists`] when the name is taken, also by a retired tool;
    /// [`Conflict::ToolConfusable`] when another name of the tenant has the same skeleton.
    async fn register_tool(&self, tenant: Tenant, tool: Tool) -> Result<Registered, StoreError>;

    /// Changes a tool at `at`; `None` when there is no such tool.
    async fn update_tool(
        &self,
        id: ToolId,
        change: ToolChange,
        at: Timestamp,
    ) -> Result<Option<(Tool, Epoch)>, StoreError>;

    /// Adds a key. Keys are never deleted, only revoked.
    async fn create_key(&self, key: ApiKey) -> Result<Epoch, StoreError>;

    /// Revokes a key; `None` when there is none. Revoking twice keeps the first time.
    async fn revoke_key(
        &self,
        id: KeyId,
        at: Timestamp,
    ) -> Result<Option<(ApiKey, Epoch)>, StoreError>;

    /// Brings `kill` into force, or makes it known when it is to start later; its `epoch` field is
    /// set by the store and answered. No decision that commits after this returns, and after its
    /// start, allows what it covers. That of a self-test ends the one before it of the same run in
    /// the same epoch, and clears away what [`self_test::kept_since`](crate::self_test::kept_since)
    /// says is old. [`Conflict::OlderServers`] for a kind of kill that a replica of an older
    /// version, which is connected, does not know.
    async fn kill(&self, kill: Kill) -> Result<Epoch, StoreError>;

    /// Restores every kill of exactly the scope, those that are to come included, as
    /// [`plan_restore`](crate::kill::plan_restore) decides.
    async fn restore(&self, order: RestoreOrder) -> Result<Restored, StoreError>;

    /// Writes down which kills have begun, and ends those of `over` that have expired; answers
    /// them. `now` is the time by the caller's clock; a store that has a clock of its own begins
    /// kills by that, and ends none that it says has not expired. No change of control state when
    /// there are none.
    async fn turn_kills(&self, over: Vec<KillId>, now: Timestamp) -> Result<Vec<Kill>, StoreError>;

    /// How many replicas are known to be connected, this one included. Commits of each are bound
    /// by the epoch.
    async fn replicas(&self) -> Result<u64, StoreError> {
        Ok(1)
    }

    // --- policy ---

    /// Records what a source brought; `false` when it [repeats](PolicyChange::repeats) the last
    /// that the same source brought. No change of control state.
    async fn record_policy_change(&self, change: PolicyChange) -> Result<bool, StoreError>;

    /// Changes of policy, newest first.
    async fn policy_changes(&self, page: Page) -> Result<Paged<PolicyChange>, StoreError>;

    /// Changes policy data and records that, when the data still has the version that the change is
    /// based on; `None` when it has not.
    async fn change_policy_data(&self, change: DataChange) -> Result<Option<Epoch>, StoreError>;

    /// Changes of data, newest first, each with the value that was put: all of them, or those at
    /// `path`, above it and below it.
    async fn policy_data_history(
        &self,
        path: Option<DataPath>,
        page: Page,
    ) -> Result<Paged<RecordedData>, StoreError>;

    /// Begins to monitor a candidate and records that; `None` when one is monitored already.
    async fn start_rollout(
        &self,
        rollout: Rollout,
        files: PolicyFiles,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError>;

    /// Moves a rollout on and records that; `None` when it is not in the state `from`. What was in
    /// the state `to` before, other than dropped, is dropped.
    async fn move_rollout(
        &self,
        step: RolloutStep,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError>;

    /// The files of a candidate.
    async fn rollout_files(&self, id: RolloutId) -> Result<Option<PolicyFiles>, StoreError>;

    // --- decisions ---

    /// Commits a batch as [`crate::commit`] describes, claims made before
    /// `claims_expire_before` counting as absent.
    async fn commit_decisions(
        &self,
        batch: Batch,
        claims_expire_before: Timestamp,
    ) -> Result<Batch, StoreError>;

    /// Deletes claims made before `before`; answers how many.
    async fn expire_claims(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// One decision.
    async fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError>;

    /// Whether decisions of this time were moved to an archive, so that the absence of one does not
    /// mean that it was never recorded. A store that moves none answers no.
    async fn has_archived(&self, _at: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Decisions, newest first.
    async fn decisions(
        &self,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Paged<DecisionRecord>, StoreError>;

    /// Counters whose window contains `at`, by tenant and tool.
    async fn counters(
        &self,
        tenant: Option<TenantId>,
        at: Timestamp,
        page: Page,
    ) -> Result<Paged<Counter>, StoreError>;

    /// Redeems a permit as [`crate::permit`] describes; answers how that ended, and the control state
    /// that holds for it.
    async fn redeem_permit(
        &self,
        redemption: Redemption,
    ) -> Result<(Redeemed, Arc<ControlState>), StoreError>;

    // --- manifests ---

    /// Stores manifests and appends them to the open shard of the log, all or none; answers their
    /// places. Without an open shard there is nothing to append to: [`StoreError::NoOpenShard`].
    async fn insert_manifests(
        &self,
        manifests: Vec<NewManifest>,
    ) -> Result<Vec<LogPlace>, StoreError>;

    async fn manifest(&self, id: ManifestId) -> Result<Option<Manifest>, StoreError>;

    /// Manifests, newest first.
    async fn manifests(
        &self,
        filter: ManifestFilter,
        page: Page,
    ) -> Result<Paged<Manifest>, StoreError>;

    // --- registry queries ---

    /// Tenants by slug.
    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>, StoreError>;

    /// Tools of one tenant, or of all, by creation.
    async fn tools(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<(Tool, Option<Health>)>, StoreError>;

    async fn tool(&self, id: ToolId) -> Result<Option<(Tool, Option<Health>)>, StoreError>;

    /// Stores the last health of a tool. No change of control state.
    async fn record_health(&self, id: ToolId, health: Health) -> Result<(), StoreError>;

    /// Kills, newest first: in force only, or the whole history with those that are to come; none
    /// of self-tests. Those of one tenant are the kills of it, of what it has, and those that reach
    /// into it from above.
    async fn kills(
        &self,
        tenant: Option<TenantId>,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<Kill>, StoreError>;

    /// Keys, newest first, of one tenant or of all.
    async fn keys(&self, tenant: Option<TenantId>, page: Page)
    -> Result<Paged<ApiKey>, StoreError>;

    // --- housekeeping ---

    /// Takes the housekeeping for a while, or goes on with it, and returns the time by which things
    /// may be deleted: see [`crate::housekeeping`]. `None` when another replica has it.
    async fn take_housekeeping(
        &self,
        holder: Uuid,
        reading: Reading,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Deletes at most [`AT_ONCE`](crate::housekeeping::AT_ONCE) rows that expired before `before`,
    /// in a transaction of their own that no commit and no kill waits for; returns how many. Fewer
    /// than that says that none is left.
    async fn expire(&self, what: Expiring, before: Timestamp) -> Result<u64, StoreError>;

    // --- the deployment ---

    /// The secret of that name, shared by all replicas: `candidate` becomes it when there is none.
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Whether the store can write just now.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// A policy as text, by path within it.
pub type PolicyFiles = std::collections::BTreeMap<String, String>;

/// A change of policy data.
#[derive(Debug, Clone)]
pub struct DataChange {
    /// The version of the data that it is based on; the next one is what it makes.
    pub base: u64,
    pub entries: DataEntries,
    pub change: PolicyChange,
    /// What was put, for the history.
    pub value: Option<serde_json::Value>,
}

/// A change of policy data as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedData {
    pub change: PolicyChange,
    /// What was put; `None` when it was removed.
    pub value: Option<serde_json::Value>,
}

/// A step of a rollout.
#[derive(Debug, Clone)]
pub struct RolloutStep {
    pub id: RolloutId,
    pub from: RolloutState,
    pub to: RolloutState,
    /// What it takes the place of; see [`Rollout::over`].
    pub over: Option<String>,
}

/// A tool as registered.
#[derive(Debug, Clone)]
pub struct Registered {
    pub tenant: Tenant,
    /// Whether the tenant was created with it.
    pub tenant_created: bool,
    pub tool: Tool,
    pub epoch: Epoch,
}

/// What restoring did.
#[derive(Debug, Clone)]
pub enum Restored {
    /// These kills ended; none when nothing of that scope was killed.
    Done { kills: Vec<Kill>, epoch: Epoch },
    /// A wider kill still covers it, so nothing was changed.
    StillCovered(Kill),
    /// A principal bound to no tenant made this kill, and only such a one restores it; nothing was
    /// changed.
    NotYours(Kill),
}

/// A new tenant as asked for, before identifiers are given.
#[derive(Debug, Clone)]
pub struct TenantSpec {
    pub slug: TenantSlug,
    pub display_name: DisplayName,
}

/// A new tool as asked for, before identifiers are given.
#[derive(Debug, Clone)]
pub struct ToolSpec {
    pub name: ToolName,
    pub url: url::Url,
    pub owner: Owner,
    pub scopes: Vec<String>,
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub healthcheck: Option<url::Url>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or could not write. What was being written may or may not be
    /// there; nothing was acknowledged.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Another process has the database open, and only one may.
    #[error(
        "another process has the database `{}` open (it holds `{}`)",
        database.display(),
        lock.display()
    )]
    InUse { database: PathBuf, lock: PathBuf },
    #[error("{0}")]
    Conflict(Conflict),
    #[error("bad cursor; pass `next_cursor` of the previous page unchanged")]
    BadCursor,
    /// The database was written by a newer version.
    #[error("the database has schema {found}, this version knows {known}: use a newer sentinel")]
    SchemaTooNew { found: u32, known: u32 },
    /// A row that this version cannot read. Never ignored: a kill may be in it.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// Nothing was appended to the log: it has not begun, or is about to go on in its next shard.
    #[error("no shard of the transparency log is open")]
    NoOpenShard,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("tenant `{0}` exists already")]
    TenantExists(TenantSlug),
    #[error("the tenant has a tool `{0}` already")]
    ToolExists(ToolName),
    #[error("tool `{wanted}` is too easily confused with `{existing}`, which the tenant has")]
    ToolConfusable { wanted: ToolName, existing: ToolName },
    #[error("the tenant's payload key was destroyed")]
    PayloadKeyDestroyed,
    #[error(
        "{0} connections to the database are of servers of an older version, which does not know \
         this kind of kill: end them first, or kill a tool, a tenant, an agent or everything, at once"
    )]
    OlderServers(u64),
}

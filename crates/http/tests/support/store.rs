use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::commit::Batch;
use sentinel_core::control::{ControlChanges, ControlState};
use sentinel_core::epoch::Epoch;
use sentinel_core::housekeeping::{Expiring, Reading};
use sentinel_core::id::{
    DecisionId, KeyId, KillId, ManifestId, RolloutId, TenantId, ToolId, UpstreamId,
};
use sentinel_core::kill::{Kill, RestoreOrder};
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::{Manifest, ManifestFilter, NewManifest};
use sentinel_core::page::{Page, Paged};
use sentinel_core::permit::{Redeemed, Redemption};
use sentinel_core::pin::DefinitionDigest;
use sentinel_core::policy_change::PolicyChange;
use sentinel_core::policy_data::DataPath;
use sentinel_core::ports::{
    ControlStore, DataChange, DecisionStore, DeploymentStore, ExpiryStore, ManifestStore,
    PinChange, PinChanged, PolicyStore, QuotaStore, RecordedData, Registered, RegistryStore,
    Restored, RolloutStep, StoreError, UpstreamStore,
};
use sentinel_core::principal::ApiKey;
use sentinel_core::quota::Counter;
use sentinel_core::rollout::{PolicyFiles, Rollout};
use sentinel_core::store::Store;
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::{Health, Tool, ToolChange};
use sentinel_core::upstream::Upstream;
use serde_json::{Map, Value};

/// What a failing store says; it must reach no client.
pub(crate) const CAUSE: &str = "/var/lib/sentinel/state.db: disk I/O error on host db.internal";

/// A store that fails when it is told to.
#[derive(Debug)]
pub(crate) struct Flaky {
    inner: Arc<dyn Store>,
    broken: AtomicBool,
    /// Whether it takes changes and then cannot be read.
    unreadable: AtomicBool,
    /// Whether it acknowledges kills and forgets them.
    loses_kills: AtomicBool,
    /// The manifest whose bundle is in every row, as if somebody had edited the database.
    planted: Mutex<Option<ManifestId>>,
    /// What was done to the rows of decisions.
    edit: Mutex<Option<fn(&mut DecisionRecord)>>,
}

impl Flaky {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            broken: AtomicBool::default(),
            unreadable: AtomicBool::default(),
            loses_kills: AtomicBool::default(),
            planted: Mutex::default(),
            edit: Mutex::default(),
        })
    }

    pub(crate) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    pub(crate) fn set_unreadable(&self, unreadable: bool) {
        self.unreadable.store(unreadable, Ordering::SeqCst);
    }

    pub(crate) fn set_loses_kills(&self, loses: bool) {
        self.loses_kills.store(loses, Ordering::SeqCst);
    }

    pub(crate) fn plant(&self, id: ManifestId) {
        *self.planted.lock().unwrap() = Some(id);
    }

    pub(crate) fn edit(&self, edit: fn(&mut DecisionRecord)) {
        *self.edit.lock().unwrap() = Some(edit);
    }

    fn store(&self) -> Result<&dyn Store, StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable(CAUSE.to_owned()));
        }
        Ok(self.inner.as_ref())
    }
}

#[async_trait]
impl ControlStore for Flaky {
    async fn control_changes(&self, since: Epoch) -> Result<ControlChanges, StoreError> {
        if self.unreadable.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable(CAUSE.to_owned()));
        }
        self.store()?.control_changes(since).await
    }

    async fn kill(&self, kill: Kill) -> Result<Epoch, StoreError> {
        if self.loses_kills.load(Ordering::SeqCst) {
            return Ok(self.store()?.control_changes(Epoch(u64::MAX >> 1)).await?.epoch);
        }
        self.store()?.kill(kill).await
    }

    async fn restore(&self, order: RestoreOrder) -> Result<Restored, StoreError> {
        self.store()?.restore(order).await
    }

    async fn turn_kills(&self, over: Vec<KillId>, now: Timestamp) -> Result<Vec<Kill>, StoreError> {
        self.store()?.turn_kills(over, now).await
    }

    async fn replicas(&self) -> Result<u64, StoreError> {
        self.store()?.replicas().await
    }

    async fn kills(
        &self,
        tenant: Option<TenantId>,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<Kill>, StoreError> {
        self.store()?.kills(tenant, in_force, page).await
    }
}

#[async_trait]
impl DecisionStore for Flaky {
    async fn commit_decisions(&self, batch: Batch, expire: Timestamp) -> Result<Batch, StoreError> {
        self.store()?.commit_decisions(batch, expire).await
    }

    async fn redeem_permit(
        &self,
        redemption: Redemption,
    ) -> Result<(Redeemed, Arc<ControlState>), StoreError> {
        self.store()?.redeem_permit(redemption).await
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
        let mut found = self.store()?.decision(id).await?;
        let edit = *self.edit.lock().unwrap();
        if let Some((record, edit)) = found.as_mut().zip(edit) {
            edit(record);
        }
        Ok(found)
    }

    async fn has_archived(&self, at: Timestamp) -> Result<bool, StoreError> {
        self.store()?.has_archived(at).await
    }

    async fn decisions(
        &self,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Paged<DecisionRecord>, StoreError> {
        self.store()?.decisions(filter, page).await
    }
}

#[async_trait]
impl ManifestStore for Flaky {
    async fn insert_manifests(
        &self,
        manifests: Vec<NewManifest>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        self.store()?.insert_manifests(manifests).await
    }

    async fn manifest(&self, id: ManifestId) -> Result<Option<Manifest>, StoreError> {
        let found = self.store()?.manifest(id).await?;
        let planted = *self.planted.lock().unwrap();
        let Some(planted) = planted else { return Ok(found) };
        let other = self.store()?.manifest(planted).await?.unwrap();
        Ok(found.map(|manifest| Manifest { bundle: other.bundle, ..manifest }))
    }

    async fn manifests(
        &self,
        filter: ManifestFilter,
        page: Page,
    ) -> Result<Paged<Manifest>, StoreError> {
        self.store()?.manifests(filter, page).await
    }
}

#[async_trait]
impl DeploymentStore for Flaky {
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.store()?.secret(name, candidate).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store()?.ping().await
    }
}

/// Implements a port that fails while the store is broken, and else is that of the inner store.
macro_rules! delegate {
    ($port:ident: $($name:ident($($argument:ident: $type:ty),*) -> $found:ty;)+) => {
        #[async_trait]
        impl $port for Flaky {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$found, StoreError> {
                self.store()?.$name($($argument),*).await
            })+
        }
    };
}

delegate! { RegistryStore:
    create_tenant(tenant: Tenant) -> Epoch;
    register_tool(tenant: Tenant, tool: Tool) -> Registered;
    update_tool(id: ToolId, change: ToolChange, at: Timestamp) -> Option<(Tool, Epoch)>;
    record_health(id: ToolId, health: Health) -> ();
    create_key(key: ApiKey) -> Epoch;
    revoke_key(id: KeyId, at: Timestamp) -> Option<(ApiKey, Epoch)>;
    tenants(page: Page) -> Paged<Tenant>;
    tools(tenant: Option<TenantId>, page: Page) -> Paged<(Tool, Option<Health>)>;
    tool(id: ToolId) -> Option<(Tool, Option<Health>)>;
    keys(tenant: Option<TenantId>, page: Page) -> Paged<ApiKey>;
}

delegate! { PolicyStore:
    record_policy_change(change: PolicyChange) -> bool;
    policy_changes(page: Page) -> Paged<PolicyChange>;
    change_policy_data(change: DataChange) -> Option<Epoch>;
    policy_data_history(path: Option<DataPath>, page: Page) -> Paged<RecordedData>;
    start_rollout(rollout: Rollout, files: PolicyFiles, change: PolicyChange) -> Option<Epoch>;
    move_rollout(step: RolloutStep, change: PolicyChange) -> Option<Epoch>;
    rollout_files(id: RolloutId) -> Option<PolicyFiles>;
}

delegate! { QuotaStore:
    counters(tenant: Option<TenantId>, at: Timestamp, page: Page) -> Paged<Counter>;
}

delegate! { ExpiryStore:
    take_housekeeping(holder: uuid::Uuid, reading: Reading) -> Option<Timestamp>;
    expire_claims(before: Timestamp) -> u64;
    expire(what: Expiring, before: Timestamp) -> u64;
}

delegate! { UpstreamStore:
    add_upstream(upstream: Upstream, doors: Vec<Tool>) -> Epoch;
    remove_upstream(id: UpstreamId, at: Timestamp) -> Option<(Upstream, Epoch)>;
    upstreams(tenant: Option<TenantId>, page: Page) -> Paged<Upstream>;
    change_pins(changes: Vec<PinChange>, at: Timestamp) -> (Vec<PinChanged>, Epoch);
    definitions(tool: ToolId) -> Vec<(DefinitionDigest, Map<String, Value>)>;
}

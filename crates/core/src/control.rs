//! The control state: everything a check must know about tenants, tools, kills and keys, held in
//! memory as one immutable value that carries the store's epoch.
//!
//! Maps are persistent, so a change of one tool among a million copies a few nodes, and readers
//! never wait.

use std::sync::Arc;

use rpds::HashTrieMapSync;

use crate::epoch::Epoch;
use crate::id::{TenantId, ToolId, UpstreamId};
use crate::kill::{Kill, KillState};
use crate::name::{TenantSlug, ToolName, UpstreamName};
use crate::policy_data::{DataEntries, DataEntry, DataPath};
use crate::principal::{ApiKey, Credential, KeyHash, Principal};
use crate::rollout::{PolicyState, Rollout};
use crate::tenant::Tenant;
use crate::tool::Tool;
use crate::upstream::Upstream;

/// One version of the control state.
#[derive(Debug, Clone, Default)]
pub struct ControlState {
    epoch: Epoch,
    slugs: HashTrieMapSync<TenantSlug, TenantId>,
    tenants: HashTrieMapSync<TenantId, TenantEntry>,
    tools: HashTrieMapSync<ToolId, Arc<Tool>>,
    keys: HashTrieMapSync<KeyHash, Arc<ApiKey>>,
    upstreams: HashTrieMapSync<UpstreamId, Arc<Upstream>>,
    kills: Arc<KillState>,
    policy: Arc<PolicyState>,
}

#[derive(Debug, Clone)]
struct TenantEntry {
    tenant: Arc<Tenant>,
    tools: HashTrieMapSync<ToolName, Arc<Tool>>,
    /// Those that are not removed.
    upstreams: HashTrieMapSync<UpstreamName, Arc<Upstream>>,
}

/// What changed after some epoch; each row in full, so that applying it twice is harmless.
#[derive(Debug, Clone, Default)]
pub struct ControlChanges {
    /// The epoch that is reached once these are applied.
    pub epoch: Epoch,
    pub tenants: Vec<Tenant>,
    pub tools: Vec<Tool>,
    pub keys: Vec<ApiKey>,
    /// Kills in force or to come and, when they changed after the epoch asked for, restored ones.
    pub kills: Vec<Kill>,
    /// Policy data that was put or removed.
    pub policy_data: Vec<ChangedData>,
    /// Rollouts that are not over and, when they changed after the epoch asked for, those that are.
    pub rollouts: Vec<Rollout>,
    /// Upstreams and, when they changed after the epoch asked for, removed ones.
    pub upstreams: Vec<Upstream>,
}

/// One entry of policy data, as the version that changed it last left it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedData {
    pub path: DataPath,
    /// `None` once it was removed.
    pub entry: Option<Arc<DataEntry>>,
    pub version: u64,
}

impl ControlState {
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    #[must_use]
    pub fn kills(&self) -> &KillState {
        &self.kills
    }

    /// What the store says of policy.
    #[must_use]
    pub const fn policy(&self) -> &Arc<PolicyState> {
        &self.policy
    }

    #[must_use]
    pub fn tenant(&self, slug: &TenantSlug) -> Option<&Arc<Tenant>> {
        self.tenant_by_id(*self.slugs.get(slug)?)
    }

    #[must_use]
    pub fn tenant_by_id(&self, id: TenantId) -> Option<&Arc<Tenant>> {
        Some(&self.tenants.get(&id)?.tenant)
    }

    #[must_use]
    pub fn tool(&self, tenant: TenantId, name: &ToolName) -> Option<&Arc<Tool>> {
        self.tenants.get(&tenant)?.tools.get(name)
    }

    #[must_use]
    pub fn tool_by_id(&self, id: ToolId) -> Option<&Arc<Tool>> {
        self.tools.get(&id)
    }

    /// The tools of one tenant, retired ones included, in no particular order.
    pub fn tools_of(&self, tenant: TenantId) -> impl Iterator<Item = &Arc<Tool>> {
        self.tenants.get(&tenant).into_iter().flat_map(|entry| entry.tools.values())
    }

    /// The upstream of that name, unless it was removed.
    #[must_use]
    pub fn upstream(&self, tenant: TenantId, name: &UpstreamName) -> Option<&Arc<Upstream>> {
        self.tenants.get(&tenant)?.upstreams.get(name)
    }

    /// The upstream with this identifier, unless it was removed.
    #[must_use]
    pub fn upstream_by_id(&self, id: UpstreamId) -> Option<&Arc<Upstream>> {
        self.upstreams.get(&id)
    }

    /// The upstreams of one tenant that are not removed, in no particular order.
    pub fn upstreams_of(&self, tenant: TenantId) -> impl Iterator<Item = &Arc<Upstream>> {
        self.tenants.get(&tenant).into_iter().flat_map(|entry| entry.upstreams.values())
    }

    /// The upstreams of all tenants that are not removed, in no particular order.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.values()
    }

    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values().map(|entry| &entry.tenant)
    }

    /// The key with this hash, unless it is revoked.
    #[must_use]
    pub fn key(&self, hash: &KeyHash) -> Option<&Arc<ApiKey>> {
        self.keys.get(hash).filter(|key| key.revoked_at.is_none())
    }

    /// Every key that is not revoked.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.keys.values().filter(|key| key.revoked_at.is_none())
    }

    /// Whether `credential` is still valid. This is the one rule of it: what authenticates a
    /// request, decides a call, commits a decision, redeems a permit or goes on with a long
    /// response asks here.
    #[must_use]
    pub fn vouches_for(&self, credential: &Credential) -> bool {
        match credential {
            Credential::Key(key) => self.key(&key.hash).is_some(),
            Credential::Local | Credential::SelfTest => true,
        }
    }

    /// The principal that has this identifier, by a key that is not revoked.
    #[must_use]
    pub fn principal(&self, id: &str) -> Option<Principal> {
        let principals = self.keys().map(|key| Principal::of_key(Arc::clone(key)));
        principals.into_iter().find(|principal| principal.id() == id)
    }

    /// The state after `changes`. Changes that do not reach beyond this epoch alter nothing.
    #[must_use]
    pub fn after(&self, changes: ControlChanges) -> Self {
        let mut next = self.clone();
        if changes.epoch <= self.epoch && self.epoch != Epoch::default() {
            return next;
        }
        next.epoch = changes.epoch;
        for tenant in changes.tenants {
            next.put_tenant(tenant);
        }
        for tool in changes.tools {
            next.put_tool(tool);
        }
        for upstream in changes.upstreams {
            next.put_upstream(upstream);
        }
        for key in changes.keys {
            next.keys.insert_mut(key.hash, Arc::new(key));
        }
        if !changes.kills.is_empty() {
            let kills = Arc::make_mut(&mut next.kills);
            let count = changes.kills.len();
            changes.kills.into_iter().for_each(|kill| kills.apply(kill));
            kills.forget_ended(count);
        }
        if !changes.policy_data.is_empty() || !changes.rollouts.is_empty() {
            next.put_policy(changes.policy_data, changes.rollouts);
        }
        next
    }

    fn put_policy(&mut self, data: Vec<ChangedData>, rollouts: Vec<Rollout>) {
        let policy = Arc::make_mut(&mut self.policy);
        if let Some(version) = data.iter().map(|changed| changed.version).max() {
            let entries: DataEntries =
                data.into_iter().map(|changed| (changed.path, changed.entry)).collect();
            policy.data = Arc::new(policy.data.after(version, entries));
        }
        // What is over first: it may make way for what is not.
        let (over, rest): (Vec<_>, Vec<_>) =
            rollouts.into_iter().partition(|rollout| rollout.state.is_over());
        over.into_iter().chain(rest).for_each(|rollout| policy.apply(rollout));
    }

    fn put_tenant(&mut self, tenant: Tenant) {
        self.slugs.insert_mut(tenant.slug.clone(), tenant.id);
        let known = self.tenants.get(&tenant.id).cloned();
        let tenant = Arc::new(tenant);
        let entry = match known {
            Some(known) => TenantEntry { tenant: Arc::clone(&tenant), ..known },
            None => TenantEntry {
                tenant: Arc::clone(&tenant),
                tools: HashTrieMapSync::new_sync(),
                upstreams: HashTrieMapSync::new_sync(),
            },
        };
        self.tenants.insert_mut(tenant.id, entry);
    }

    /// A name may go from one that was removed to another, and both may be among the changes of one
    /// epoch: what is removed takes away only itself.
    fn put_upstream(&mut self, upstream: Upstream) {
        let Some(entry) = self.tenants.get_mut(&upstream.tenant_id) else { return };
        if upstream.removed_at.is_some() {
            self.upstreams.remove_mut(&upstream.id);
            if entry.upstreams.get(&upstream.name).is_some_and(|named| named.id == upstream.id) {
                entry.upstreams.remove_mut(&upstream.name);
            }
        } else {
            let upstream = Arc::new(upstream);
            entry.upstreams.insert_mut(upstream.name.clone(), Arc::clone(&upstream));
            self.upstreams.insert_mut(upstream.id, upstream);
        }
    }

    fn put_tool(&mut self, tool: Tool) {
        if let Some(entry) = self.tenants.get_mut(&tool.tenant_id) {
            let tool = Arc::new(tool);
            entry.tools.insert_mut(tool.name.clone(), Arc::clone(&tool));
            self.tools.insert_mut(tool.id, tool);
        }
    }
}

//! The kills that are in force or to come, and which of them covers a call.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::scope::labels_of;
use super::{Call, Caller, Kill, KillScope};
use crate::id::TenantId;

/// Kills that have ended and are remembered all the same, for those who are to be told.
const ENDED: usize = 256;

/// All kills that are not over.
#[derive(Debug, Clone, Default)]
pub struct KillState {
    /// By their folded scope.
    kills: HashMap<KillScope, Vec<Arc<Kill>>>,
    /// Kills that reach beyond one tenant.
    everywhere: usize,
    /// Kills within each tenant; none that has none.
    within: HashMap<TenantId, usize>,
    of_principals: usize,
    of_labels: usize,
    pending: usize,
    ended: VecDeque<Arc<Kill>>,
}

impl KillState {
    /// The kill that covers such a call, the widest first; `None` when none does.
    #[must_use]
    pub fn covering(&self, call: &Call<'_>) -> Option<&Arc<Kill>> {
        self.find(call, |kill| kill.covers_at(call.at))
    }

    /// Whether a kill that is still to come would cover such a call: then the caller that allows it
    /// has to be sure of the time.
    #[must_use]
    pub fn may_come_to_cover(&self, call: &Call<'_>) -> bool {
        self.pending > 0 && self.find(call, Kill::is_pending).is_some()
    }

    /// Whether any kill is still to come into force.
    #[must_use]
    pub const fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// Whether a kill asks who calls.
    #[must_use]
    pub const fn asks_for_principals(&self) -> bool {
        self.of_principals > 0
    }

    fn find(&self, call: &Call<'_>, wanted: impl Fn(&Kill) -> bool) -> Option<&Arc<Kill>> {
        if !self.may_concern(call.tenant_id) {
            return None;
        }
        self.scopes_of(call)
            .iter()
            .find_map(|scope| self.kills.get(scope)?.iter().find(|kill| wanted(kill)))
    }

    /// Whether any kill could cover a call of the tenant. Self-tests keep one kill of a tenant of
    /// their own at all times; the calls of other tenants do not pay for it.
    fn may_concern(&self, tenant_id: Option<TenantId>) -> bool {
        self.everywhere > 0 || tenant_id.is_some_and(|id| self.within.contains_key(&id))
    }

    /// The scopes that a call is in, folded, the wider before the narrower.
    fn scopes_of(&self, call: &Call<'_>) -> Vec<KillScope> {
        let agent = call.agent.map(crate::name::AgentName::folded);
        let mut scopes = vec![KillScope::Global];
        scopes.extend(call.tenant_id.map(KillScope::Tenant));
        scopes.extend(agent.clone().map(KillScope::Agent));
        let tenants = [None, call.tenant_id];
        let tenants = if call.tenant_id.is_some() { tenants.as_slice() } else { &[None] };
        if self.of_principals > 0 && !matches!(call.caller, Caller::Anybody) {
            let names = call.caller.names();
            for tenant_id in tenants.iter().copied() {
                let of = |principal| KillScope::Principal { tenant_id, principal };
                scopes.extend(names.iter().cloned().map(of));
            }
        }
        if self.of_labels > 0 {
            scopes.extend(tenants.iter().flat_map(|tenant| labels_of(*tenant, call.tool)));
        }
        let in_tenant = call.tenant_id.zip(agent);
        scopes.extend(
            in_tenant.map(|(tenant_id, agent)| KillScope::TenantAgent { tenant_id, agent }),
        );
        let tool = call.tenant_id.zip(call.tool);
        scopes
            .extend(tool.map(|(tenant_id, tool)| KillScope::Tool { tenant_id, tool_id: tool.id }));
        scopes
    }

    /// Takes a kill into account: as it is now, or no longer once it is restored.
    pub fn apply(&mut self, kill: Kill) {
        let scope = kill.scope.folded();
        let of_scope = self.kills.entry(scope.clone()).or_default();
        let known = of_scope.iter().position(|known| known.id == kill.id);
        let known = known.map(|place| of_scope.remove(place));
        let kill = Arc::new(kill);
        if kill.restored_at.is_none() {
            of_scope.push(Arc::clone(&kill));
        }
        if of_scope.is_empty() {
            self.kills.remove(&scope);
        }
        if let Some(known) = known {
            self.count(&known, |count| count.saturating_sub(1));
        }
        if kill.restored_at.is_none() {
            self.count(&kill, |count| count.saturating_add(1));
        } else {
            self.ended.retain(|ended| ended.id != kill.id);
            self.ended.push_back(kill);
        }
    }

    fn count(&mut self, kill: &Kill, change: impl Fn(usize) -> usize) {
        match kill.scope {
            KillScope::Principal { .. } => self.of_principals = change(self.of_principals),
            KillScope::ToolScope { .. } | KillScope::ToolTag { .. } => {
                self.of_labels = change(self.of_labels);
            }
            _ => {}
        }
        if kill.is_pending() {
            self.pending = change(self.pending);
        }
        match kill.scope.tenant_id() {
            None => self.everywhere = change(self.everywhere),
            Some(id) => {
                let within = self.within.entry(id).or_default();
                *within = change(*within);
                if *within == 0 {
                    self.within.remove(&id);
                }
            }
        }
    }

    /// Forgets all but the latest of the kills that have ended, and all of `latest` at least.
    pub(crate) fn forget_ended(&mut self, latest: usize) {
        let surplus = self.ended.len().saturating_sub(latest.max(ENDED));
        self.ended.drain(..surplus);
    }

    /// Every kill that is not over, those that are to come included, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Kill>> {
        self.kills.values().flatten()
    }

    /// Every kill in force but those of self-tests, in no particular order.
    pub fn in_force(&self) -> impl Iterator<Item = &Arc<Kill>> {
        self.all().filter(|kill| kill.is_in_force() && !kill.is_self_test())
    }

    /// The latest of the kills that have ended since this state was begun, oldest first.
    pub fn ended(&self) -> impl Iterator<Item = &Arc<Kill>> {
        self.ended.iter()
    }
}

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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::epoch::Epoch;
    use crate::id::KillId;

    fn tenant(number: u8) -> TenantId {
        TenantId(Uuid::from_u128(u128::from(number)))
    }

    fn scope(number: u8) -> KillScope {
        match number {
            0 => KillScope::Global,
            1 => KillScope::Agent("a".parse().unwrap()),
            2 | 3 => KillScope::Tenant(tenant(number)),
            _ => KillScope::TenantAgent {
                tenant_id: tenant(number % 2 + 2),
                agent: "A".parse().unwrap(),
            },
        }
    }

    fn covers(scope: &KillScope, tenant_id: TenantId) -> bool {
        scope.tenant_id().is_none_or(|id| id == tenant_id)
    }

    proptest! {
        /// What spares calls the look for kills of other tenants never hides one of their own,
        /// whatever was killed, changed and restored before, and in which order.
        #[test]
        fn a_call_is_covered_exactly_while_a_kill_of_it_is_not_restored(
            steps in prop::collection::vec((0_u8..6, 0_u8..3, any::<bool>()), 1..40)
        ) {
            let mut state = KillState::default();
            let mut known = HashMap::new();
            for (number, copy, restored) in steps {
                let id = KillId(Uuid::from_u128(u128::from(number) * 10 + u128::from(copy)));
                let at = Timestamp::UNIX_EPOCH;
                let kill = Kill {
                    id,
                    scope: scope(number),
                    reason: "test".parse().unwrap(),
                    actor: "key:1".to_owned(),
                    by_platform: false,
                    created_at: at,
                    starts_at: None,
                    begun_at: None,
                    expires_at: None,
                    epoch: Epoch(1),
                    restored_at: restored.then_some(at),
                    restored_by: None,
                };
                state.apply(kill);
                known.insert(id, (number, restored));
                for tenant_id in [tenant(2), tenant(3), tenant(9)] {
                    let agent = "a".parse().unwrap();
                    let call = Call {
                        tenant_id: Some(tenant_id),
                        tool: None,
                        agent: Some(&agent),
                        caller: Caller::Anybody,
                        at,
                    };
                    let expected = known
                        .values()
                        .any(|(number, restored)| !restored && covers(&scope(*number), tenant_id));
                    prop_assert_eq!(state.covering(&call).is_some(), expected);
                }
            }
        }
    }
}

//! The kill switch.

use std::sync::Arc;

use sentinel_core::clock::Clock;
use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event, KillEvent};
use sentinel_core::id::KillId;
use sentinel_core::kill::{Kill, KillScope};
use sentinel_core::name::{AgentName, Reason, TenantSlug, ToolName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::principal::Principal;
use sentinel_core::store::{Restored, Store};
use sentinel_core::tool::Tool;
use uuid::Uuid;

use crate::ServiceError;
use crate::control::Control;

/// Most tool names that one answer lists.
const MAX_LISTED: usize = 1000;

/// Kills and restores.
#[derive(Debug)]
pub struct KillSwitch {
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What is to be killed or restored, by the names people use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Global,
    Tenant(TenantSlug),
    Tool(TenantSlug, ToolName),
    Agent(AgentName),
    TenantAgent(TenantSlug, AgentName),
}

/// What a kill or a restore did.
#[derive(Debug, Clone)]
pub struct Switched {
    /// Identifier of the kill; the ended ones when restoring.
    pub kills: Vec<KillId>,
    pub epoch: Epoch,
    /// Names of the tools it reaches, at most 1,000, sorted; those of other tenants than one
    /// as `tenant/tool`.
    pub affected_tools: Vec<String>,
    /// How many tools it reaches.
    pub affected_count: usize,
}

impl KillSwitch {
    /// Stops everything `target` covers. When this returns, nothing it covers is allowed any more.
    ///
    /// # Errors
    /// When the target is unknown or forbidden, or the store is away: then nothing is promised.
    pub async fn kill(
        &self,
        actor: &Principal,
        target: &Target,
        reason: Reason,
    ) -> Result<Switched, ServiceError> {
        let scope = self.scope(actor, target).await?;
        let kill = Kill {
            id: KillId(Uuid::now_v7()),
            scope,
            reason,
            actor: actor.id(),
            created_at: self.clock.now(),
            epoch: Epoch::default(),
            restored_at: None,
            restored_by: None,
        };
        let epoch = self.store.kill(kill.clone()).await?;
        let kill = Kill { epoch, ..kill };
        let control = self.control.refresh_after("kill").await;
        let (affected_tools, affected_count) = affected(&control, &kill.scope);
        let kills = vec![kill.id];
        let event = self.event(&control, kill, epoch, actor);
        self.bus.publish(vec![Event::Killed(Arc::new(event))]);
        Ok(Switched { kills, epoch, affected_tools, affected_count })
    }

    /// Ends every kill of exactly `target`.
    ///
    /// # Errors
    /// `still_killed` when a wider kill covers it; else as [`KillSwitch::kill`].
    pub async fn restore(
        &self,
        actor: &Principal,
        target: &Target,
    ) -> Result<Switched, ServiceError> {
        let scope = self.scope(actor, target).await?;
        let restored = self.store.restore(scope.clone(), actor.id(), self.clock.now()).await?;
        let (kills, epoch) = match restored {
            Restored::StillCovered(kill) => return Err(still_killed(&kill)),
            Restored::Done { kills, epoch } => (kills, epoch),
        };
        let control = self.control.refresh_after("restore").await;
        let (affected_tools, affected_count) =
            if kills.is_empty() { (Vec::new(), 0) } else { affected(&control, &scope) };
        let ids = kills.iter().map(|kill| kill.id).collect();
        let events = kills
            .into_iter()
            .map(|kill| Event::Restored(Arc::new(self.event(&control, kill, epoch, actor))));
        self.bus.publish(events.collect());
        Ok(Switched { kills: ids, epoch, affected_tools, affected_count })
    }

    /// Kills, newest first, that concern what the actor may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn history(
        &self,
        actor: &Principal,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<KillView>, ServiceError> {
        let kills = self.store.kills(actor.tenant(), in_force, page).await?;
        let control = self.control.current();
        let items = kills.items.into_iter().map(|kill| KillView::of(&control, kill)).collect();
        Ok(Paged { items, next_cursor: kills.next_cursor })
    }

    async fn scope(&self, actor: &Principal, target: &Target) -> Result<KillScope, ServiceError> {
        let tenant = match target {
            Target::Global | Target::Agent(_) if actor.tenant().is_some() => {
                return Err(ServiceError::tenant_forbidden());
            }
            Target::Global => return Ok(KillScope::Global),
            Target::Agent(agent) => return Ok(KillScope::Agent(agent.clone())),
            Target::Tenant(slug) | Target::Tool(slug, _) | Target::TenantAgent(slug, _) => slug,
        };
        let (state, tenant) = self.control.tenant_for(actor, tenant).await?;
        match target {
            Target::Tool(_, name) => {
                let tool = self.tool(&state, &tenant, name).await?;
                Ok(KillScope::Tool { tenant_id: tenant.id, tool_id: tool.id })
            }
            Target::TenantAgent(_, agent) => {
                Ok(KillScope::TenantAgent { tenant_id: tenant.id, agent: agent.clone() })
            }
            _ => Ok(KillScope::Tenant(tenant.id)),
        }
    }

    async fn tool(
        &self,
        state: &ControlState,
        tenant: &sentinel_core::tenant::Tenant,
        name: &ToolName,
    ) -> Result<Arc<Tool>, ServiceError> {
        if let Some(tool) = state.tool(tenant.id, name) {
            return Ok(Arc::clone(tool));
        }
        let state = self.control.refresh().await?;
        state.tool(tenant.id, name).cloned().ok_or_else(|| {
            let what = format!("tool `{name}` of tenant `{}`", tenant.slug);
            ServiceError::not_found("unknown_tool", what)
        })
    }

    fn event(
        &self,
        control: &ControlState,
        kill: Kill,
        epoch: Epoch,
        actor: &Principal,
    ) -> KillEvent {
        let view = KillView::of(control, kill);
        KillEvent {
            kill: view.kill,
            tenant: view.tenant,
            tool: view.tool,
            epoch,
            actor: actor.id(),
            at: self.clock.now(),
        }
    }
}

/// A kill with the names that its identifiers stand for.
#[derive(Debug, Clone)]
pub struct KillView {
    pub kill: Kill,
    pub tenant: Option<TenantSlug>,
    pub tool: Option<ToolName>,
}

impl KillView {
    /// Looks the names up.
    #[must_use]
    pub fn of(control: &ControlState, kill: Kill) -> Self {
        let tenant = kill.scope.tenant_id().and_then(|id| control.tenant_by_id(id));
        let tool = kill.scope.tool_id().and_then(|id| control.tool_by_id(id));
        Self {
            tenant: tenant.map(|tenant| tenant.slug.clone()),
            tool: tool.map(|tool| tool.name.clone()),
            kill,
        }
    }
}

fn still_killed(kill: &Kill) -> ServiceError {
    let detail = format!(
        "kill `{}` of the wider scope `{}` still covers it: {}; restore that one first",
        kill.id,
        kill.scope.kind(),
        kill.reason,
    );
    ServiceError::conflict("still_killed", detail)
}

/// The tools in `scope`. An agent's kill reaches tools through the agent only, so it lists none.
fn affected(control: &ControlState, scope: &KillScope) -> (Vec<String>, usize) {
    let of_tenant = |tenant| control.tools_of(tenant).filter(|tool| tool.retired_at.is_none());
    let mut names: Vec<String> = match scope {
        KillScope::Global => control
            .tenants()
            .flat_map(|tenant| {
                of_tenant(tenant.id).map(move |tool| format!("{}/{}", tenant.slug, tool.name))
            })
            .collect(),
        KillScope::Tenant(tenant) => of_tenant(*tenant).map(|tool| tool.name.to_string()).collect(),
        KillScope::Tool { tool_id, .. } => {
            control.tool_by_id(*tool_id).map(|tool| tool.name.to_string()).into_iter().collect()
        }
        KillScope::Agent(_) | KillScope::TenantAgent { .. } => Vec::new(),
    };
    names.sort_unstable();
    let count = names.len();
    names.truncate(MAX_LISTED);
    (names, count)
}

//! Kills: what is stopped, by whom, and which calls that covers.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::id::{KillId, TenantId, ToolId};
use crate::name::{AgentName, Reason};

/// What one kill stops.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillScope {
    /// Every call of every tenant.
    Global,
    /// Every call of one tenant, tools registered later included.
    Tenant(TenantId),
    /// Every call of one tool.
    Tool { tenant_id: TenantId, tool_id: ToolId },
    /// Every call of one agent, in all tenants.
    Agent(AgentName),
    /// Every call of one agent in one tenant.
    TenantAgent { tenant_id: TenantId, agent: AgentName },
}

impl KillScope {
    /// Name of the scope's kind, as stored and shown.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Tenant(_) => "tenant",
            Self::Tool { .. } => "tool",
            Self::Agent(_) => "agent",
            Self::TenantAgent { .. } => "tenant_agent",
        }
    }

    #[must_use]
    pub const fn tenant_id(&self) -> Option<TenantId> {
        match self {
            Self::Tenant(id)
            | Self::Tool { tenant_id: id, .. }
            | Self::TenantAgent { tenant_id: id, .. } => Some(*id),
            Self::Global | Self::Agent(_) => None,
        }
    }

    #[must_use]
    pub const fn tool_id(&self) -> Option<ToolId> {
        match self {
            Self::Tool { tool_id, .. } => Some(*tool_id),
            _ => None,
        }
    }

    #[must_use]
    pub const fn agent(&self) -> Option<&AgentName> {
        match self {
            Self::Agent(agent) | Self::TenantAgent { agent, .. } => Some(agent),
            _ => None,
        }
    }

    /// The scopes that cover everything this one covers, and more. While one of them is killed,
    /// restoring this one would change nothing, so it is refused.
    #[must_use]
    pub fn wider(&self) -> Vec<Self> {
        match self {
            Self::Global => vec![],
            Self::Tenant(_) | Self::Agent(_) => vec![Self::Global],
            Self::Tool { tenant_id, .. } => vec![Self::Tenant(*tenant_id), Self::Global],
            Self::TenantAgent { tenant_id, agent } => {
                vec![Self::Tenant(*tenant_id), Self::Agent(agent.clone()), Self::Global]
            }
        }
    }
}

/// One kill, in force until `restored_at` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    pub id: KillId,
    pub scope: KillScope,
    pub reason: Reason,
    /// Identifier of the principal that killed.
    pub actor: String,
    pub created_at: Timestamp,
    /// The epoch that this kill began; nothing it covers is allowed from there on.
    pub epoch: Epoch,
    pub restored_at: Option<Timestamp>,
    pub restored_by: Option<String>,
}

/// All kills in force.
#[derive(Debug, Clone, Default)]
pub struct KillState {
    in_force: HashMap<KillScope, Vec<Arc<Kill>>>,
}

impl KillState {
    /// The kill that covers such a call, the widest first; `None` when none does.
    #[must_use]
    pub fn covering(
        &self,
        tenant_id: Option<TenantId>,
        tool_id: Option<ToolId>,
        agent: Option<&AgentName>,
    ) -> Option<&Arc<Kill>> {
        if self.in_force.is_empty() {
            return None;
        }
        let tool = tenant_id.zip(tool_id);
        let scopes = [
            Some(KillScope::Global),
            tenant_id.map(KillScope::Tenant),
            agent.map(|agent| KillScope::Agent(agent.clone())),
            tenant_id.zip(agent).map(|(tenant_id, agent)| KillScope::TenantAgent {
                tenant_id,
                agent: agent.clone(),
            }),
            tool.map(|(tenant_id, tool_id)| KillScope::Tool { tenant_id, tool_id }),
        ];
        scopes.into_iter().flatten().find_map(|scope| self.in_force.get(&scope)?.first())
    }

    /// Takes a kill into account: in force, or no longer once it is restored.
    pub fn apply(&mut self, kill: Kill) {
        let of_scope = self.in_force.entry(kill.scope.clone()).or_default();
        of_scope.retain(|known| known.id != kill.id);
        if kill.restored_at.is_none() {
            of_scope.push(Arc::new(kill));
        } else if of_scope.is_empty() {
            self.in_force.remove(&kill.scope);
        }
    }

    /// Every kill in force, in no particular order.
    pub fn in_force(&self) -> impl Iterator<Item = &Arc<Kill>> {
        self.in_force.values().flatten()
    }
}

//! What a kill stops, and which of that a call is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{TenantId, ToolId};
use crate::name::{AgentName, Label};
use crate::principal::Principal;
use crate::tool::Tool;

/// What one kill stops. Of an agent, a principal, a scope and a tag the letter case does not
/// matter: [`KillScope::folded`] is what they are compared by.
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
    /// Every call of one principal, in one tenant or in all.
    Principal { tenant_id: Option<TenantId>, principal: Label },
    /// Every call of the tools that have one scope, those that get it later included.
    ToolScope { tenant_id: Option<TenantId>, scope: Label },
    /// Every call of the tools that have one tag, those that get it later included.
    ToolTag { tenant_id: Option<TenantId>, tag: Label },
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
            Self::Principal { tenant_id: None, .. } => "principal",
            Self::Principal { tenant_id: Some(_), .. } => "tenant_principal",
            Self::ToolScope { tenant_id: None, .. } => "tool_scope",
            Self::ToolScope { tenant_id: Some(_), .. } => "tenant_tool_scope",
            Self::ToolTag { tenant_id: None, .. } => "tool_tag",
            Self::ToolTag { tenant_id: Some(_), .. } => "tenant_tool_tag",
        }
    }

    /// The scope of these parts, as they are stored; `None` when they do not fit together.
    #[must_use]
    pub fn of_parts(
        kind: &str,
        tenant: Option<TenantId>,
        tool: Option<ToolId>,
        agent: Option<AgentName>,
        label: Option<Label>,
    ) -> Option<Self> {
        let scope = match (kind.strip_prefix("tenant_").unwrap_or(kind), tenant, tool, agent, label)
        {
            ("global", None, None, None, None) => Self::Global,
            ("tenant", Some(id), None, None, None) => Self::Tenant(id),
            ("tool", Some(tenant_id), Some(tool_id), None, None) => {
                Self::Tool { tenant_id, tool_id }
            }
            ("agent", None, None, Some(agent), None) => Self::Agent(agent),
            ("agent", Some(tenant_id), None, Some(agent), None) => {
                Self::TenantAgent { tenant_id, agent }
            }
            ("principal", tenant_id, None, None, Some(principal)) => {
                Self::Principal { tenant_id, principal }
            }
            ("tool_scope", tenant_id, None, None, Some(scope)) => {
                Self::ToolScope { tenant_id, scope }
            }
            ("tool_tag", tenant_id, None, None, Some(tag)) => Self::ToolTag { tenant_id, tag },
            _ => return None,
        };
        (scope.kind() == kind).then_some(scope)
    }

    #[must_use]
    pub const fn tenant_id(&self) -> Option<TenantId> {
        match self {
            Self::Tenant(id)
            | Self::Tool { tenant_id: id, .. }
            | Self::TenantAgent { tenant_id: id, .. } => Some(*id),
            Self::Principal { tenant_id, .. }
            | Self::ToolScope { tenant_id, .. }
            | Self::ToolTag { tenant_id, .. } => *tenant_id,
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

    /// The principal, the scope or the tag that it names.
    #[must_use]
    pub const fn label(&self) -> Option<&Label> {
        match self {
            Self::Principal { principal: label, .. }
            | Self::ToolScope { scope: label, .. }
            | Self::ToolTag { tag: label, .. } => Some(label),
            _ => None,
        }
    }

    pub(super) const fn is_of_new_kind(&self) -> bool {
        self.label().is_some()
    }

    /// The same with all names in lower case: scopes that mean the same are equal then.
    #[must_use]
    pub fn folded(&self) -> Self {
        let fold = Label::folded;
        match self {
            Self::Agent(agent) => Self::Agent(agent.folded()),
            Self::TenantAgent { tenant_id, agent } => {
                Self::TenantAgent { tenant_id: *tenant_id, agent: agent.folded() }
            }
            Self::Principal { tenant_id, principal } => {
                Self::Principal { tenant_id: *tenant_id, principal: fold(principal) }
            }
            Self::ToolScope { tenant_id, scope } => {
                Self::ToolScope { tenant_id: *tenant_id, scope: fold(scope) }
            }
            Self::ToolTag { tenant_id, tag } => {
                Self::ToolTag { tenant_id: *tenant_id, tag: fold(tag) }
            }
            Self::Global | Self::Tenant(_) | Self::Tool { .. } => self.clone(),
        }
    }

    /// The scopes that cover everything this one covers, and more; `tool` is the one that it names,
    /// if any. While one of them is killed, restoring this one would change nothing, so it is
    /// refused.
    #[must_use]
    pub fn wider(&self, tool: Option<&Tool>) -> Vec<Self> {
        let everywhere = match self {
            Self::Global => return Vec::new(),
            Self::Tenant(_)
            | Self::Agent(_)
            | Self::Principal { tenant_id: None, .. }
            | Self::ToolScope { tenant_id: None, .. }
            | Self::ToolTag { tenant_id: None, .. } => return vec![Self::Global],
            Self::Tool { tenant_id, .. } => {
                let tenants = [Some(*tenant_id), None];
                let tool = tool.filter(|tool| Some(tool.id) == self.tool_id());
                let labels = tenants.into_iter().flat_map(|of| labels_of(of, tool));
                return [Self::Tenant(*tenant_id), Self::Global]
                    .into_iter()
                    .chain(labels)
                    .collect();
            }
            Self::TenantAgent { agent, .. } => Self::Agent(agent.clone()),
            Self::Principal { principal, .. } => {
                Self::Principal { tenant_id: None, principal: principal.clone() }
            }
            Self::ToolScope { scope, .. } => {
                Self::ToolScope { tenant_id: None, scope: scope.clone() }
            }
            Self::ToolTag { tag, .. } => Self::ToolTag { tenant_id: None, tag: tag.clone() },
        };
        let tenant = self.tenant_id().map(Self::Tenant);
        tenant.into_iter().chain([everywhere, Self::Global]).collect()
    }

    /// Whether a tool is in the scope, for every caller.
    #[must_use]
    pub fn has_tool(&self, tool: &Tool) -> bool {
        if self.tenant_id().is_some_and(|tenant| tenant != tool.tenant_id) {
            return false;
        }
        match self {
            Self::Global | Self::Tenant(_) => true,
            Self::Tool { tool_id, .. } => *tool_id == tool.id,
            Self::ToolScope { scope, .. } => tool.scopes.iter().any(|each| scope.is(each)),
            Self::ToolTag { tag, .. } => tags_of(&tool.metadata).any(|each| tag.is(each)),
            Self::Agent(_) | Self::TenantAgent { .. } | Self::Principal { .. } => false,
        }
    }
}

/// The tags of a tool: what `tags` of its metadata lists, or is when it is one text.
pub fn tags_of(metadata: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let tags = metadata.get("tags");
    let listed = tags.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    tags.and_then(Value::as_str).into_iter().chain(listed)
}

/// The scopes that name the scopes and tags of a tool, folded.
pub(super) fn labels_of(tenant_id: Option<TenantId>, tool: Option<&Tool>) -> Vec<KillScope> {
    let Some(tool) = tool else { return Vec::new() };
    let label = |text: &str| text.parse::<Label>().ok().map(|label| label.folded());
    let scopes = tool.scopes.iter().filter_map(|scope| label(scope));
    let scopes = scopes.map(|scope| KillScope::ToolScope { tenant_id, scope });
    let tags = tags_of(&tool.metadata).filter_map(label);
    scopes.chain(tags.map(|tag| KillScope::ToolTag { tenant_id, tag })).collect()
}

/// Who calls, as far as a kill of a principal asks.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// No caller in particular: kills of principals do not apply.
    Anybody,
    Principal(&'a Principal),
    /// The identifier that a record has.
    Recorded(&'a str),
}

impl Caller<'_> {
    /// Every name by which a kill may mean the caller, folded: its identifier, that without what
    /// kind it is (`key:`), and the id and the name of its key.
    pub(super) fn names(self) -> Vec<Label> {
        let of_id = |id: &str| {
            let bare = id.split_once(':').map(|(_, bare)| bare.to_owned());
            std::iter::once(id.to_owned()).chain(bare).collect::<Vec<_>>()
        };
        let mut names = match self {
            Caller::Anybody => return Vec::new(),
            Caller::Recorded(id) => of_id(id),
            Caller::Principal(principal) => of_id(&principal.id()),
        };
        if let Caller::Principal(principal) = self
            && let Some(key) = principal.key()
        {
            names.extend([format!("key:{}", key.id), key.id.to_string(), key.name.to_string()]);
        }
        names.iter().filter_map(|name| name.parse::<Label>().ok()).map(|l| l.folded()).collect()
    }
}

/// A call as kills see it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub tenant_id: Option<TenantId>,
    pub tool: Option<&'a Tool>,
    pub agent: Option<&'a AgentName>,
    pub caller: Caller<'a>,
    /// The latest time that any clock says.
    pub at: Timestamp,
}

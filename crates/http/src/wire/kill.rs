use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::KillId;
use sentinel_core::name::{AgentName, Reason, TenantSlug, ToolName};
use sentinel_service::kill::{KillView, Target};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// A kill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Kill)]
pub(crate) struct KillAnswer {
    #[schema(value_type = uuid::Uuid)]
    kill_id: KillId,
    /// `global`, `tenant`, `tool`, `agent` or `tenant_agent`.
    scope: &'static str,
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantSlug>,
    #[schema(value_type = Option<String>)]
    tool: Option<ToolName>,
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    #[schema(value_type = String)]
    reason: Reason,
    /// Identifier of the principal that killed.
    actor: String,
    created_at: Timestamp,
    /// The epoch that it began; nothing it covers is allowed from there on.
    #[schema(value_type = u64)]
    epoch: Epoch,
    in_force: bool,
    restored_at: Option<Timestamp>,
    restored_by: Option<String>,
}

impl From<KillView> for KillAnswer {
    fn from(view: KillView) -> Self {
        let KillView { kill, tenant, tool } = view;
        Self {
            kill_id: kill.id,
            scope: kill.scope.kind(),
            tenant,
            tool,
            agent: kill.scope.agent().cloned(),
            reason: kill.reason,
            actor: kill.actor,
            created_at: kill.created_at,
            epoch: kill.epoch,
            in_force: kill.restored_at.is_none(),
            restored_at: kill.restored_at,
            restored_by: kill.restored_by,
        }
    }
}

/// What is to be killed or restored. The fields present make the scope: a tool
/// (`tenant_slug` and `tool_name`), a tenant, an agent of a tenant (`tenant_slug` and `agent`), an
/// agent everywhere, or everything, which must be said: `"scope": "global"`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KillTarget)]
pub(crate) struct TargetBody {
    pub(crate) scope: Option<ScopeName>,
    #[schema(value_type = Option<String>, example = "platform-eng")]
    pub(crate) tenant_slug: Option<TenantSlug>,
    #[schema(value_type = Option<String>, example = "langsmith-docs-search")]
    pub(crate) tool_name: Option<ToolName>,
    #[schema(value_type = Option<String>)]
    pub(crate) agent: Option<AgentName>,
}

/// The kind of a scope. Needed for `global` only; any other must fit the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = KillScope)]
pub(crate) enum ScopeName {
    Global,
    Tenant,
    Tool,
    Agent,
    TenantAgent,
}

impl TargetBody {
    /// The target that the fields name. What is ambiguous is refused: neither too much nor too
    /// little may be stopped by a slip.
    pub(crate) fn target(self) -> Result<(Target, &'static str), Problem> {
        let (target, scope, name) = match (self.tenant_slug, self.tool_name, self.agent) {
            (Some(tenant), Some(tool), None) => {
                (Target::Tool(tenant, tool), ScopeName::Tool, "tool")
            }
            (Some(tenant), None, Some(agent)) => {
                (Target::TenantAgent(tenant, agent), ScopeName::TenantAgent, "tenant_agent")
            }
            (Some(tenant), None, None) => (Target::Tenant(tenant), ScopeName::Tenant, "tenant"),
            (None, None, Some(agent)) => (Target::Agent(agent), ScopeName::Agent, "agent"),
            (None, None, None) if self.scope == Some(ScopeName::Global) => {
                (Target::Global, ScopeName::Global, "global")
            }
            (None, None, None) => {
                return Err(invalid(
                    "name a tenant, tool or agent, or say `\"scope\": \"global\"`",
                ));
            }
            (None, Some(_), _) => return Err(invalid("`tool_name` needs `tenant_slug`")),
            (Some(_), Some(_), Some(_)) => {
                return Err(invalid("a tool and an agent cannot be named together"));
            }
        };
        if self.scope.is_some_and(|said| said != scope) {
            return Err(invalid("`scope` does not fit the other fields"));
        }
        Ok((target, name))
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::unprocessable("invalid_target", detail)
}

use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::KillId;
use sentinel_core::name::{AgentName, Label, Reason, TenantSlug, ToolName};
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
    /// `global`, `tenant`, `tool`, `agent`, `principal`, `tool_scope` or `tool_tag`; with `tenant_`
    /// in front of the last four, within one tenant.
    scope: &'static str,
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantSlug>,
    #[schema(value_type = Option<String>)]
    tool: Option<ToolName>,
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// The principal, the scope or the tag that it names.
    #[schema(value_type = Option<String>)]
    label: Option<Label>,
    #[schema(value_type = String)]
    reason: Reason,
    /// Identifier of the principal that killed.
    actor: String,
    /// Whether that principal was bound to no tenant: then only such a one restores.
    by_platform: bool,
    created_at: Timestamp,
    /// When it comes into force; `null` for one that did at once.
    starts_at: Option<Timestamp>,
    /// When it ends by itself; `null` for one that only a restore ends.
    expires_at: Option<Timestamp>,
    /// The epoch that it began; nothing it covers is allowed from there on.
    #[schema(value_type = u64)]
    epoch: Epoch,
    in_force: bool,
    /// `scheduled`, `in_force` or `ended`.
    state: &'static str,
    restored_at: Option<Timestamp>,
    restored_by: Option<String>,
}

impl From<KillView> for KillAnswer {
    fn from(view: KillView) -> Self {
        let KillView { kill, tenant, tool } = view;
        let state = match (kill.is_in_force(), kill.is_pending()) {
            (true, _) => "in_force",
            (_, true) => "scheduled",
            _ => "ended",
        };
        Self {
            kill_id: kill.id,
            scope: kill.scope.kind(),
            tenant,
            tool,
            agent: kill.scope.agent().cloned(),
            label: kill.scope.label().cloned(),
            in_force: kill.is_in_force(),
            state,
            reason: kill.reason,
            actor: kill.actor,
            by_platform: kill.by_platform,
            created_at: kill.created_at,
            starts_at: kill.starts_at,
            expires_at: kill.expires_at,
            epoch: kill.epoch,
            restored_at: kill.restored_at,
            restored_by: kill.restored_by,
        }
    }
}

/// What is to be killed or restored. The fields present make the scope: a tool
/// (`tenant_slug` and `tool_name`), a tenant, an agent, a principal, or the tools with a scope or a
/// tag, each of the last four of one tenant (with `tenant_slug`) or everywhere, or everything, which
/// must be said: `"scope": "global"`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KillTarget)]
pub(crate) struct TargetBody {
    pub(crate) scope: Option<ScopeName>,
    #[schema(value_type = Option<String>, example = "platform-eng")]
    pub(crate) tenant_slug: Option<TenantSlug>,
    #[schema(value_type = Option<String>, example = "langsmith-docs-search")]
    pub(crate) tool_name: Option<ToolName>,
    /// In any letter case.
    #[schema(value_type = Option<String>)]
    pub(crate) agent: Option<AgentName>,
    /// Who calls: the identifier that decisions have, the id of a key or its name, in any letter
    /// case.
    #[schema(value_type = Option<String>)]
    pub(crate) principal: Option<Label>,
    /// The tools that have this scope, now or later; in any letter case.
    #[schema(value_type = Option<String>)]
    pub(crate) tool_scope: Option<Label>,
    /// The tools that have this tag in `metadata.tags`, now or later; in any letter case.
    #[schema(value_type = Option<String>)]
    pub(crate) tool_tag: Option<Label>,
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
    Principal,
    TenantPrincipal,
    ToolScope,
    TenantToolScope,
    ToolTag,
    TenantToolTag,
}

impl ScopeName {
    /// As [`sentinel_core::kill::KillScope::kind`] names it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Tenant => "tenant",
            Self::Tool => "tool",
            Self::Agent => "agent",
            Self::TenantAgent => "tenant_agent",
            Self::Principal => "principal",
            Self::TenantPrincipal => "tenant_principal",
            Self::ToolScope => "tool_scope",
            Self::TenantToolScope => "tenant_tool_scope",
            Self::ToolTag => "tool_tag",
            Self::TenantToolTag => "tenant_tool_tag",
        }
    }

    const fn of(target: &Target) -> Self {
        match target {
            Target::Global => Self::Global,
            Target::Tenant(_) => Self::Tenant,
            Target::Tool(..) => Self::Tool,
            Target::Agent(_) => Self::Agent,
            Target::TenantAgent(..) => Self::TenantAgent,
            Target::Principal(None, _) => Self::Principal,
            Target::Principal(Some(_), _) => Self::TenantPrincipal,
            Target::ToolScope(None, _) => Self::ToolScope,
            Target::ToolScope(Some(_), _) => Self::TenantToolScope,
            Target::ToolTag(None, _) => Self::ToolTag,
            Target::ToolTag(Some(_), _) => Self::TenantToolTag,
        }
    }
}

impl TargetBody {
    /// The target that the fields name. What is ambiguous is refused: neither too much nor too
    /// little may be stopped by a slip.
    pub(crate) fn target(self) -> Result<(Target, &'static str), Problem> {
        let Self { scope, tenant_slug: tenant, tool_name, agent, .. } = self;
        let (principal, tool_scope, tag) = (self.principal, self.tool_scope, self.tool_tag);
        let target = match (tenant, tool_name, agent, principal, tool_scope, tag) {
            (Some(tenant), Some(tool), None, None, None, None) => Target::Tool(tenant, tool),
            (None, Some(_), ..) => return Err(invalid("`tool_name` needs `tenant_slug`")),
            (Some(tenant), None, Some(agent), None, None, None) => {
                Target::TenantAgent(tenant, agent)
            }
            (None, None, Some(agent), None, None, None) => Target::Agent(agent),
            (tenant, None, None, Some(principal), None, None) => {
                Target::Principal(tenant, principal)
            }
            (tenant, None, None, None, Some(scope), None) => Target::ToolScope(tenant, scope),
            (tenant, None, None, None, None, Some(tag)) => Target::ToolTag(tenant, tag),
            (Some(tenant), None, None, None, None, None) => Target::Tenant(tenant),
            (None, None, None, None, None, None) if scope == Some(ScopeName::Global) => {
                Target::Global
            }
            (None, None, None, None, None, None) => {
                return Err(invalid(
                    "name a tenant, tool, agent, principal, scope or tag, or say `\"scope\": \
                     \"global\"`",
                ));
            }
            _ => {
                return Err(invalid(
                    "only one of `tool_name`, `agent`, `principal`, `tool_scope` and `tool_tag` \
                     can be named; kill each by itself",
                ));
            }
        };
        let name = ScopeName::of(&target);
        if scope.is_some_and(|said| said != name) {
            return Err(invalid("`scope` does not fit the other fields"));
        }
        Ok((target, name.as_str()))
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::unprocessable("invalid_target", detail)
}

use std::borrow::Cow;

use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::KillId;
use sentinel_core::kill;
use sentinel_core::name::{AgentName, Label, Reason, TenantSlug, ToolName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A kill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kill {
    #[schema(value_type = uuid::Uuid)]
    pub kill_id: KillId,
    /// `global`, `tenant`, `tool`, `agent`, `principal`, `tool_scope` or `tool_tag`; with `tenant_`
    /// in front of the last four, within one tenant.
    // Text, so that a client can list the kills of a server that knows more kinds.
    #[schema(value_type = String)]
    pub scope: Cow<'static, str>,
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantSlug>,
    #[schema(value_type = Option<String>)]
    pub tool: Option<ToolName>,
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// The principal, the scope or the tag that it names.
    #[schema(value_type = Option<String>)]
    pub label: Option<Label>,
    #[schema(value_type = String)]
    pub reason: Reason,
    /// Identifier of the principal that killed.
    pub actor: String,
    /// Whether that principal was bound to no tenant: then only such a one restores.
    pub by_platform: bool,
    pub created_at: Timestamp,
    /// When it comes into force; `null` for one that did at once.
    pub starts_at: Option<Timestamp>,
    /// When it ends by itself; `null` for one that only a restore ends.
    pub expires_at: Option<Timestamp>,
    /// The epoch that it began; nothing it covers is allowed from there on.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    pub in_force: bool,
    /// `scheduled`, `in_force` or `ended`.
    #[schema(value_type = String)]
    pub state: KillState,
    pub restored_at: Option<Timestamp>,
    pub restored_by: Option<String>,
}

/// How far a kill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillState {
    Scheduled,
    InForce,
    Ended,
}

impl KillState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::InForce => "in_force",
            Self::Ended => "ended",
        }
    }
}

impl Kill {
    /// A kill, with the names of the tenant and the tool that it covers.
    #[must_use]
    pub fn new(kill: kill::Kill, tenant: Option<TenantSlug>, tool: Option<ToolName>) -> Self {
        let state = match (kill.is_in_force(), kill.is_pending()) {
            (true, _) => KillState::InForce,
            (_, true) => KillState::Scheduled,
            _ => KillState::Ended,
        };
        Self {
            kill_id: kill.id,
            scope: kill.scope.kind().into(),
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

/// What is to be killed or restored. The fields present make the scope: a tool (`tenant_slug` and
/// `tool_name`), a tenant, an agent, a principal, or the tools with a scope or a tag, each of the
/// last four of one tenant (with `tenant_slug`) or everywhere, or everything, which must be said:
/// `"scope": "global"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KillTarget {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<KillScope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "platform-eng")]
    pub tenant_slug: Option<TenantSlug>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "langsmith-docs-search")]
    pub tool_name: Option<ToolName>,
    /// In any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// Who calls: the identifier that decisions have, the id of a key or its name, in any letter
    /// case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub principal: Option<Label>,
    /// The tools that have this scope, now or later; in any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tool_scope: Option<Label>,
    /// The tools that have this tag in `metadata.tags`, now or later; in any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tool_tag: Option<Label>,
}

impl KillTarget {
    /// Everything.
    #[must_use]
    pub fn global() -> Self {
        Self { scope: Some(KillScope::Global), ..Self::default() }
    }
}

/// The kind of a scope. Needed for `global` only; any other must fit the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KillScope {
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

impl KillScope {
    /// As [`sentinel_core::kill::KillScope::kind`] names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
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
}

/// What is to be stopped, and why. The fields present make the scope: a tool (`tenant_slug` and
/// `tool_name`), a tenant, an agent, a principal, or the tools with a scope or a tag, each of the
/// last four of one tenant (with `tenant_slug`) or everywhere, or everything, which must be said:
/// `"scope": "global"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KillRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<KillScope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "platform-eng")]
    pub tenant_slug: Option<TenantSlug>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "langsmith-docs-search")]
    pub tool_name: Option<ToolName>,
    /// In any letter case. Only keys that are bound to an agent hold an agent to its name; see
    /// `require_agent` of the configuration and of policy for calls that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// Who calls: the identifier that decisions have, the id of a key or its name, in any letter
    /// case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub principal: Option<Label>,
    /// The tools that have this scope, now or later; in any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tool_scope: Option<Label>,
    /// The tools that have this tag in `metadata.tags`, now or later; in any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tool_tag: Option<Label>,
    /// When it comes into force, RFC 3339; at once when left out or past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// When it ends by itself, RFC 3339; only by a restore when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[schema(value_type = String, example = "incident 4711")]
    pub reason: Reason,
}

impl KillRequest {
    /// Stops the target at once, until it is restored.
    #[must_use]
    pub fn new(target: KillTarget, reason: Reason) -> Self {
        let KillTarget { scope, tenant_slug, tool_name, agent, principal, tool_scope, tool_tag } =
            target;
        Self {
            scope,
            tenant_slug,
            tool_name,
            agent,
            principal,
            tool_scope,
            tool_tag,
            starts_at: None,
            expires_at: None,
            reason,
        }
    }

    /// What it stops, without when and why.
    #[must_use]
    pub fn target(&self) -> KillTarget {
        KillTarget {
            scope: self.scope,
            tenant_slug: self.tenant_slug.clone(),
            tool_name: self.tool_name.clone(),
            agent: self.agent.clone(),
            principal: self.principal.clone(),
            tool_scope: self.tool_scope.clone(),
            tool_tag: self.tool_tag.clone(),
        }
    }
}

/// What a kill reached. The guarantee does not rest on these numbers: no replica allows anything
/// that is covered once the kill is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KillReached {
    /// Servers that are connected to the database, this one included, whose decisions the kill
    /// binds; those of versions before this field are not counted. `null` when the database did not
    /// say at once.
    pub replicas: Option<u64>,
    /// Event streams of this server that hear of it.
    pub streams: u64,
    /// Permits that this server issued in the last 60 seconds, that were not redeemed here, and
    /// that the kill covers; `null` when there were too many kinds to be counted.
    pub permits: Option<u64>,
    /// Calls in flight of the gateway of this server that were cut. Those of `sentinel mcp wrap` are
    /// in `calls_elsewhere`.
    pub calls: u64,
    /// Of these, how many had not ended when the kill was answered: such a call may have reached
    /// its tool, and its outcome is recorded as `unconfirmed`.
    #[serde(default)]
    pub calls_unconfirmed: u64,
    /// Calls that others make with permits of this server, such as `sentinel mcp wrap`, and that the
    /// kill covers: redeemed here in the last 6 minutes, and their outcome not signed here yet. They
    /// are cut when their maker hears of the kill by event, and this does not wait for that. `null`
    /// when there were too many to be counted, or the server is of an earlier version.
    #[serde(default)]
    pub calls_elsewhere: Option<u64>,
}

/// What was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KillAnswer {
    /// Always `disabled`.
    #[schema(value_type = String)]
    pub status: Cow<'static, str>,
    /// The tools it reaches, at most 1,000; of a global kill as `tenant/tool`.
    pub affected_tools: Vec<String>,
    /// How many tools it reaches.
    pub affected_count: usize,
    #[schema(value_type = Option<uuid::Uuid>)]
    pub kill_id: Option<KillId>,
    #[schema(value_type = Vec<uuid::Uuid>)]
    pub kills: Vec<KillId>,
    /// From this epoch on, nothing it covers is allowed; of one that starts later, from its start
    /// on.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    pub reached: KillReached,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreAnswer {
    /// Always `enabled`.
    #[schema(value_type = String)]
    pub status: Cow<'static, str>,
    /// The tools it reaches, at most 1,000; empty when nothing of exactly this scope was killed.
    pub affected_tools: Vec<String>,
    /// How many tools it reaches.
    pub affected_count: usize,
    /// The kills that ended.
    #[schema(value_type = Vec<uuid::Uuid>)]
    pub kills: Vec<KillId>,
    #[schema(value_type = u64)]
    pub epoch: Epoch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_kill_names_no_more_than_its_target() {
        let target = KillTarget { agent: Some("Bot".parse().unwrap()), ..KillTarget::default() };
        let request = KillRequest::new(target.clone(), "x".parse().unwrap());
        assert_eq!(request.target(), target);
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(json, r#"{"agent":"Bot","reason":"x"}"#);
        assert!(serde_json::from_str::<KillTarget>(&json).is_err(), "a target has no reason");
    }

    #[test]
    fn a_scope_is_written_as_it_is_named() {
        for scope in [KillScope::Global, KillScope::TenantToolScope, KillScope::ToolTag] {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
    }
}

use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::id::{TenantId, ToolId, UpstreamId};
use sentinel_core::name::{AgentName, Purpose, TenantSlug, ToolName, UpstreamName};
use sentinel_core::pin::{self, DefinitionDigest};
use sentinel_core::upstream::{self, Transport};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An MCP server behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upstream {
    #[schema(value_type = uuid::Uuid)]
    pub id: UpstreamId,
    #[schema(value_type = uuid::Uuid)]
    pub tenant_id: TenantId,
    #[schema(value_type = String, example = "platform-eng")]
    pub tenant_slug: TenantSlug,
    #[schema(value_type = String, example = "github")]
    pub name: UpstreamName,
    /// As it was given; credentials are references.
    #[schema(value_type = Object)]
    pub transport: Transport,
    /// Identifier of the principal who added it.
    pub created_by: String,
    pub created_at: Timestamp,
    /// How the connection of the server that answers is doing; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<UpstreamStatus>,
    /// What is wrong with the definitions of its tools, as far as the server that answers has seen
    /// them; absent when nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<ToolDefect>,
}

impl Upstream {
    /// An upstream of a tenant.
    #[must_use]
    pub fn new(
        upstream: upstream::Upstream,
        tenant: TenantSlug,
        status: Option<UpstreamStatus>,
        defects: Vec<ToolDefect>,
    ) -> Self {
        let upstream::Upstream { id, tenant_id, name, transport, created_by, created_at, .. } =
            upstream;
        Self {
            id,
            tenant_id,
            tenant_slug: tenant,
            name,
            transport,
            created_by,
            created_at,
            status,
            defects,
        }
    }
}

/// How the connection to an upstream is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamStatus {
    /// `idle` (not needed yet), `connecting`, `up`, `down`, `paused` (left alone for a while after
    /// it failed several times) or `closed`.
    pub state: String,
    pub since: Timestamp,
    /// Why the last connection failed or broke.
    pub last_error: Option<String>,
    /// Connections that were established before this one.
    pub restarts: u64,
    /// The revision of MCP that is spoken.
    pub revision: Option<String>,
    /// Milliseconds that the last handshake or list took.
    pub latency_ms: Option<u64>,
    /// Requests under way.
    pub in_flight: u64,
}

/// What is wrong with the definition of a tool of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolDefect {
    /// As the server calls it, shortened; as the registry would, when the registry refused it.
    pub tool: String,
    /// `tool_repaired` for a tool that is shown all the same. The others are not shown, and calls of
    /// them are denied: `tool_malformed`, `tool_too_large`, `tool_schema_broken`,
    /// `tool_name_invalid`, `tool_name_collision` or `tool_limit`.
    pub reason: String,
    /// What is wrong, or what was repaired, for people.
    pub detail: String,
}

/// The upstream that is to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamRequest {
    #[schema(value_type = String, example = "platform-eng")]
    pub tenant_slug: TenantSlug,
    /// 1 to 32 lowercase letters, digits and single `-`; its tools are named `name__tool`.
    #[schema(value_type = String, example = "github")]
    pub name: UpstreamName,
    /// `{"stdio": {"command": […], "env": {…}}}`, `{"http": {"url", "headers": {…}}}`,
    /// `{"sse": {"url", "headers": {…}}}`, or `"wrapped"` for a server that `sentinel mcp wrap`
    /// runs. Values of `env` and `headers` are references to secrets: `env:NAME` or `file:/PATH`.
    #[schema(value_type = Object, example = json!({"http": {"url": "https://mcp.example.com/mcp"}}))]
    pub transport: Transport,
}

/// What a wrapped server lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StandingRequest {
    /// The agent that the list is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub purpose: Option<Purpose>,
    /// What policy sees as `input.context`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub context: Option<Map<String, Value>>,
    /// The definitions, as `tools/list` returned them; at most 1,000.
    #[schema(value_type = Vec<Object>)]
    pub tools: Vec<Arc<Map<String, Value>>>,
}

/// Where each tool stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandingAnswer {
    /// In the order of the request; behind them what the server offers besides tools, in the order
    /// `resources`, `prompts`, `completion`, `sampling`, `elicitation`.
    pub tools: Vec<ToolStanding>,
}

/// Where a tool of a listing stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolStanding {
    /// In the registry.
    #[schema(value_type = String, example = "github__create_issue")]
    pub name: ToolName,
    /// Whether policy lets the agent see it.
    pub visible: bool,
    /// Why it cannot be called: `tool_drift`, `tool_unapproved`, `upstream_removed`,
    /// `tool_retired`, `unknown_tool`, `tool_name_invalid`, `tool_name_collision`,
    /// `tool_too_large` or `tool_limit`.
    pub quarantined: Option<String>,
}

/// What a tool of an upstream is pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolPin {
    /// The upstream that offered the tool last.
    #[schema(value_type = uuid::Uuid)]
    pub upstream_id: UpstreamId,
    /// Digest of the approved definition.
    #[schema(value_type = Option<String>)]
    pub approved: Option<DefinitionDigest>,
    /// Why the tool cannot be called; `null` while it can.
    pub quarantine: Option<ToolQuarantine>,
}

impl From<pin::Pin> for ToolPin {
    fn from(pin: pin::Pin) -> Self {
        let pin::Pin { upstream, approved, quarantine } = pin;
        Self { upstream_id: upstream, approved, quarantine: quarantine.map(Into::into) }
    }
}

/// Why a tool of an upstream cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolQuarantine {
    /// `drift`, `rejected`, `unapproved` or `upstream_removed`.
    pub cause: String,
    /// Digest of the definition that is offered instead of the approved one.
    #[schema(value_type = Option<String>)]
    pub offered: Option<DefinitionDigest>,
    pub since: Timestamp,
}

impl From<pin::Quarantine> for ToolQuarantine {
    fn from(quarantine: pin::Quarantine) -> Self {
        let pin::Quarantine { cause, offered, since } = quarantine;
        Self { cause: cause.as_str().to_owned(), offered, since }
    }
}

/// A pinned tool, with the definitions that its pin is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolDrift {
    #[schema(value_type = uuid::Uuid)]
    pub tool_id: ToolId,
    #[schema(value_type = String)]
    pub tenant_slug: TenantSlug,
    #[schema(value_type = String)]
    pub name: ToolName,
    pub quarantine: Option<ToolQuarantine>,
    pub approved: Option<PinnedDefinition>,
    /// What is offered instead.
    pub offered: Option<PinnedDefinition>,
    /// The members of the definition that differ. When none does, the tool is offered by another
    /// command or address than it was.
    pub changed: Vec<String>,
}

/// A definition that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PinnedDefinition {
    #[schema(value_type = String)]
    pub digest: DefinitionDigest,
    #[schema(value_type = Object)]
    pub definition: Map<String, Value>,
}

impl ToolDrift {
    /// The members that differ between two definitions.
    #[must_use]
    pub fn changed(approved: &Map<String, Value>, offered: &Map<String, Value>) -> Vec<String> {
        let names = approved.keys().chain(offered.keys());
        let differing = names
            .filter(|name| *name != pin::UNPINNED && approved.get(*name) != offered.get(*name));
        let differing: std::collections::BTreeSet<&String> = differing.collect();
        differing.into_iter().cloned().collect()
    }
}

/// The definition that an operator has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// Digest of the definition that is offered: another one may be offered by now.
    #[schema(value_type = String)]
    pub digest: DefinitionDigest,
}

//! `POST /kill`: stops calls. Roles: operator, admin.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::KillId;
use sentinel_core::name::{AgentName, Label, Reason, TenantSlug, ToolName};
use sentinel_core::principal::Role;
use sentinel_service::kill::{KillOrder, Reached};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;
use crate::wire::{ScopeName, TargetBody};

/// What is to be stopped, and why. The fields present make the scope: a tool (`tenant_slug` and
/// `tool_name`), a tenant, an agent, a principal, or the tools with a scope or a tag, each of the
/// last four of one tenant (with `tenant_slug`) or everywhere, or everything, which must be said:
/// `"scope": "global"`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KillRequest)]
pub(crate) struct KillBody {
    scope: Option<ScopeName>,
    #[schema(value_type = Option<String>, example = "platform-eng")]
    tenant_slug: Option<TenantSlug>,
    #[schema(value_type = Option<String>, example = "langsmith-docs-search")]
    tool_name: Option<ToolName>,
    /// In any letter case. Only keys that are bound to an agent hold an agent to its name; see
    /// `require_agent` of the configuration and of policy for calls that name none.
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// Who calls: the identifier that decisions have, the id of a key or its name, in any letter
    /// case.
    #[schema(value_type = Option<String>)]
    principal: Option<Label>,
    /// The tools that have this scope, now or later; in any letter case.
    #[schema(value_type = Option<String>)]
    tool_scope: Option<Label>,
    /// The tools that have this tag in `metadata.tags`, now or later; in any letter case.
    #[schema(value_type = Option<String>)]
    tool_tag: Option<Label>,
    /// When it comes into force, RFC 3339; at once when left out or past.
    starts_at: Option<Timestamp>,
    /// When it ends by itself, RFC 3339; only by a restore when left out.
    expires_at: Option<Timestamp>,
    #[schema(value_type = String, example = "incident 4711")]
    reason: Reason,
}

/// What a kill reached. The guarantee does not rest on these numbers: no replica allows anything
/// that is covered once the kill is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KillReached)]
pub(crate) struct ReachedAnswer {
    /// Servers that are connected to the database, this one included, whose decisions the kill
    /// binds; those of versions before this field are not counted. `null` when the database did not
    /// say at once.
    replicas: Option<u64>,
    /// Event streams of this server that hear of it.
    streams: u64,
    /// Permits that this server issued in the last 60 seconds, that were not redeemed here, and
    /// that the kill covers; `null` when there were too many kinds to be counted.
    permits: Option<u64>,
    /// Calls in flight that were cut; 0 without a gateway.
    calls: u64,
}

/// What was stopped.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KillAnswer)]
pub(crate) struct Killed {
    /// Always `disabled`.
    status: &'static str,
    /// The tools it reaches, at most 1,000; of a global kill as `tenant/tool`.
    affected_tools: Vec<String>,
    /// How many tools it reaches.
    affected_count: usize,
    #[schema(value_type = Option<uuid::Uuid>)]
    kill_id: Option<KillId>,
    #[schema(value_type = Vec<uuid::Uuid>)]
    kills: Vec<KillId>,
    /// From this epoch on, nothing it covers is allowed; of one that starts later, from its start on.
    #[schema(value_type = u64)]
    epoch: Epoch,
    reached: ReachedAnswer,
}

/// Stop calls
///
/// Stops every call that the target covers. Once this has answered 200, no replica allows one any
/// more; tools registered later are covered too. An error promises nothing: try again.
///
/// With `starts_at`, nothing is allowed from then on, by the clock of the database and by that of
/// the server that decides, whichever is ahead. With `expires_at` it ends by itself, not before both
/// clocks say so, and up to a second or two later.
///
/// Roles: `operator`, `admin`. A key bound to a tenant stops calls of that tenant only.
#[utoipa::path(
    post, path = "/kill", tag = "kill switch",
    request_body = KillBody,
    responses(
        (status = 200, description = "stopped", body = Killed),
        (status = 409, description = "`older_servers_connected`: a server of an older version, which \
            does not know this kind of kill, is connected to the database",
            content_type = "application/problem+json", body = crate::problem::ProblemDocument),
        (status = 422, description = "`invalid_target` or `invalid_kill_time`",
            content_type = "application/problem+json", body = crate::problem::ProblemDocument),
    ),
)]
pub(crate) async fn kill(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<Killed>, Problem> {
    caller.require(&[Role::Operator])?;
    let body: KillBody = body.object().await?;
    let KillBody { scope, tenant_slug, tool_name, agent, principal, .. } = body;
    let KillBody { tool_scope, tool_tag, starts_at, expires_at, reason, .. } = body;
    let target =
        TargetBody { scope, tenant_slug, tool_name, agent, principal, tool_scope, tool_tag };
    let (target, kind) = target.target()?;
    let order = KillOrder { target, reason, starts_at, expires_at };
    let done = app.services.kills.kill_as(caller.principal(), order).await?;
    app.metrics.killed(kind);
    let Reached { replicas, streams, permits, calls } = done.reached;
    Ok(Json(Killed {
        status: "disabled",
        affected_tools: done.affected_tools,
        affected_count: done.affected_count,
        kill_id: done.kills.first().copied(),
        kills: done.kills,
        epoch: done.epoch,
        reached: ReachedAnswer { replicas, streams, permits, calls },
    }))
}

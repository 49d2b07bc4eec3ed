use axum::Json;
use axum::extract::State;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::KillId;
use sentinel_core::name::{AgentName, Reason, TenantSlug, ToolName};
use sentinel_core::principal::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;
use crate::wire::{ScopeName, TargetBody};

/// What is to be stopped, and why. The fields present make the scope: a tool (`tenant_slug` and
/// `tool_name`), a tenant, an agent of a tenant (`tenant_slug` and `agent`), an agent everywhere, or
/// everything, which must be said: `"scope": "global"`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KillRequest)]
pub(crate) struct KillBody {
    scope: Option<ScopeName>,
    #[schema(value_type = Option<String>, example = "platform-eng")]
    tenant_slug: Option<TenantSlug>,
    #[schema(value_type = Option<String>, example = "langsmith-docs-search")]
    tool_name: Option<ToolName>,
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    #[schema(value_type = String, example = "incident 4711")]
    reason: Reason,
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
    /// From this epoch on, nothing it covers is allowed.
    #[schema(value_type = u64)]
    epoch: Epoch,
}

/// Stop calls
///
/// Stops every call that the target covers. Once this has answered 200, no replica allows one any
/// more; tools registered later are covered too. An error promises nothing: try again.
///
/// Roles: `operator`, `admin`. A key bound to a tenant stops calls of that tenant only.
#[utoipa::path(
    post, path = "/kill", tag = "kill switch",
    request_body = KillBody,
    responses((status = 200, description = "stopped", body = Killed)),
)]
pub(crate) async fn kill(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<Killed>, Problem> {
    caller.require(&[Role::Operator])?;
    let KillBody { scope, tenant_slug, tool_name, agent, reason } = body.object().await?;
    let (target, kind) = TargetBody { scope, tenant_slug, tool_name, agent }.target()?;
    let done = app.services.kills.kill(caller.principal(), &target, reason).await?;
    app.metrics.killed(kind);
    Ok(Json(Killed {
        status: "disabled",
        affected_tools: done.affected_tools,
        affected_count: done.affected_count,
        kill_id: done.kills.first().copied(),
        kills: done.kills,
        epoch: done.epoch,
    }))
}

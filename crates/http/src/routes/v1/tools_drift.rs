//! `GET /v1/tools/{id}/drift`: what a tool is pinned to, and what is offered instead. Roles:
//! operator, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::ToolDrift;
use sentinel_core::id::ToolId;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Show how a tool has changed
///
/// The approved definition of a tool of an upstream, and the one that is offered instead when the
/// tool is quarantined.
///
/// Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/tools/{id}/drift", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the tool")),
    responses(
        (status = 200, description = "both definitions", body = ToolDrift),
        (status = 409, description = "`tool_not_pinned`: the tool is not of an upstream"),
    ),
)]
pub(crate) async fn tools_drift(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ToolId>,
) -> Result<Json<ToolDrift>, Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    let drift = app.services.upstreams.drift(caller.principal(), id).await?;
    let drift = drift.ok_or_else(|| Problem::not_found("unknown_tool", "tool", &id))?;
    Ok(Json(wire::drift(drift)))
}

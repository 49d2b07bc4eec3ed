//! `GET /v1/tools/{id}`: returns a tool. Roles: any.

use axum::Json;
use axum::extract::State;
use sentinel_api::Tool;
use sentinel_core::id::ToolId;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Get a tool
///
/// Roles: `agent`, `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that
/// tenant's.
#[utoipa::path(
    get, path = "/v1/tools/{id}", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the tool")),
    responses((status = 200, description = "the tool", body = Tool)),
)]
pub(crate) async fn tools_get(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ToolId>,
) -> Result<Json<Tool>, Problem> {
    caller.require(&[Role::Agent, Role::Operator, Role::Author, Role::Auditor])?;
    let found = app.services.registry.tool(caller.principal(), id).await?;
    let tool = found.ok_or_else(|| Problem::not_found("unknown_tool", "tool", &id))?;
    Ok(Json(wire::tool(tool)))
}

//! `DELETE /v1/tools/{id}`: retires a tool. Roles: admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::Tool;
use sentinel_core::id::ToolId;
use sentinel_core::tool::ToolChange;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Retire a tool
///
/// Denies its calls for ever. Its history stays, and so does its name, which cannot be taken again.
///
/// Roles: `admin`; a key bound to a tenant retires that tenant's tools.
#[utoipa::path(
    delete, path = "/v1/tools/{id}", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the tool")),
    responses((status = 200, description = "the tool as retired", body = Tool)),
)]
pub(crate) async fn tools_retire(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ToolId>,
) -> Result<Json<Tool>, Problem> {
    caller.require(&[])?;
    let change = ToolChange {
        url: None,
        owner: None,
        scopes: None,
        metadata: None,
        healthcheck: None,
        retire: true,
    };
    let retired = app.services.registry.update(caller.principal(), id, change).await?;
    let tool = retired.ok_or_else(|| Problem::not_found("unknown_tool", "tool", &id))?;
    Ok(Json(wire::tool(tool)))
}

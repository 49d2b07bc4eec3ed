//! `PATCH /v1/tools/{id}`: changes a tool. Roles: admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{Tool, ToolChange};
use sentinel_core::id::ToolId;
use sentinel_core::tool;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Change a tool
///
/// Changes where a tool is, who owns it and what is said about it; its name stays. The digest
/// changes with it, so a policy that pins the digest denies until it is changed too.
///
/// Roles: `admin`; a key bound to a tenant changes that tenant's tools.
#[utoipa::path(
    patch, path = "/v1/tools/{id}", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the tool")),
    request_body = ToolChange,
    responses((status = 200, description = "the tool as changed", body = Tool)),
)]
pub(crate) async fn tools_update(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ToolId>,
    body: Unread,
) -> Result<Json<Tool>, Problem> {
    caller.require(&[])?;
    let ToolChange { url, owner, scopes, metadata, healthcheck } = body.object().await?;
    let change = tool::ToolChange {
        url: url.map(|address| address.0),
        owner,
        scopes,
        metadata,
        healthcheck: healthcheck.map(|address| address.map(|address| address.0)),
        retire: false,
    };
    let changed = app.services.registry.update(caller.principal(), id, change).await?;
    let tool = changed.ok_or_else(|| Problem::not_found("unknown_tool", "tool", &id))?;
    Ok(Json(wire::tool(tool)))
}

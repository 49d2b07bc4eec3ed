//! `POST /v1/upstreams`: adds an upstream. Roles: admin.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_api::{Upstream, UpstreamRequest};
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_service::upstreams::UpstreamSpec;

use crate::app::Shared;
use crate::wire;

/// Add an upstream
///
/// Adds an MCP server behind the gateway. Its tools are registered as `name__tool` when they are
/// first listed, and pinned; what it offers besides tools is registered at once, as
/// `name__resources`, `name__prompts`, `name__completion`, `name__sampling` and
/// `name__elicitation`.
///
/// Returns 409 (`upstream_exists`) when the name is taken, and 403 (`command_not_allowed`) for a
/// command that the configuration does not allow.
///
/// Roles: `admin`; a key bound to a tenant adds upstreams to that tenant, but none that is a
/// command, since that is run on the server, and none with references to secrets of the server.
#[utoipa::path(
    post, path = "/v1/upstreams", tag = "registry",
    request_body = UpstreamRequest,
    responses((status = 201, description = "the upstream", body = Upstream)),
)]
pub(crate) async fn upstreams_create(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<Upstream>), Problem> {
    caller.require(&[])?;
    let UpstreamRequest { tenant_slug, name, transport } = body.object().await?;
    let spec = UpstreamSpec { tenant: tenant_slug, name, transport };
    let added = app.services.upstreams.add(caller.principal(), spec).await?;
    Ok((StatusCode::CREATED, Json(wire::upstream(added))))
}

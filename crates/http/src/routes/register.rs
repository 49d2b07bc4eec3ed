//! `POST /register`: registers a tool. Roles: admin.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_api::{RegisterRequest, Tool};
use sentinel_core::name::{DisplayName, TenantSlug};
use sentinel_core::tenant::TenantSpec;
use sentinel_core::tool::ToolSpec;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Register a tool
///
/// Registers a tool, and its tenant when the slug is new. Returns 409 when the tenant has a tool of
/// that name (`tool_exists`) or of one that is too easily confused with it (`tool_confusable`).
///
/// Roles: `admin`. A key bound to a tenant registers tools of that tenant only.
#[utoipa::path(
    post, path = "/register", tag = "registry",
    request_body = RegisterRequest,
    responses((status = 201, description = "the tool as registered", body = Tool)),
)]
pub(crate) async fn register(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<Tool>), Problem> {
    caller.require(&[])?;
    let body: RegisterRequest = body.object().await?;
    let tenant =
        TenantSpec { display_name: named_after(&body.tenant_slug)?, slug: body.tenant_slug };
    let tool = ToolSpec {
        name: body.name,
        url: body.url.0,
        owner: body.owner,
        scopes: body.scopes.unwrap_or_default(),
        metadata: body.metadata.unwrap_or_default(),
        healthcheck: body.healthcheck.map(|address| address.0),
    };
    let view = app.services.registry.register(caller.principal(), tenant, tool).await?;
    Ok((StatusCode::CREATED, Json(wire::tool(view))))
}

/// The name for people of a tenant that was given none.
pub(crate) fn named_after(slug: &TenantSlug) -> Result<DisplayName, Problem> {
    slug.as_str().parse().map_err(|error: sentinel_core::name::NameError| {
        Problem::unprocessable(error.code(), error.to_string())
    })
}

//! `POST /v1/tenants`: creates a tenant. Roles: admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_api::{Tenant, TenantRequest};
use sentinel_core::tenant::TenantSpec;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::routes::register::named_after;

/// Create a tenant
///
/// Returns 409 (`tenant_exists`) when the slug is taken.
///
/// Roles: `admin`, with a key that is bound to no tenant.
#[utoipa::path(
    post, path = "/v1/tenants", tag = "registry",
    request_body = TenantRequest,
    responses((status = 201, description = "the tenant", body = Tenant)),
)]
pub(crate) async fn tenants_create(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<Tenant>), Problem> {
    caller.require(&[])?;
    let TenantRequest { slug, display_name } = body.object().await?;
    let display_name = match display_name {
        Some(name) => name,
        None => named_after(&slug)?,
    };
    let spec = TenantSpec { slug, display_name };
    let tenant = app.services.registry.create_tenant(caller.principal(), spec).await?;
    Ok((StatusCode::CREATED, Json(tenant.into())))
}

//! `POST /v1/tenants`: creates a tenant. Roles: admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_core::name::{DisplayName, TenantSlug};
use sentinel_core::store::TenantSpec;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;
use crate::routes::register::named_after;
use crate::wire::TenantAnswer;

/// The tenant that is to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantRequest)]
pub(crate) struct TenantBody {
    #[schema(value_type = String, example = "platform-eng")]
    slug: TenantSlug,
    /// The slug when left out.
    #[schema(value_type = Option<String>)]
    display_name: Option<DisplayName>,
}

/// Create a tenant
///
/// Answers 409 (`tenant_exists`) when the slug is taken.
///
/// Roles: `admin`, with a key that is bound to no tenant.
#[utoipa::path(
    post, path = "/v1/tenants", tag = "registry",
    request_body = TenantBody,
    responses((status = 201, description = "the tenant", body = TenantAnswer)),
)]
pub(crate) async fn tenants_create(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<TenantAnswer>), Problem> {
    caller.require(&[])?;
    let TenantBody { slug, display_name } = body.object().await?;
    let display_name = match display_name {
        Some(name) => name,
        None => named_after(&slug)?,
    };
    let spec = TenantSpec { slug, display_name };
    let tenant = app.services.registry.create_tenant(caller.principal(), spec).await?;
    Ok((StatusCode::CREATED, Json(tenant.into())))
}

//! `POST /v1/keys`: makes a key. Roles: admin.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_api::{KeyRequest, NewApiKey};
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_service::keys::{KeySpec, NewKey};

use crate::app::Shared;
use crate::wire;

/// Make a key
///
/// Roles: `admin`; with a key bound to a tenant, `tenant_slug` must name that tenant.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys",
    request_body = KeyRequest,
    responses((status = 201, description = "the key", body = NewApiKey)),
)]
pub(crate) async fn keys_create(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<NewApiKey>), Problem> {
    caller.require(&[])?;
    let KeyRequest { name, role, tenant_slug, agent, owner } = body.object().await?;
    let spec = KeySpec { name, role, tenant: tenant_slug, agent, owner };
    let NewKey { key, secret } = app.services.keys.create(caller.principal(), spec).await?;
    let key = wire::key(&app.services.control.current(), key);
    Ok((StatusCode::CREATED, Json(NewApiKey { key, secret: secret.into() })))
}

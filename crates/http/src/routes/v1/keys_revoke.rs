//! `DELETE /v1/keys/{id}`: revokes a key. Roles: admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::ApiKey;
use sentinel_core::id::KeyId;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Revoke a key
///
/// Takes effect at once, for checks under way and open event streams too.
///
/// Roles: `admin`; a key bound to a tenant revokes that tenant's.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = uuid::Uuid, Path, description = "the key's identifier")),
    responses((status = 200, description = "the key as revoked", body = ApiKey)),
)]
pub(crate) async fn keys_revoke(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<KeyId>,
) -> Result<Json<ApiKey>, Problem> {
    caller.require(&[])?;
    let revoked = app.services.keys.revoke(caller.principal(), id).await?;
    let key = revoked.ok_or_else(|| Problem::not_found("unknown_key", "key", &id))?;
    Ok(Json(wire::key(&app.services.control.current(), key)))
}

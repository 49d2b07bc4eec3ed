//! `GET /v1/manifests/{id}/salt`: returns a manifest's salt. Roles: agent, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::Salt;
use sentinel_core::id::ManifestId;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use super::manifests_get::seen;
use crate::app::Shared;

/// Get a manifest's salt
///
/// The salt shows, with the payload, what the manifest commits to: SHA-256 of salt and payload.
/// With it guesses of the payload can be tested, so it is not public.
/// Returns 410 (`payload_destroyed`) with the tombstone once the tenant's payload key was
/// destroyed.
///
/// Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/manifests/{id}/salt", tag = "provenance",
    params(("id" = uuid::Uuid, Path, description = "the manifest")),
    responses((status = 200, description = "the salt", body = Salt)),
)]
pub(crate) async fn manifests_salt(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ManifestId>,
) -> Result<Json<Salt>, Problem> {
    let manifest = seen(&app, &caller, id).await?;
    let salt = app.services.provenance.salt(&manifest).await?;
    Ok(Json(Salt { manifest_id: id, salt: hex::encode(salt.as_bytes()) }))
}

//! `GET /v1/manifests/{id}/payload`: returns a manifest's payload. Roles: agent, auditor, admin.

use axum::extract::State;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sentinel_core::id::ManifestId;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use super::manifests_get::seen;
use crate::app::Shared;

/// Get a manifest's payload
///
/// The exact bytes that were signed with `keep_payload`. Returns 404 (`payload_not_kept`) when it
/// was not given to be kept, and 410 (`payload_destroyed`) with the tombstone once its key was
/// destroyed.
///
/// Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/manifests/{id}/payload", tag = "provenance",
    params(("id" = uuid::Uuid, Path, description = "the manifest")),
    responses((status = 200, description = "the payload", body = serde_json::Value)),
)]
pub(crate) async fn manifests_payload(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ManifestId>,
) -> Result<([(HeaderName, &'static str); 2], Vec<u8>), Problem> {
    let manifest = seen(&app, &caller, id).await?;
    let payload = app.services.payloads.payload(&manifest).await?;
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    Ok((headers, payload.bytes.to_vec()))
}

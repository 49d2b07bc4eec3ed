use axum::extract::State;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use sentinel_core::id::ManifestId;
use sentinel_provenance::bundle::MEDIA_TYPE;

use super::manifests_get::seen;
use crate::app::Shared;
use crate::auth::Caller;
use crate::path::Id;
use crate::problem::Problem;

/// Get a manifest's bundle
///
/// The Sigstore bundle, byte for byte as it was issued; it verifies offline with the public key.
///
/// Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/manifests/{id}/bundle", tag = "provenance",
    params(("id" = uuid::Uuid, Path, description = "the manifest")),
    responses((status = 200, description = "the bundle", body = Object,
        content_type = "application/vnd.dev.sigstore.bundle.v0.3+json")),
)]
pub(crate) async fn manifests_bundle(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ManifestId>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let manifest = seen(&app, &caller, id).await?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], manifest.bundle))
}

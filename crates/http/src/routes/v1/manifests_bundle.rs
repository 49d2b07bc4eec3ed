//! `GET /v1/manifests/{id}/bundle`: returns a manifest's bundle. Roles: agent, auditor, admin.

use axum::extract::State;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use sentinel_core::id::ManifestId;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;
use sentinel_provenance::bundle::MEDIA_TYPE;

use super::manifests_get::seen;
use crate::app::Shared;

/// Get a manifest's bundle
///
/// The Sigstore bundle with its place in the transparency log; it verifies offline with the public
/// key and the trusted root. A manifest that was just signed is waited for until a checkpoint
/// covers it, a fraction of a second; `log_behind` says that this takes longer.
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
) -> Result<([(HeaderName, &'static str); 1], Vec<u8>), Problem> {
    let manifest = seen(&app, &caller, id).await?;
    let bundle = app.services.provenance.bundle(&manifest).await?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], bundle))
}

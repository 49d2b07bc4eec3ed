//! `GET /v1/tombstones/{id}/bundle`: returns a tombstone's bundle. Roles: auditor, admin.

use axum::extract::State;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use sentinel_core::id::StatementId;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;
use sentinel_provenance::bundle::MEDIA_TYPE;

use crate::app::Shared;

/// Get a tombstone's bundle
///
/// The signed statement with its place in the transparency log. Its artifact is the text
/// `<tenant>/<key generation>`.
///
/// Roles: `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/tombstones/{id}/bundle", tag = "provenance",
    params(("id" = uuid::Uuid, Path, description = "the tombstone")),
    responses((status = 200, description = "the bundle", body = Object,
        content_type = "application/vnd.dev.sigstore.bundle.v0.3+json")),
)]
pub(crate) async fn tombstones_bundle(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<StatementId>,
) -> Result<([(HeaderName, &'static str); 1], Vec<u8>), Problem> {
    caller.require(&[Role::Auditor])?;
    let bundle = app.services.payloads.tombstone_bundle(caller.principal(), id).await?;
    let bundle = bundle.ok_or_else(|| Problem::not_found("unknown_tombstone", "tombstone", &id))?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], bundle))
}

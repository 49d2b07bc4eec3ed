//! `GET /v1/manifests/{id}`: returns a manifest. Roles: agent, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::ManifestRecord;
use sentinel_core::id::ManifestId;
use sentinel_core::manifest::Manifest;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::{App, Shared};
use crate::wire;

/// Get a manifest
///
/// What a manifest is stored under. To read what it says, verify it.
///
/// Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/manifests/{id}", tag = "provenance",
    params(("id" = uuid::Uuid, Path, description = "the manifest")),
    responses((status = 200, description = "the manifest", body = ManifestRecord)),
)]
pub(crate) async fn manifests_get(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ManifestId>,
) -> Result<Json<ManifestRecord>, Problem> {
    let manifest = seen(&app, &caller, id).await?;
    Ok(Json(wire::manifest(&app.services.control.current(), manifest)))
}

/// The manifest, for callers that may see it.
pub(super) async fn seen(app: &App, caller: &Caller, id: ManifestId) -> Result<Manifest, Problem> {
    caller.require(&[Role::Agent, Role::Auditor])?;
    let found = app.services.provenance.manifest(caller.principal(), id).await?;
    found.ok_or_else(|| Problem::not_found("unknown_manifest", "manifest", &id))
}

//! `GET /v1/upstreams/{id}`: shows one upstream. Roles: operator, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::Upstream;
use sentinel_core::id::UpstreamId;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Show an upstream
///
/// Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/upstreams/{id}", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the upstream")),
    responses((status = 200, description = "the upstream", body = Upstream)),
)]
pub(crate) async fn upstreams_get(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<UpstreamId>,
) -> Result<Json<Upstream>, Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    let found = app.services.upstreams.upstream(caller.principal(), id).await?;
    let upstream = found.ok_or_else(|| Problem::not_found("unknown_upstream", "upstream", &id))?;
    Ok(Json(wire::upstream(upstream)))
}

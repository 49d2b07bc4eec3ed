//! `DELETE /v1/upstreams/{id}`: removes an upstream. Roles: admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::Upstream;
use sentinel_core::id::UpstreamId;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Remove an upstream
///
/// Ends its connections, and denies the calls of its tools with `upstream_removed`. The tools stay
/// in the registry: an upstream that is added under the same name takes them over, and each can be
/// called again once it is offered as it was approved.
///
/// Roles: `admin`; a key bound to a tenant removes that tenant's.
#[utoipa::path(
    delete, path = "/v1/upstreams/{id}", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the upstream")),
    responses((status = 200, description = "the upstream as it was", body = Upstream)),
)]
pub(crate) async fn upstreams_remove(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<UpstreamId>,
) -> Result<Json<Upstream>, Problem> {
    caller.require(&[])?;
    let removed = app.services.upstreams.remove(caller.principal(), id).await?;
    let removed = removed.ok_or_else(|| Problem::not_found("unknown_upstream", "upstream", &id))?;
    Ok(Json(wire::upstream(removed)))
}

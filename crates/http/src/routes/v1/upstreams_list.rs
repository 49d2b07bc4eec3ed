//! `GET /v1/upstreams`: lists upstreams. Roles: operator, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{List, Upstream};
use sentinel_core::name::TenantSlug;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::{PageLimit, Params, page};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::Shared;
use crate::wire;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Upstreams of this tenant only.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantSlug>,
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List upstreams
///
/// Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/upstreams", tag = "registry",
    params(Filter),
    responses((status = 200, description = "upstreams, oldest first", body = List<Upstream>)),
)]
pub(crate) async fn upstreams_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Upstream>>, Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    let page = page(filter.limit, filter.cursor)?;
    let upstreams = &app.services.upstreams;
    let found = upstreams.upstreams(caller.principal(), filter.tenant.as_ref(), page).await?;
    Ok(Json(List::of(found, wire::upstream)))
}

//! `GET /v1/tenants`: lists tenants. Roles: operator, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{List, Tenant};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::{PageLimit, Params, page};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::Shared;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List tenants
///
/// Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that one.
#[utoipa::path(
    get, path = "/v1/tenants", tag = "registry",
    params(Filter),
    responses((status = 200, description = "tenants, by slug", body = List<Tenant>)),
)]
pub(crate) async fn tenants_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Tenant>>, Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    let page = page(filter.limit, filter.cursor)?;
    let found = app.services.registry.tenants(caller.principal(), page).await?;
    Ok(Json(List::of(found, Tenant::from)))
}

//! `GET /v1/quotas`: lists quotas. Roles: operator, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{List, QuotaUsage};
use sentinel_core::name::TenantSlug;
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
    /// Quotas of this tenant only.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantSlug>,
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List quotas
///
/// What is used of each tool's quota. A tool that was not used in its window has no row.
///
/// Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/quotas", tag = "audit",
    params(Filter),
    responses((status = 200, description = "usage, by tenant and tool", body = List<QuotaUsage>)),
)]
pub(crate) async fn quotas_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Json<List<QuotaUsage>>, Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    let page = page(filter.limit, filter.cursor)?;
    let quotas = &app.services.quotas;
    let found = quotas.usage(caller.principal(), filter.tenant.as_ref(), page).await?;
    Ok(Json(List::of(found, |view| QuotaUsage::new(view.counter, view.tenant, view.tool))))
}

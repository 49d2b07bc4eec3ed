//! `GET /v1/tombstones`: lists tombstones. Roles: auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{List, Tombstone};
use sentinel_core::name::TenantSlug;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::Shared;
use crate::wire;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    #[param(value_type = Option<String>)]
    tenant: Option<TenantSlug>,
}

/// List tombstones
///
/// Which payload keys were destroyed, when, by whom and why. All are on the one page.
///
/// Roles: `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/tombstones", tag = "provenance",
    params(Filter),
    responses((status = 200, description = "tombstones, oldest first", body = List<Tombstone>)),
)]
pub(crate) async fn tombstones_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(Filter { tenant }): Params<Filter>,
) -> Result<Json<List<Tombstone>>, Problem> {
    caller.require(&[Role::Auditor])?;
    let found = app.services.payloads.tombstones(caller.principal(), tenant.as_ref()).await?;
    let items = found.into_iter().map(wire::tombstone).collect();
    Ok(Json(List { items, next_cursor: None }))
}

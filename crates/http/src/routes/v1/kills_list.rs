//! `GET /v1/kills`: lists kills. Roles: operator, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{Kill, List};
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
    /// `true`: only kills that are in force; else the whole history, with those that start later.
    in_force: Option<bool>,
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List kills
///
/// Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/kills", tag = "kill switch",
    params(Filter),
    responses((status = 200, description = "kills, newest first", body = List<Kill>)),
)]
pub(crate) async fn kills_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Kill>>, Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    let page = page(filter.limit, filter.cursor)?;
    let in_force = filter.in_force.unwrap_or(false);
    let found = app.services.kills.history(caller.principal(), in_force, page).await?;
    Ok(Json(List::of(found, wire::kill)))
}

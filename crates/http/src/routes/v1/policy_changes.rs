//! `GET /v1/policy/changes`: lists changes of policy.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_api::{List, PolicyChange};
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
pub(crate) struct Which {
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List changes of policy
///
/// Every change of what is in force, and every revision that was refused: what, by whom, and why.
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policy/changes", tag = "policy",
    params(Which),
    responses((status = 200, description = "newest first", body = List<PolicyChange>)),
)]
pub(crate) async fn policy_changes(
    State(app): State<Shared>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Result<Json<List<PolicyChange>>, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let found = app.services.policy_log.changes(page(which.limit, which.cursor)?).await?;
    Ok(Json(List::of(found, PolicyChange::from)))
}

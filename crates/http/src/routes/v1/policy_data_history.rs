//! `GET /v1/policy/data-history`: lists changes of policy data.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_api::{List, PolicyDataChange};
use sentinel_core::policy_data::DataPath;
use sentinel_core::ports::RecordedData;
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
    /// Only what touched this place, above it or below it; a JSON pointer: `/limits/search`.
    path: Option<String>,
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List changes of policy data
///
/// Each with the value that was put, its author and the reason.
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policy/data-history", tag = "policy",
    params(Which),
    responses((status = 200, description = "newest first", body = List<PolicyDataChange>)),
)]
pub(crate) async fn policy_data_history(
    State(app): State<Shared>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Result<Json<List<PolicyDataChange>>, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let path = which.path.map(|path| path.parse::<DataPath>()).transpose();
    let path = path.map_err(|error| Problem::bad_request("invalid_query", error.to_string()))?;
    let page = page(which.limit, which.cursor)?;
    let found = app.services.policy_data.history(path, page).await?;
    Ok(Json(List::of(found, |RecordedData { change, value }| PolicyDataChange {
        change: change.into(),
        value,
    })))
}

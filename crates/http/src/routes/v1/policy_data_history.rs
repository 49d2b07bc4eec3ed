//! `GET /v1/policy/data-history`: lists changes of policy data.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_core::policy_data::DataPath;
use sentinel_core::principal::Role;
use sentinel_core::store::RecordedData;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::query::{PageLimit, Params, page};
use crate::wire::{List, PolicyChangeAnswer};

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

/// A change of policy data.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyDataChange)]
pub(crate) struct DataChangeAnswer {
    #[serde(flatten)]
    change: PolicyChangeAnswer,
    /// What was put at the path; absent when it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
}

impl From<RecordedData> for DataChangeAnswer {
    fn from(RecordedData { change, value }: RecordedData) -> Self {
        Self { change: change.into(), value }
    }
}

/// List changes of policy data
///
/// Each with the value that was put, its author and the reason.
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policy/data-history", tag = "policy",
    params(Which),
    responses((status = 200, description = "newest first", body = List<DataChangeAnswer>)),
)]
pub(crate) async fn policy_data_history(
    State(app): State<Shared>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Result<Json<List<DataChangeAnswer>>, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let path = which.path.map(|path| path.parse::<DataPath>()).transpose();
    let path = path.map_err(|error| Problem::bad_request("invalid_query", error.to_string()))?;
    let page = page(which.limit, which.cursor)?;
    let found = app.services.policy_data.history(path, page).await?;
    Ok(Json(List::of(found, DataChangeAnswer::from)))
}

//! `GET /v1/policy/data/{*path}`: returns policy data that was put.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::extract::State;
use axum::response::Response;
use sentinel_api::PolicyData;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;

use super::{At, shown};
use crate::app::Shared;

/// Get policy data that was put
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policy/data/{*path}", tag = "policy",
    params(("path" = String, Path, description = "names, parted by `/`; a slash in one is `%2F`")),
    responses(
        (status = 200, description = "what is stored there, and below it", body = PolicyData),
        (status = 404, description = "nothing was put there"),
    ),
)]
pub(crate) async fn policy_data_get(
    State(app): State<Shared>,
    caller: Caller,
    at: Result<At, Problem>,
) -> Result<Response, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let At(path) = at?;
    let found = app.services.policy_data.get(Some(&path)).await?;
    let found = found.ok_or_else(|| Problem::not_found("unknown_policy_data", "data at", &path))?;
    Ok(shown(Some(&path), found))
}

//! `GET /v1/policy/data`: returns all policy data that was put.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::extract::State;
use axum::response::Response;
use sentinel_api::PolicyData;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;

use super::shown;
use crate::app::Shared;

/// Get all policy data that was put
///
/// Without what the policy's source brings.
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policy/data", tag = "policy",
    responses((status = 200, description = "one document", body = PolicyData)),
)]
pub(crate) async fn policy_data_all(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let found = app.services.policy_data.get(None).await?;
    let found = found.ok_or_else(|| Problem::not_found("unknown_policy_data", "data at", &"/"))?;
    Ok(shown(None, found))
}

//! `GET /v1/policy/rollout`: returns the staged rollout.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_api::PolicyRollouts;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Get the staged rollout
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policy/rollout", tag = "policy",
    responses((status = 200, description = "with counts and examples", body = PolicyRollouts)),
)]
pub(crate) async fn policy_rollout_get(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<PolicyRollouts>, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let (monitored, promoted) = app.services.rollouts.current().await?;
    let (monitored, promoted) = (monitored.map(wire::rollout), promoted.map(wire::rollout));
    Ok(Json(PolicyRollouts { monitored, promoted }))
}

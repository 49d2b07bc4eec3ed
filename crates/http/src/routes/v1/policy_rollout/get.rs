//! `GET /v1/policy/rollout`: returns the staged rollout.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_core::principal::Role;
use serde::Serialize;
use utoipa::ToSchema;

use super::RolloutAnswer;
use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::Problem;

/// Where the rollout stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyRollouts)]
pub(crate) struct RolloutsAnswer {
    /// The candidate that is compared.
    monitored: Option<RolloutAnswer>,
    /// The one that decides in place of what the source brought.
    promoted: Option<RolloutAnswer>,
}

/// Get the staged rollout
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policy/rollout", tag = "policy",
    responses((status = 200, description = "with counts and examples", body = RolloutsAnswer)),
)]
pub(crate) async fn policy_rollout_get(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<RolloutsAnswer>, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let (monitored, promoted) = app.services.rollouts.current().await?;
    let (monitored, promoted) = (monitored.map(Into::into), promoted.map(Into::into));
    Ok(Json(RolloutsAnswer { monitored, promoted }))
}

//! `POST /v1/policy/rollout/promote`: promotes the candidate.
//! Roles: author, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_api::{PolicyRollout, RolloutStep};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Promote the candidate
///
/// It decides from now on, on every server, in place of what the source brought, until the source
/// brings something else or it is dropped. No decision that is returned after this has returned was
/// made by what decided before.
///
/// Roles: `author`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    post, path = "/v1/policy/rollout/promote", tag = "policy",
    request_body = RolloutStep,
    responses(
        (status = 200, description = "it decides", body = PolicyRollout),
        (status = 404, description = "none is monitored"),
        (status = 412, description = "it is not the one that is meant"),
    ),
)]
pub(crate) async fn policy_rollout_promote(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<PolicyRollout>, Problem> {
    caller.require(&[Role::Author])?;
    caller.require_unbound()?;
    let RolloutStep { rollout_id, reason } = body.object().await?;
    let view = app.services.rollouts.promote(caller.principal(), rollout_id, reason).await?;
    Ok(Json(wire::rollout(view)))
}

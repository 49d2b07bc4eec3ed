//! `POST /v1/policy/rollout/drop`: drops the candidate. Roles: author, admin, bound to no tenant.

use axum::extract::State;
use http::StatusCode;
use sentinel_api::RolloutStep;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;

/// Drop the candidate
///
/// Gives the monitored candidate up. When none is monitored, takes the promoted one back: what the
/// source brought decides again.
///
/// Roles: `author`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    post, path = "/v1/policy/rollout/drop", tag = "policy",
    request_body = RolloutStep,
    responses(
        (status = 204, description = "it is over"),
        (status = 404, description = "there is no candidate"),
        (status = 412, description = "it is not the one that is meant"),
    ),
)]
pub(crate) async fn policy_rollout_drop(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<StatusCode, Problem> {
    caller.require(&[Role::Author])?;
    caller.require_unbound()?;
    let RolloutStep { rollout_id, reason } = body.object().await?;
    app.services.rollouts.drop(caller.principal(), rollout_id, reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

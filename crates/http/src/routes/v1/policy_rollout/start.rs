//! `POST /v1/policy/rollout`: starts a staged rollout. Roles: author, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_api::{RolloutRequest, StartedRollout};
use sentinel_core::json::Limits;
use sentinel_core::principal::Role;
use sentinel_core::rollout::Percent;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_service::rollouts;

use crate::app::Shared;
use crate::wire;

/// A policy of a few megabytes, with its data.
const LIMITS: Limits = Limits {
    max_bytes: 8 * 1024 * 1024,
    max_depth: 4,
    max_nodes: 4_000,
    max_string_bytes: 4 * 1024 * 1024,
    max_key_bytes: 1024,
};
/// Most tenants that one rollout names.
const MAX_TENANTS: usize = 1_000;

/// Start a staged rollout
///
/// The candidate is vetted as every policy, then evaluated beside what decides, for some tenants or
/// a share of the calls, without influence on any decision.
///
/// Roles: `author`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    post, path = "/v1/policy/rollout", tag = "policy",
    request_body = RolloutRequest,
    responses(
        (status = 201, description = "the candidate is monitored", body = StartedRollout),
        (status = 409, description = "another one is monitored already"),
        (status = 422, description = "the candidate is refused; `detail` says why"),
    ),
)]
pub(crate) async fn policy_rollout_start(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<StartedRollout>), Problem> {
    caller.require(&[Role::Author])?;
    caller.require_unbound()?;
    let RolloutRequest { files, tenants, percent, reason } = body.value(&LIMITS).await?;
    if tenants.len() > MAX_TENANTS {
        let detail = format!("`tenants` names at most {MAX_TENANTS}; leave it out for all");
        return Err(Problem::unprocessable("invalid_rollout", detail));
    }
    let percent = percent.unwrap_or(Percent::ALL);
    let request = rollouts::RolloutRequest { files, tenants, percent, reason };
    let (view, candidate) = app.services.rollouts.start(caller.principal(), request).await?;
    let response = StartedRollout { rollout: wire::rollout(view), warnings: candidate.warnings };
    Ok((StatusCode::CREATED, Json(response)))
}

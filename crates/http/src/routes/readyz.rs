//! `GET /readyz`: says whether the server can decide. Public.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use sentinel_ingress::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;

/// The server decides.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ready)]
pub(crate) struct Ready {
    /// Always `ready`.
    status: &'static str,
    /// The last self-test of the kill switch; `null` before the first.
    kill_self_test: Option<SelfTestAnswer>,
}

/// What the last self-test of the kill switch found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KillSelfTest)]
pub(crate) struct SelfTestAnswer {
    /// `passed`, `failed` or `not_tried`.
    outcome: &'static str,
    at: Timestamp,
    /// When one passed last.
    passed_at: Option<Timestamp>,
}

/// Whether the server can decide
///
/// Ready means: the store can write, the writers run, and a policy is loaded, or the OPA that
/// decides is healthy, and the last self-test of the kill switch, made once a minute, did not fail.
/// Otherwise 503 (`not_ready`) with `reasons`: `store_unavailable`, `writer_stopped`, `no_policy`,
/// `policy_unavailable`, `policy_stuck` (evaluations do not come back; everything that has to be
/// evaluated is denied), `kill_switch_failed`, `stopping`.
///
/// Public: needs no key.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "ready", body = Ready)),
)]
pub(crate) async fn readyz(State(app): State<Shared>) -> Result<Json<Ready>, Problem> {
    let reasons = app.door.not_ready().await;
    if reasons.is_empty() {
        let last = app.services.self_tests.last().map(|report| SelfTestAnswer {
            outcome: report.outcome.as_str(),
            at: report.at,
            passed_at: report.passed_at,
        });
        return Ok(Json(Ready { status: "ready", kill_self_test: last }));
    }
    let detail = format!("not ready: {}", reasons.join(", "));
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail);
    Err(problem.reasons(reasons))
}

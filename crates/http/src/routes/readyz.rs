use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use sentinel_service::Services;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::problem::Problem;

/// Time the store gets to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a result is answered again: whoever polls without a key must not keep the store busy.
const REUSE: Duration = Duration::from_millis(500);

/// The last result, with its time.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Vec<&'static str>)>>);

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
/// Ready means: the store can write, the writers run, and a policy is loaded, or the OPA that decides
/// is healthy, and the last self-test of the kill switch, made once a minute, did not fail. Otherwise
/// 503 (`not_ready`) with `reasons`: `store_unavailable`, `writer_stopped`, `no_policy`,
/// `policy_unavailable`, `policy_stuck` (evaluations do not come back; everything that has to be
/// evaluated is denied), `kill_switch_failed`, `stopping`.
///
/// Public: needs no key.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "ready", body = Ready)),
)]
pub(crate) async fn readyz(State(app): State<Shared>) -> Result<Json<Ready>, Problem> {
    let reasons = not_ready(&app).await;
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

/// Why the server cannot decide; nothing when it can.
pub(crate) async fn not_ready(app: &Shared) -> Vec<&'static str> {
    let stopping = app.options.shutdown.as_ref().is_some_and(|shutdown| *shutdown.borrow());
    match app.readiness.recent() {
        _ if stopping => vec!["stopping"],
        Some(reasons) => reasons,
        None => {
            let reasons = reasons(&app.services).await;
            app.readiness.keep(reasons.clone());
            reasons
        }
    }
}

async fn reasons(services: &Services) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    match tokio::time::timeout(PATIENCE, services.store.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the store cannot write");
            reasons.push("store_unavailable");
        }
        Err(_) => {
            tracing::warn!("not ready: the store does not answer");
            reasons.push("store_unavailable");
        }
    }
    if !services.checker.is_running() || !services.provenance.is_running() {
        reasons.push("writer_stopped");
    }
    if services.self_tests.has_failed() {
        reasons.push("kill_switch_failed");
    }
    let policy = services.policy.status();
    if policy.revision.is_none() {
        reasons.push(if policy.engine == "opa" { "policy_unavailable" } else { "no_policy" });
    }
    if services.policy.is_stuck() {
        reasons.push("policy_stuck");
    }
    reasons
}

impl Readiness {
    fn recent(&self) -> Option<Vec<&'static str>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < REUSE).map(|(_, reasons)| reasons.clone())
    }

    fn keep(&self, reasons: Vec<&'static str>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), reasons));
    }
}

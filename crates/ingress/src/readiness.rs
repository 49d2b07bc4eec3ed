//! Whether the server can decide.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sentinel_service::Services;

/// Time the store gets to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a result is reused.
const REUSE: Duration = Duration::from_millis(500);

/// The last result, with its time.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Vec<&'static str>)>>);

impl Readiness {
    /// Why `services` cannot decide; empty when they can.
    pub(crate) async fn reasons(&self, services: &Services) -> Vec<&'static str> {
        if let Some(reasons) = self.recent() {
            return reasons;
        }
        let reasons = reasons(services).await;
        self.keep(reasons.clone());
        reasons
    }

    fn recent(&self) -> Option<Vec<&'static str>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < REUSE).map(|(_, reasons)| reasons.clone())
    }

    fn keep(&self, reasons: Vec<&'static str>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), reasons));
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

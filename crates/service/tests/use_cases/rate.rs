//! Rate limits on the enforcement path.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::check::CheckRequest;
use sentinel_core::decision::ReasonCode;
use sentinel_core::policy::Obligation;
use sentinel_core::ports::prelude::*;
use sentinel_core::rate::{
    RateDemand, RateError, RateLimit, RateLimiter, RateRule, RateScope, RateVerdict,
};
use sentinel_core::tool::ToolChange;
use sentinel_service::{Services, Settings, Shared};
use sentinel_testkit::build::{self, name};
use serde_json::{Value, json};

use crate::support::{ADMIN, Answer, App, decision, register, request};

fn obliged(allow: bool, obligations: &[Value]) -> Answer {
    let obligations: Vec<Obligation> =
        obligations.iter().map(|value| serde_json::from_value(value.clone()).unwrap()).collect();
    decision(allow, None)
        .map(|decision| sentinel_core::policy::PolicyDecision { obligations, ..decision })
}

fn limited(scope: &str, limit: u64) -> Value {
    json!({"type": "rate_limit", "scope": scope, "limit": limit, "period": "1h"})
}

fn rule(scope: RateScope, limit: u64) -> RateRule {
    RateRule { scope, limit: RateLimit::new(limit, Duration::from_secs(3600), None).unwrap() }
}

async fn code_of(services: &Services, request: CheckRequest) -> ReasonCode {
    let checked = services.checker.check(request).await.unwrap();
    assert_eq!(checked.decision.allow, checked.permit.is_some());
    checked.decision.code
}

/// Returns what the test says, and remembers what was asked.
#[derive(Debug)]
struct Scripted {
    answer: Result<RateVerdict, RateError>,
    asked: std::sync::Mutex<Vec<usize>>,
}

#[async_trait]
impl RateLimiter for Scripted {
    async fn take(&self, demands: &[RateDemand]) -> Result<RateVerdict, RateError> {
        self.asked.lock().unwrap().push(demands.len());
        self.answer.clone()
    }
}

async fn scripted(
    app: &App,
    answer: Result<RateVerdict, RateError>,
    rate_limits: Vec<RateRule>,
) -> (Services, Arc<Scripted>) {
    let limiter = Arc::new(Scripted { answer, asked: std::sync::Mutex::default() });
    let shared = Shared { rates: Some(limiter.clone()), ..Shared::default() };
    let settings = Settings { rate_limits, ..Settings::default() };
    (app.replica(settings, shared).await, limiter)
}

#[tokio::test]
async fn exceeding_a_rate_limit_of_policy_denies_and_is_recorded() {
    let app = App::start().await;
    app.policy.set(obliged(true, &[limited("tool", 2), json!({"type": "alert"})]));
    for _ in 0..2 {
        assert_eq!(code_of(&app.services, app.request()).await, ReasonCode::Allowed);
    }
    let checked = app.services.checker.check(app.request()).await.unwrap();
    assert!(checked.permit.is_none());
    let recorded = app.store.decision(checked.decision.id).await.unwrap().unwrap();
    assert_eq!((recorded.allow, recorded.code), (false, ReasonCode::RateLimited));
    // One of two in an hour comes back each half hour, less what has passed since the first.
    let said = "the rate limit of 2 per 1h by tool is used up; try again in ";
    let seconds = recorded.reason.strip_prefix(said).and_then(|rest| rest.strip_suffix(" s"));
    let seconds: f64 = seconds.and_then(|seconds| seconds.parse().ok()).unwrap();
    assert!((1_700.0..=1_800.0).contains(&seconds), "{}", recorded.reason);
    assert_eq!(recorded.event_metadata["obligations"][0], limited("tool", 2));
    assert_eq!(recorded.policy_revision.as_deref(), Some("scripted"));

    register(&app.services, "secops", "other").await;
    assert_eq!(code_of(&app.services, request("secops", "other")).await, ReasonCode::Allowed);
}

#[tokio::test]
async fn limits_of_configuration_hold_besides_those_of_policy() {
    let rate_limits = vec![rule(RateScope::Tenant, 3), rule(RateScope::Agent, 1)];
    let app = App::start_with(Settings { rate_limits, ..Settings::default() }).await;
    app.policy.set(obliged(true, &[limited("agent_tool", 1), limited("tenant", 3)]));
    let by = |agent: &str| CheckRequest { agent: Some(name(agent)), ..app.request() };
    assert_eq!(code_of(&app.services, by("a")).await, ReasonCode::Allowed);
    assert_eq!(code_of(&app.services, by("a")).await, ReasonCode::RateLimited);
    assert_eq!(code_of(&app.services, by("b")).await, ReasonCode::Allowed);
    assert_eq!(code_of(&app.services, app.request()).await, ReasonCode::Allowed, "no agent");
    assert_eq!(code_of(&app.services, by("c")).await, ReasonCode::RateLimited, "the tenant's");
    register(&app.services, "other", "runbook").await;
    assert_eq!(code_of(&app.services, request("other", "runbook")).await, ReasonCode::Allowed);
}

#[tokio::test]
async fn a_malformed_rate_limit_denies_before_anything_is_taken() {
    let app = App::start().await;
    let (services, limiter) = scripted(&app, Ok(RateVerdict::Granted), Vec::new()).await;
    for malformed in [
        json!({"type": "rate_limit"}),
        json!({"type": "rate_limit", "scope": "tool", "limit": 0, "period": "1s"}),
        json!({"type": "rate_limit", "scope": "tool", "limit": 1, "period": "1s", "brust": 1}),
    ] {
        app.policy.set(obliged(true, &[limited("tool", 5), malformed]));
        assert_eq!(code_of(&services, app.request()).await, ReasonCode::PolicyMalformed);
    }
    assert!(limiter.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_limiter_that_cannot_count_denies_only_where_a_limit_applies() {
    let app = App::start().await;
    let away = Err(RateError::Unavailable("connection to 10.0.0.7 refused".to_owned()));
    let (services, limiter) = scripted(&app, away, Vec::new()).await;
    app.policy.set(obliged(true, &[json!({"type": "alert"})]));
    assert_eq!(code_of(&services, app.request()).await, ReasonCode::Allowed);
    app.policy.set(obliged(false, &[limited("tool", 5)]));
    assert_eq!(code_of(&services, app.request()).await, ReasonCode::PolicyDenied);
    assert!(limiter.asked.lock().unwrap().is_empty(), "without a limit it is not asked");

    app.policy.set(obliged(true, &[limited("tool", 5)]));
    let denied = services.checker.check(app.request()).await.unwrap().decision;
    assert_eq!(denied.code, ReasonCode::RateLimiterUnavailable);
    assert!(!denied.reason.contains("10.0.0.7"), "{}", denied.reason);
}

#[tokio::test]
async fn a_limit_that_is_stated_twice_is_taken_once() {
    let app = App::start().await;
    let rules = vec![rule(RateScope::Tool, 5), rule(RateScope::Tenant, 5)];
    let (services, limiter) = scripted(&app, Ok(RateVerdict::Granted), rules).await;
    app.policy.set(obliged(true, &[limited("tool", 5), limited("tool", 5)]));
    assert_eq!(code_of(&services, app.request()).await, ReasonCode::Allowed);
    assert_eq!(*limiter.asked.lock().unwrap(), [2]);
}

#[tokio::test]
async fn a_check_that_is_decided_anew_takes_once() {
    let app = Arc::new(App::start().await);
    let (services, limiter) =
        scripted(&app, Ok(RateVerdict::Granted), vec![rule(RateScope::Tool, 5)]).await;
    let services = Arc::new(services);
    // The tool changes, by another replica, between the decision and its commit.
    let change = ToolChange { owner: Some(name("others")), ..build::change() };
    app.services.registry.update(&ADMIN, app.tool.tool.id, change).await.unwrap();
    assert_eq!(code_of(&services, app.request()).await, ReasonCode::Allowed);
    assert_eq!(*limiter.asked.lock().unwrap(), [1]);
}

#[tokio::test]
async fn a_call_id_is_decided_anew_after_a_rate_limit_but_keeps_its_allow() {
    let app = App::start().await;
    app.policy.set(obliged(true, &[limited("tool", 1)]));
    let call = |id: &str| CheckRequest { call_id: Some(name(id)), ..app.request() };
    let first = app.services.checker.check(call("one")).await.unwrap().decision;
    let repeated = app.services.checker.check(call("one")).await.unwrap().decision;
    assert_eq!((first.allow, repeated.id), (true, first.id), "the same call, the same decision");
    assert_eq!(code_of(&app.services, call("two")).await, ReasonCode::RateLimited);
    app.policy.set(decision(true, None));
    assert_eq!(code_of(&app.services, call("two")).await, ReasonCode::Allowed);
}

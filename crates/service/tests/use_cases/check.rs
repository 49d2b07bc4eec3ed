//! The one enforcement path, over a real store.
use std::sync::Arc;

use crate::support::{ADMIN, App, arguments, decision, register};
use jiff::SignedDuration;
use sentinel_core::audit::DecisionFilter;
use sentinel_core::check::CheckRequest;
use sentinel_core::decision::ReasonCode;
use sentinel_core::page::Page;
use sentinel_core::policy::PolicyError;
use sentinel_core::ports::prelude::*;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::quota::Window;
use sentinel_core::tool::ToolChange;
use sentinel_service::check::Checked;
use sentinel_service::keys::KeySpec;
use sentinel_service::kill::Target;
use sentinel_service::{ServiceError, Settings};
use sentinel_testkit::build::name;
use serde_json::json;

async fn check(app: &App, request: CheckRequest) -> Checked {
    app.services.checker.check(request).await.unwrap()
}

async fn code(app: &App) -> ReasonCode {
    let checked = check(app, app.request()).await;
    assert_eq!(checked.decision.allow, checked.permit.is_some());
    assert_eq!(checked.decision.allow, checked.decision.code == ReasonCode::Allowed);
    checked.decision.code
}

async fn key(app: &App, role: Role, tenant: Option<&str>, agent: Option<&str>) -> Principal {
    let spec = KeySpec {
        name: name("test key"),
        role,
        tenant: tenant.map(name),
        agent: agent.map(name),
        owner: None,
    };
    let made = app.services.keys.create(&ADMIN, spec).await.unwrap();
    app.services.keys.authenticate(&made.secret).unwrap()
}

const NO_CHANGE: ToolChange = ToolChange {
    url: None,
    owner: None,
    scopes: None,
    metadata: None,
    healthcheck: None,
    retire: false,
};

#[tokio::test]
async fn every_failure_of_policy_denies_with_its_own_code() {
    let app = App::start().await;
    for (error, expected) in [
        (PolicyError::NoPolicy, ReasonCode::NoPolicy),
        (PolicyError::Undefined, ReasonCode::PolicyUndefined),
        (PolicyError::Failed("x".to_owned()), ReasonCode::PolicyError),
        (PolicyError::TimedOut, ReasonCode::PolicyTimeout),
        (PolicyError::Malformed("x".to_owned()), ReasonCode::PolicyMalformed),
        (PolicyError::UnknownObligation("x".to_owned()), ReasonCode::UnknownObligation),
        (PolicyError::Unavailable("x".to_owned()), ReasonCode::PolicyUnavailable),
        (PolicyError::CircuitOpen, ReasonCode::PolicyCircuitOpen),
    ] {
        app.policy.set(Err(error));
        assert_eq!(code(&app).await, expected);
    }
    app.policy.set(decision(false, None));
    assert_eq!(code(&app).await, ReasonCode::PolicyDenied);
}

#[tokio::test]
async fn what_is_unknown_is_denied_and_recorded() {
    let app = App::start().await;
    for (tenant, tool, expected) in [
        ("unknown", "runbook", ReasonCode::UnknownTenant),
        ("secops", "nothing", ReasonCode::UnknownTool),
    ] {
        let checked = check(&app, crate::support::request(tenant, tool)).await;
        assert_eq!(checked.decision.code, expected);
        let recorded = app.store.decision(checked.decision.id).await.unwrap().unwrap();
        assert_eq!(recorded.code, expected);
        assert_eq!((recorded.tenant.as_str(), recorded.tool.as_str()), (tenant, tool));
    }
}

#[tokio::test]
async fn a_key_of_another_tenant_is_denied_and_leaves_no_trace_there() {
    let app = App::start().await;
    register(&app.services, "support", "crm").await;
    let stranger = key(&app, Role::Agent, Some("support"), None).await;
    for tenant in ["secops", "unknown"] {
        let request = CheckRequest {
            principal: stranger.clone(),
            ..crate::support::request(tenant, "runbook")
        };
        let checked = check(&app, request).await;
        assert_eq!(checked.decision.code, ReasonCode::TenantForbidden, "{tenant}");
        assert_eq!(checked.decision.tenant_id, None);
    }
    let filter = DecisionFilter { tenant_id: Some(app.tool.tool.tenant_id), ..Default::default() };
    let seen = app.store.decisions(filter, Page::first(10)).await.unwrap();
    assert_eq!(seen.items, []);
}

#[tokio::test]
async fn a_key_bound_to_an_agent_cannot_escape_its_kill_by_another_name() {
    let app = App::start().await;
    let bound = key(&app, Role::Agent, Some("secops"), Some("triage")).await;
    let as_agent = |agent: Option<&str>| CheckRequest {
        principal: bound.clone(),
        agent: agent.map(name),
        ..app.request()
    };
    assert!(check(&app, as_agent(None)).await.decision.allow);
    let target = Target::TenantAgent(name("secops"), name("triage"));
    app.services.kills.kill(&ADMIN, &target, name("misbehaves")).await.unwrap();
    assert_eq!(check(&app, as_agent(None)).await.decision.code, ReasonCode::Killed);
    assert_eq!(check(&app, as_agent(Some("triage"))).await.decision.code, ReasonCode::Killed);
    let other = check(&app, as_agent(Some("other"))).await.decision;
    assert_eq!(other.code, ReasonCode::AgentForbidden);
}

#[tokio::test]
async fn each_scope_of_kill_denies_with_its_reason_until_it_is_restored() {
    let app = App::start().await;
    let request = || CheckRequest { agent: Some(name("triage")), ..app.request() };
    for target in [
        Target::Global,
        Target::Tenant(name("secops")),
        Target::Tool(name("secops"), name("runbook")),
        Target::Agent(name("triage")),
        Target::TenantAgent(name("secops"), name("triage")),
    ] {
        app.services.kills.kill(&ADMIN, &target, name("it leaks data")).await.unwrap();
        let denied = check(&app, request()).await.decision;
        assert_eq!(denied.code, ReasonCode::Killed, "{target:?}");
        assert!(denied.reason.contains("it leaks data"), "{}", denied.reason);
        app.services.kills.restore(&ADMIN, &target).await.unwrap();
        assert!(check(&app, request()).await.decision.allow, "{target:?}");
    }
}

#[tokio::test]
async fn a_tenants_kill_covers_tools_registered_later_and_refuses_narrower_restores() {
    let app = App::start().await;
    let tenant = Target::Tenant(name("secops"));
    app.services.kills.kill(&ADMIN, &tenant, name("breach")).await.unwrap();
    register(&app.services, "secops", "later").await;
    let later = check(&app, crate::support::request("secops", "later")).await.decision;
    assert_eq!(later.code, ReasonCode::Killed);
    let tool = Target::Tool(name("secops"), name("later"));
    let refused = app.services.kills.restore(&ADMIN, &tool).await.unwrap_err();
    assert_eq!(refused.code(), "still_killed");
    assert!(refused.to_string().contains("breach"), "{refused}");
}

#[tokio::test]
async fn a_kill_that_comes_while_policy_is_asked_still_denies() {
    let app = Arc::new(App::start().await);
    let held = app.policy.gate.write().await;
    let waiting = tokio::spawn({
        let app = Arc::clone(&app);
        async move { check(&app, app.request()).await.decision.code }
    });
    while app.policy.usage_seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    app.services.kills.kill(&ADMIN, &Target::Global, name("stop")).await.unwrap();
    drop(held);
    assert_eq!(waiting.await.unwrap(), ReasonCode::Killed);
}

#[tokio::test]
async fn a_tool_that_is_retired_while_policy_is_asked_is_denied() {
    let app = Arc::new(App::start().await);
    let held = app.policy.gate.write().await;
    let waiting = tokio::spawn({
        let app = Arc::clone(&app);
        async move { check(&app, app.request()).await.decision.code }
    });
    while app.policy.usage_seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let retire = ToolChange { retire: true, ..NO_CHANGE };
    app.services.registry.update(&ADMIN, app.tool.tool.id, retire).await.unwrap().unwrap();
    drop(held);
    assert_eq!(waiting.await.unwrap(), ReasonCode::ToolRetired);
}

#[tokio::test]
async fn a_key_revoked_while_policy_is_asked_is_denied() {
    let app = Arc::new(App::start().await);
    let agent = key(&app, Role::Agent, Some("secops"), None).await;
    let held_key = Arc::clone(agent.key().unwrap());
    let held = app.policy.gate.write().await;
    let waiting = tokio::spawn({
        let app = Arc::clone(&app);
        let request = CheckRequest { principal: agent, ..app.request() };
        async move { check(&app, request).await.decision.code }
    });
    while app.policy.usage_seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    app.services.keys.revoke(&ADMIN, held_key.id).await.unwrap().unwrap();
    drop(held);
    assert_eq!(waiting.await.unwrap(), ReasonCode::KeyRevoked);
}

#[tokio::test]
async fn a_quota_is_exact_across_windows_and_restarts() {
    let app = App::start().await;
    app.policy.set(decision(true, Some((3, Window::Hours(1)))));
    let mut remaining = Vec::new();
    for _ in 0..2 {
        remaining.push(check(&app, app.request()).await.decision.quota_remaining);
    }
    let app = app.restart().await;
    remaining.push(check(&app, app.request()).await.decision.quota_remaining);
    assert_eq!(remaining, [Some(2), Some(1), Some(0)]);
    assert_eq!(code(&app).await, ReasonCode::QuotaExceeded);
    app.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(code(&app).await, ReasonCode::Allowed);
}

#[tokio::test]
async fn a_clock_that_jumps_back_does_not_refill_a_quota() {
    let app = App::start().await;
    app.policy.set(decision(true, Some((1, Window::Hours(1)))));
    assert_eq!(code(&app).await, ReasonCode::Allowed);
    app.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(code(&app).await, ReasonCode::Allowed);
    app.clock.advance(SignedDuration::from_hours(-1));
    assert_eq!(code(&app).await, ReasonCode::QuotaExceeded);
}

#[tokio::test]
async fn policy_sees_the_larger_of_the_count_and_the_report() {
    let app = App::start().await;
    for reported in [0, 7, 0] {
        check(&app, CheckRequest { usage: reported, ..app.request() }).await;
    }
    assert_eq!(*app.policy.usage_seen.lock().unwrap(), [0, 7, 2]);
}

#[tokio::test]
async fn a_reported_usage_at_the_limit_denies_and_counts_nothing() {
    let app = App::start().await;
    app.policy.set(decision(true, Some((3, Window::DAY))));
    let denied = check(&app, CheckRequest { usage: 3, ..app.request() }).await.decision;
    assert_eq!((denied.code, denied.quota_remaining), (ReasonCode::QuotaExceeded, Some(0)));
    assert_eq!(check(&app, app.request()).await.decision.quota_remaining, Some(2));
}

#[tokio::test]
async fn a_call_id_is_decided_and_counted_once() {
    let app = Arc::new(App::start().await);
    app.policy.set(decision(true, Some((100, Window::DAY))));
    let request = || CheckRequest { call_id: Some(name("call-1")), ..app.request() };
    let checks = (0..32).map(|_| {
        let (app, request) = (Arc::clone(&app), request());
        tokio::spawn(async move { check(&app, request).await.decision.id })
    });
    let mut ids = Vec::new();
    for handle in checks.collect::<Vec<_>>() {
        ids.push(handle.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one decision for one call");
    let next = check(&app, app.request()).await.decision;
    assert_eq!(next.quota_remaining, Some(98), "counted once");

    let other = CheckRequest { arguments: arguments(&json!({"x": 1})), ..request() };
    let refused = app.services.checker.check(other).await.unwrap_err();
    assert_eq!(refused.code(), "call_id_conflict");

    app.clock.advance(SignedDuration::from_hours(25));
    assert_ne!(check(&app, request()).await.decision.id, ids[0], "forgotten after a day");
}

#[tokio::test]
async fn repeating_a_call_id_does_not_outlive_a_kill() {
    let app = App::start().await;
    let request = || CheckRequest { call_id: Some(name("call-1")), ..app.request() };
    let first = check(&app, request()).await.decision;
    app.services.kills.kill(&ADMIN, &Target::Global, name("stop")).await.unwrap();
    let killed = check(&app, request()).await.decision;
    assert_eq!(killed.code, ReasonCode::Killed);
    assert_ne!(killed.id, first.id);
    app.services.kills.restore(&ADMIN, &Target::Global).await.unwrap();
    assert_eq!(check(&app, request()).await.decision.id, first.id);
}

#[tokio::test]
async fn a_permit_is_redeemed_once_in_time_for_its_call_and_not_while_killed() {
    let app = App::start().await;
    let arguments_of = |n: i32| arguments(&json!({ "n": n }));
    let permit = async |n: i32| {
        let request = CheckRequest { arguments: arguments_of(n), ..app.request() };
        app.services.checker.token(&check(&app, request).await.permit.unwrap())
    };
    let redeem = async |token: &str, n: i32| {
        let (tool, arguments) = (app.tool.tool.id, arguments_of(n));
        let redeemed = app.services.redeemer.redeem(&ADMIN, token, tool, &arguments).await;
        redeemed.map_err(|error| error.code())
    };
    let token = permit(1).await;
    assert_eq!(redeem(&token, 2).await.unwrap_err(), "permit_invalid", "other arguments");
    assert!(redeem(&token, 1).await.is_ok());
    assert_eq!(redeem(&token, 1).await.unwrap_err(), "permit_used");

    let mut forged = token.clone().into_bytes();
    forged[20] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(redeem(&forged, 1).await.unwrap_err(), "permit_invalid");

    let late = permit(3).await;
    app.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(redeem(&late, 3).await.unwrap_err(), "permit_invalid", "too late");

    let killed = permit(4).await;
    app.services.kills.kill(&ADMIN, &Target::Global, name("stop")).await.unwrap();
    assert_eq!(redeem(&killed, 4).await.unwrap_err(), "killed");
}

#[tokio::test]
async fn what_is_decided_too_late_is_dropped_uncounted() {
    let app = App::start().await;
    let late = CheckRequest { deadline: Some(std::time::Instant::now()), ..app.request() };
    let refused = app.services.checker.check(late).await.unwrap_err();
    assert_eq!(refused.code(), "deadline_exceeded");
    let first = app.services.checker.check(app.request()).await.unwrap();
    assert_eq!(first.decision.sequence, 1, "nothing was recorded before");
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_not_allowed() {
    let app = App::start_with(Settings { queue: 8, ..Settings::default() }).await;
    let checks = (0..1_000).map(|_| app.services.checker.check(app.request()));
    let results = futures::future::join_all(checks).await;
    let refused = results.iter().filter(|a| matches!(a, Err(ServiceError::Overloaded))).count();
    let allowed = results.iter().filter(|a| a.as_ref().is_ok_and(|c| c.decision.allow)).count();
    assert_eq!(refused + allowed, 1_000);
    assert!(refused > 0, "the queue is bounded");
}

//! Repeats of a call, and permits, on replicas that share a store: neither outlives what allowed
//! it.
use std::sync::Arc;

use crate::support::{ADMIN, App, arguments, decision};
use jiff::SignedDuration;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::decision::ReasonCode;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::quota::Window;
use sentinel_core::tool::ToolChange;
use sentinel_service::keys::KeySpec;
use sentinel_service::kill::Target;
use sentinel_service::policy_data::{DataEdit, DataRequest, Expected};
use sentinel_service::{Services, Settings, Shared};
use sentinel_testkit::build::name;
use serde_json::Value;

const RETIRE: ToolChange = ToolChange {
    url: None,
    owner: None,
    scopes: None,
    metadata: None,
    healthcheck: None,
    retire: true,
};

async fn another(app: &App) -> Services {
    app.replica(Settings::default(), Shared::default()).await
}

async fn key(app: &App) -> Principal {
    let (name, role) = (name("agent"), Role::Agent);
    let spec = KeySpec { name, role, tenant: None, agent: None, owner: None };
    let made = app.services.keys.create(&ADMIN, spec).await.unwrap();
    app.services.keys.authenticate(&made.secret).unwrap()
}

async fn check(services: &Services, request: CheckRequest) -> Arc<DecisionRecord> {
    services.checker.check(request).await.unwrap().decision
}

async fn token(services: &Services, request: CheckRequest) -> String {
    let checked = services.checker.check(request).await.unwrap();
    services.checker.token(&checked.permit.unwrap())
}

async fn redeem(
    services: &Services,
    redeemer: &Principal,
    app: &App,
    token: &str,
) -> Result<(), &'static str> {
    let (tool, none) = (app.tool.tool.id, arguments(&Value::Null));
    let redeemed = services.redeemer.redeem(redeemer, token, tool, &none).await;
    redeemed.map(drop).map_err(|error| error.code())
}

#[tokio::test]
async fn a_stale_replica_repeats_no_allow_that_policy_data_forbids_by_now() {
    let app = App::start().await;
    let stale = another(&app).await;
    let request = || CheckRequest { call_id: Some(name("call-1")), ..app.request() };
    let first = check(&app.services, request()).await;
    assert_eq!(check(&stale, request()).await.id, first.id);
    block(&app).await;
    let denied = check(&stale, request()).await;
    assert_eq!((denied.allow, denied.code), (false, ReasonCode::PolicyDenied));
    assert_eq!(check(&app.services, request()).await.code, ReasonCode::PolicyDenied);
}

async fn block(app: &App) {
    let edit = DataEdit::Put(Value::from(true));
    let path = name("/blocked");
    let put = DataRequest { path, edit, expected: Expected::Anything, reason: None };
    app.services.policy_data.change(&ADMIN, put).await.unwrap();
}

#[tokio::test]
async fn a_stale_replica_repeats_no_allow_of_a_retired_tool() {
    let app = App::start().await;
    let stale = another(&app).await;
    let request = || CheckRequest { call_id: Some(name("call-1")), ..app.request() };
    let permit = token(&app.services, request()).await;
    app.services.registry.update(&ADMIN, app.tool.tool.id, RETIRE).await.unwrap().unwrap();
    assert_eq!(check(&stale, request()).await.code, ReasonCode::ToolRetired);
    let stale = another(&app).await;
    assert_eq!(redeem(&stale, &ADMIN, &app, &permit).await, Err("tool_retired"));
}

/// The only call that a quota lets through is still that call when it is asked for again.
#[tokio::test]
async fn the_last_call_of_a_quota_is_repeated_and_redeemed() {
    let app = App::start().await;
    let stale = another(&app).await;
    for window in [Window::DAY, Window::Hours(1)] {
        app.policy.set_rule(move |input| decision(input.usage < 1, Some((1, window))));
        let call = format!("call-{window}");
        let request = || CheckRequest { call_id: Some(name(&call)), ..app.request() };
        let checked = app.services.checker.check(request()).await.unwrap();
        let permit = app.services.checker.token(&checked.permit.unwrap());
        assert_eq!(check(&app.services, app.request()).await.code, ReasonCode::QuotaExceeded);
        for services in [&*app.services, &stale] {
            assert_eq!(check(services, request()).await.id, checked.decision.id, "{window}");
        }
        assert_eq!(redeem(&stale, &ADMIN, &app, &permit).await, Ok(()), "{window}");
        assert_eq!(redeem(&app.services, &ADMIN, &app, &permit).await, Err("permit_used"));
        assert_eq!(check(&stale, request()).await.code, ReasonCode::CallIdSpent);
    }
    // A condition on the usage of the day, without a quota, lets it through as well.
    app.clock.advance(SignedDuration::from_hours(24));
    app.policy.set_rule(|input| decision(input.usage < 1, None));
    let request = || CheckRequest { call_id: Some(name("call-3")), ..app.request() };
    let first = check(&app.services, request()).await;
    assert!(first.allow);
    assert_eq!(check(&app.services, app.request()).await.code, ReasonCode::PolicyDenied);
    assert_eq!(check(&app.services, request()).await.id, first.id);
}

#[tokio::test]
async fn a_stale_replica_redeems_nothing_that_is_killed_or_revoked_by_now() {
    let app = App::start().await;
    let (owner, gateway) = (key(&app).await, key(&app).await);
    let (owner_key, gateway_key) = (owner.key().unwrap(), gateway.key().unwrap());
    let request = || CheckRequest { principal: owner.clone(), ..app.request() };
    let stale = another(&app).await;
    let [killed, by_revoked, of_revoked] = [
        token(&app.services, request()).await,
        token(&app.services, request()).await,
        token(&app.services, request()).await,
    ];
    let target = Target::Tool(name("secops"), name("runbook"));
    app.services.kills.kill(&ADMIN, &target, name("stop")).await.unwrap();
    assert_eq!(redeem(&stale, &gateway, &app, &killed).await, Err("killed"));
    app.services.kills.restore(&ADMIN, &target).await.unwrap();
    app.services.keys.revoke(&ADMIN, gateway_key.id).await.unwrap().unwrap();
    assert_eq!(redeem(&stale, &gateway, &app, &by_revoked).await, Err("key_revoked"));
    assert_eq!(redeem(&stale, &ADMIN, &app, &by_revoked).await, Ok(()));
    app.services.keys.revoke(&ADMIN, owner_key.id).await.unwrap().unwrap();
    assert_eq!(redeem(&stale, &ADMIN, &app, &of_revoked).await, Err("key_revoked"));
}

#[tokio::test]
async fn a_permit_is_redeemed_on_one_replica_at_most() {
    let app = Arc::new(App::start().await);
    let other = Arc::new(another(&app).await);
    let permit = token(&app.services, app.request()).await;
    let redeeming = (0..16).map(|place| {
        let (app, other, permit) = (Arc::clone(&app), Arc::clone(&other), permit.clone());
        tokio::spawn(async move {
            let services = if place % 2 == 0 { &app.services } else { &other };
            redeem(services, &ADMIN, &app, &permit).await
        })
    });
    let mut done = 0;
    for one in redeeming.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(()) => done += 1,
            Err(code) => assert_eq!(code, "permit_used"),
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test]
async fn a_permit_from_the_future_or_the_past_is_refused() {
    let app = App::start().await;
    let permit = token(&app.services, app.request()).await;
    app.clock.advance(SignedDuration::from_hours(-1));
    assert_eq!(redeem(&app.services, &ADMIN, &app, &permit).await, Err("permit_invalid"));
    app.clock.advance(SignedDuration::from_hours(1) + SignedDuration::from_secs(60));
    assert_eq!(redeem(&app.services, &ADMIN, &app, &permit).await, Err("permit_invalid"));
    // A clock that is a little behind that of the other replica is not a reason.
    app.clock.advance(SignedDuration::from_secs(-70));
    assert_eq!(redeem(&app.services, &ADMIN, &app, &permit).await, Ok(()));
}

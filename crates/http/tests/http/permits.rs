//! Permits over HTTP: whatever would keep a decision from being committed keeps its permit from
//! being redeemed.

use reqwest::Method;
use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::support::{Answer, App, Key, Mode, Wanted};

struct Held {
    permit: Value,
    tool: Value,
}

/// A permit for `acme/search` that `key` got.
async fn permit(app: &App, key: &Key, change: Value) -> Held {
    let tools = app.get(&app.admin, "/v1/tools?tenant=acme").await.ok();
    let allowed = app.check_as(key, change).await.ok();
    assert_eq!(allowed["allow"], true, "{allowed}");
    Held { permit: allowed["permit"].clone(), tool: tools["items"][0]["id"].clone() }
}

async fn redeem(app: &App, key: &Key, held: &Held) -> Answer {
    let body = json!({"permit": held.permit, "tool_id": held.tool});
    app.post(key, "/v1/permits/redeem", &body).await
}

async fn put_data(app: &App) {
    let request = app.request(Method::PUT, "/v1/policy/data/limits");
    app.send(request.bearer_auth(&app.admin.secret).json(&json!({"n": 1}))).await.ok();
}

#[tokio::test]
async fn the_permit_of_a_retired_tool_is_refused() {
    let app = App::seeded().await;
    let held = permit(&app, &app.admin, json!({})).await;
    let path = format!("/v1/tools/{}", held.tool.as_str().unwrap());
    app.send(app.request(Method::DELETE, &path).bearer_auth(&app.admin.secret)).await;
    redeem(&app, &app.admin, &held).await.problem(409, "tool_retired");
}

#[tokio::test]
async fn the_permit_of_a_revoked_key_is_refused() {
    let app = App::seeded().await;
    let agent = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let held = permit(&app, &agent, json!({})).await;
    let path = format!("/v1/keys/{}", agent.id);
    app.send(app.request(Method::DELETE, &path).bearer_auth(&app.admin.secret)).await;
    redeem(&app, &app.admin, &held).await.problem(409, "key_revoked");
}

#[tokio::test]
async fn a_permit_that_policy_would_not_give_any_more_is_refused() {
    let app = App::seeded().await;
    let held = permit(&app, &app.admin, json!({})).await;
    put_data(&app).await;
    app.policy(Mode::Deny);
    redeem(&app, &app.admin, &held).await.problem(409, "policy_denied");
    app.policy(Mode::Error);
    redeem(&app, &app.admin, &held).await.problem(409, "policy_error");
    // What is refused is not used up.
    app.policy(Mode::Allow);
    redeem(&app, &app.admin, &held).await.ok();
    redeem(&app, &app.admin, &held).await.problem(409, "permit_used");
}

#[tokio::test]
async fn the_last_call_of_a_quota_has_a_permit_that_is_good() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(1));
    let held = permit(&app, &app.admin, json!({})).await;
    assert_eq!(app.check(json!({})).await.ok()["code"], "quota_exceeded");
    redeem(&app, &app.admin, &held).await.ok();
}

#[tokio::test]
async fn a_change_that_leaves_the_call_allowed_leaves_its_permit() {
    let app = App::seeded().await;
    let held = permit(&app, &app.admin, json!({})).await;
    put_data(&app).await;
    app.register("acme", "another").await;
    redeem(&app, &app.admin, &held).await.ok();
}

#[tokio::test]
async fn a_key_bound_to_an_agent_redeems_for_no_other() {
    let app = App::seeded().await;
    let bound = |agent| Wanted { agent: Some(agent), ..Wanted::role(Role::Agent).of("acme") };
    let (ann, bob) = (app.key(bound("ann")).await, app.key(bound("bob")).await);
    let held = permit(&app, &ann, json!({})).await;
    redeem(&app, &bob, &held).await.problem(403, "permit_invalid");
    redeem(&app, &ann, &held).await.ok();
}

/// Goes on with the call of a decision.
async fn resume(app: &App, key: &Key, decision: &Value, change: Value) -> Answer {
    let mut body = json!({"decision_id": decision, "tool_name": "search", "action": "invoke"});
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    app.post(key, "/v1/permits/resume", &body).await
}

#[tokio::test]
async fn a_call_goes_on_while_it_would_be_allowed_and_is_counted_once() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(1));
    let agent = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let checked = app.check_as(&agent, json!({"arguments": {"q": 1}})).await.ok();
    let (decision, arguments) = (&checked["decision_id"], json!({"arguments": {"q": 1}}));
    assert_eq!(app.check_as(&agent, json!({})).await.ok()["code"], "quota_exceeded");
    for _ in 0..2 {
        let resumed = resume(&app, &agent, decision, arguments.clone()).await.ok();
        assert_eq!(resumed, json!({"resumed": true, "decision_id": decision}));
    }
    // Only the call that was allowed.
    for other in [
        json!({"arguments": {"q": 2}}),
        json!({}),
        json!({"arguments": {"q": 1}, "action": "delete"}),
        json!({"arguments": {"q": 1}, "tool_name": "ledger"}),
        json!({"arguments": {"q": 1}, "decision_id": uuid::Uuid::nil()}),
    ] {
        resume(&app, &agent, decision, other).await.problem(403, "permit_invalid");
    }
    // Of the caller that it was allowed to.
    let other = app.key(Wanted::role(Role::Agent).of("acme")).await;
    resume(&app, &other, decision, arguments.clone()).await.problem(403, "permit_invalid");
    app.kill(json!({"tenant_slug": "acme", "tool_name": "search", "reason": "drill"})).await.ok();
    resume(&app, &agent, decision, arguments.clone()).await.problem(409, "killed");
    let restore = json!({"tenant_slug": "acme", "tool_name": "search"});
    app.post(&app.admin, "/kill/restore", &restore).await.ok();
    resume(&app, &agent, decision, arguments.clone()).await.ok();
    put_data(&app).await;
    app.policy(Mode::Deny);
    resume(&app, &agent, decision, arguments).await.problem(409, "policy_denied");
    let denied = app.check_as(&agent, json!({})).await.ok();
    resume(&app, &agent, &denied["decision_id"], json!({})).await.problem(403, "permit_invalid");
}

#[tokio::test]
async fn a_kill_counts_the_calls_that_are_made_with_permits_until_they_are_signed() {
    let app = App::seeded().await;
    let agent = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let elsewhere = async |scope: Value| {
        let mut kill = json!({"tenant_slug": "acme", "reason": "drill"});
        let mut restore = json!({"tenant_slug": "acme"});
        for (name, value) in scope.as_object().unwrap() {
            (kill[name], restore[name]) = (value.clone(), value.clone());
        }
        let killed = app.kill(kill).await.ok();
        app.post(&app.admin, "/kill/restore", &restore).await.ok();
        killed["reached"]["calls_elsewhere"].clone()
    };
    let checked = app.check_as(&agent, json!({})).await.ok();
    assert_eq!(elsewhere(json!({})).await, 0, "it has not begun");
    let held = Held { permit: checked["permit"].clone(), tool: checked["tool_id"].clone() };
    redeem(&app, &agent, &held).await.ok();
    assert_eq!(elsewhere(json!({})).await, 1);
    assert_eq!(elsewhere(json!({"tool_name": "search"})).await, 1);
    assert_eq!(elsewhere(json!({"principal": agent.id})).await, 1);
    for other in
        [json!({"agent": "nobody"}), json!({"principal": "nobody"}), json!({"tool_tag": "x"})]
    {
        assert_eq!(elsewhere(other).await, 0);
    }
    let outcome = json!({
        "tenant_slug": "acme", "tool_name": "search", "action": "invoke", "payload": {},
        "decision_id": checked["decision_id"],
    });
    app.post(&agent, "/provenance/sign", &outcome).await.ok();
    assert_eq!(elsewhere(json!({})).await, 0, "its outcome is known");
    // One that goes on is under way again, and a question about it changes nothing.
    resume(&app, &agent, &checked["decision_id"], json!({})).await.ok();
    assert_eq!(elsewhere(json!({})).await, 0);
    resume(&app, &agent, &checked["decision_id"], json!({"round": 1})).await.ok();
    let again = resume(&app, &agent, &checked["decision_id"], json!({"round": 1})).await;
    again.problem(409, "permit_used");
    let endless = resume(&app, &agent, &checked["decision_id"], json!({"round": 101})).await;
    endless.problem(403, "permit_invalid");
    let none = resume(&app, &agent, &checked["decision_id"], json!({"round": 0})).await;
    assert_eq!(none.status, 422);
    assert_eq!(elsewhere(json!({})).await, 1);
}

#[tokio::test]
async fn a_call_without_a_permit_is_on_record_as_a_deny() {
    let app = App::seeded().await;
    let server = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let report = json!({
        "tenant_slug": "acme", "tool_name": "search", "action": "call", "reason": "no_permit",
    });
    let reported = app.post(&server, "/v1/tools/uncovered", &report).await.ok();
    let mut unregistered = report.clone();
    unregistered["tool_name"] = json!("shadow");
    app.post(&server, "/v1/tools/uncovered", &unregistered).await.ok();
    let listed = app.get(&app.admin, "/v1/decisions?code=no_permit").await.ok();
    let items = listed["items"].as_array().unwrap();
    assert_eq!((&items[0]["tool"], &items[1]["tool"]), (&json!("shadow"), &json!("search")));
    assert_eq!(items[1]["id"], reported["decision_id"]);
    assert_eq!(items[1]["decision"], "deny");
    assert_eq!(items[1]["principal"], json!(format!("key:{}", server.id)));
    assert_eq!(
        items[1]["reason"],
        "the tool was called without Sentinel, and its server refused: the call carried no permit"
    );
    // It is not an allow, and takes nothing from a quota.
    let quotas = app.get(&app.admin, "/v1/quotas").await.ok();
    assert!(
        quotas["items"].as_array().unwrap().iter().all(|quota| quota["usage"] == 0),
        "{quotas}"
    );
}

#[tokio::test]
async fn a_report_about_another_tenant_or_of_another_kind_is_refused() {
    let app = App::seeded().await;
    app.register("globex", "search").await;
    let server = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let mut report = json!({
        "tenant_slug": "globex", "tool_name": "search", "action": "call", "reason": "no_permit",
    });
    app.post(&server, "/v1/tools/uncovered", &report).await.problem(403, "tenant_forbidden");
    report["tenant_slug"] = json!("nowhere");
    app.post(&app.admin, "/v1/tools/uncovered", &report).await.problem(404, "unknown_tenant");
    report["reason"] = json!("just so");
    assert_eq!(app.post(&app.admin, "/v1/tools/uncovered", &report).await.status, 422);
    let listed = app.get(&app.admin, "/v1/decisions?code=no_permit").await.ok();
    assert_eq!(listed["items"], json!([]));
}

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

//! A repeated `call_id`: the earlier allow, only as long as the call would be allowed and its
//! permit is good.

use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::support::{App, Mode, Wanted};

#[expect(clippy::needless_pass_by_value, reason = "callers write the change out")]
fn call(change: Value) -> Value {
    let mut call = json!({"call_id": "c-1"});
    for (name, value) in change.as_object().unwrap() {
        call[name] = value.clone();
    }
    call
}

/// A repeat that is denied with this code, by a decision of its own.
async fn denied(app: &App, first: &Value, code: &str) -> Value {
    let again = app.check(call(json!({}))).await.ok();
    assert_eq!((&again["allow"], &again["code"]), (&json!(false), &json!(code)), "{again}");
    assert_ne!(again["decision_id"], first["decision_id"]);
    assert!(again.get("permit").is_none());
    again
}

#[tokio::test]
async fn an_allow_is_not_repeated_once_policy_denies() {
    let app = App::seeded().await;
    let first = app.check(call(json!({}))).await.ok();
    for (mode, code) in [
        (Mode::Deny, "policy_denied"),
        (Mode::Error, "policy_error"),
        (Mode::None, "no_policy"),
        (Mode::Quota(0), "quota_exceeded"),
    ] {
        app.policy(mode);
        denied(&app, &first, code).await;
    }
    // It may be repeated again once policy allows it again.
    app.policy(Mode::Allow);
    assert_eq!(app.check(call(json!({}))).await.ok(), first);
}

#[tokio::test]
async fn an_allow_is_not_repeated_once_its_permit_was_used() {
    let app = App::seeded().await;
    let tools = app.get(&app.admin, "/v1/tools?tenant=acme").await.ok();
    let first = app.check(call(json!({}))).await.ok();
    let body = json!({"permit": first["permit"], "tool_id": tools["items"][0]["id"]});
    app.post(&app.admin, "/v1/permits/redeem", &body).await.ok();
    for _ in 0..2 {
        let again = denied(&app, &first, "call_id_spent").await;
        let reason = again["reason"].as_str().unwrap();
        assert!(reason.contains("another `call_id`"), "{reason}");
    }
    // The deny has left the claim alone: it is the same call still.
    app.check(call(json!({"arguments": {"n": 1}}))).await.problem(409, "call_id_conflict");
}

#[tokio::test]
async fn an_allow_keeps_its_place_in_a_quota_that_others_use_up() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(2));
    let first = app.check(call(json!({}))).await.ok();
    assert_eq!(app.check(json!({})).await.ok()["allow"], true);
    assert_eq!(app.check(json!({})).await.ok()["code"], "quota_exceeded");
    assert_eq!(app.check(call(json!({}))).await.ok(), first, "it was counted already");
    // The second in a quota that leaves room for one by now.
    let second = app.check(json!({"call_id": "c-2"})).await.ok();
    assert_eq!(second["code"], "quota_exceeded");
    app.policy(Mode::Quota(1));
    assert_eq!(app.check(call(json!({}))).await.ok(), first, "its place is the first");
    app.policy(Mode::Quota(0));
    denied(&app, &first, "quota_exceeded").await;
}

#[tokio::test]
async fn an_allow_beyond_a_lowered_quota_is_not_repeated() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(3));
    app.check(json!({})).await.ok();
    app.check(json!({})).await.ok();
    let third = app.check(call(json!({}))).await.ok();
    assert_eq!(third["quota_remaining"], 0);
    assert_eq!(app.check(call(json!({}))).await.ok(), third);
    app.policy(Mode::Quota(2));
    denied(&app, &third, "quota_exceeded").await;
}

#[tokio::test]
async fn context_and_usage_are_part_of_the_call() {
    let app = App::seeded().await;
    let context = json!({"n": 1, "f": 1.5, "large": 1e30, "text": "é", "list": [1, {"a": null}]});
    let first = app.check(call(json!({"context": context, "usage": 3}))).await.ok();
    for other in [
        json!({"context": {"n": 2}, "usage": 3}),
        json!({"usage": 3}),
        json!({"context": context, "usage": 4}),
        json!({"context": context}),
        json!({}),
    ] {
        app.check(call(other)).await.problem(409, "call_id_conflict");
    }
    // The same context, written otherwise.
    let body = r#"{"tenant_slug":"acme","tool_name":"search","action":"invoke","usage":3,
        "call_id":"c-1","context":{"list":[1,{"a":null}],"text":"é","large":1e30,"f":1.50,"n":1}}"#;
    assert_eq!(app.post_raw(&app.admin, "/policy/check", body).await.ok(), first);
}

#[tokio::test]
async fn agents_of_one_key_do_not_share_call_ids() {
    let app = App::seeded().await;
    let key = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let mut decisions = Vec::new();
    for agent in [None, Some("ann"), Some("Ann"), Some("bob")] {
        let mut body = call(json!({"arguments": {"agent": agent}}));
        if let Some(agent) = agent {
            body["agent"] = json!(agent);
        }
        let first = app.check_as(&key, body.clone()).await.ok();
        assert_eq!(app.check_as(&key, body).await.ok(), first, "{agent:?}");
        decisions.push(first["decision_id"].to_string());
    }
    decisions.sort();
    decisions.dedup();
    assert_eq!(decisions.len(), 4);
}

#[tokio::test]
async fn spellings_of_one_window_are_one_quota() {
    let app = App::seeded().await;
    let mut allowed = 0;
    for window in ["1d", "24h", "1440m", "1d", "24h", "1440m"] {
        app.policy(Mode::QuotaPer(5, window));
        for _ in 0..5 {
            allowed += usize::from(app.check(json!({})).await.ok()["allow"] == true);
        }
    }
    assert_eq!(allowed, 5);
    let quotas = app.get(&app.admin, "/v1/quotas").await.ok();
    assert_eq!(quotas["items"].as_array().unwrap().len(), 1, "{quotas}");
    assert_eq!(
        (&quotas["items"][0]["window"], &quotas["items"][0]["usage"]),
        (&json!("1d"), &json!(5))
    );
}

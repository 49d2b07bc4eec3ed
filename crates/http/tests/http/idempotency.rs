//! `call_id` over HTTP: one call, one decision, counted once.

use std::collections::HashSet;

use serde_json::json;

use crate::support::{App, Mode, Wanted};
use sentinel_core::principal::Role;

#[tokio::test]
async fn a_repeated_call_gets_the_same_decision() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(5));
    let call = json!({"call_id": "c-1", "arguments": {"a": 1, "b": 2}, "purpose": "docs"});
    let first = app.check(call.clone()).await.ok();
    let second = app.check(call).await.ok();
    assert_eq!(first, second);
    // The arguments are the same however they are written.
    let body = r#"{"tenant_slug":"acme","tool_name":"search","action":"invoke","purpose":"docs",
        "call_id":"c-1","arguments":{ "b":2, "a":1 }}"#;
    let third = app.post_raw(&app.admin, "/policy/check", body).await.ok();
    assert_eq!(first["decision_id"], third["decision_id"]);
    let quotas = app.get(&app.admin, "/v1/quotas").await.ok();
    assert_eq!(quotas["items"][0]["usage"], 1, "{quotas}");
}

#[tokio::test]
async fn another_call_under_the_same_id_is_a_conflict() {
    let app = App::seeded().await;
    app.check(json!({"call_id": "c-1", "arguments": {"amount": 1}})).await.ok();
    for other in [
        json!({"arguments": {"amount": 1000}}),
        json!({"arguments": {"amount": 1}, "action": "delete"}),
        json!({"arguments": {"amount": 1}, "purpose": "another"}),
    ] {
        let mut call = other.clone();
        call["call_id"] = json!("c-1");
        let problem = app.check(call).await.problem(409, "call_id_conflict");
        assert_eq!(problem["allow"], false, "{other}");
    }
}

#[tokio::test]
async fn callers_do_not_share_call_ids() {
    let app = App::seeded().await;
    let key = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let first = app.check(json!({"call_id": "c-1"})).await.ok();
    let second = app.check_as(&key, json!({"call_id": "c-1"})).await.ok();
    assert_ne!(first["decision_id"], second["decision_id"]);
}

#[tokio::test]
async fn a_kill_beats_a_repeated_call() {
    let app = App::seeded().await;
    let allowed = app.check(json!({"call_id": "c-1"})).await.ok();
    assert_eq!(allowed["allow"], true);
    app.kill(json!({"scope": "global", "reason": "drill"})).await.ok();
    let denied = app.check(json!({"call_id": "c-1"})).await.ok();
    assert_eq!((&denied["allow"], &denied["code"]), (&json!(false), &json!("killed")));
    assert!(denied.get("permit").is_none());
}

#[tokio::test]
async fn concurrent_repetitions_are_one_call() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(10));
    let calls = (0..64).map(|n| {
        let app = &app;
        async move { app.check(json!({"call_id": format!("c-{}", n % 4)})).await.ok() }
    });
    let results = futures::future::join_all(calls).await;
    assert!(results.iter().all(|result| result["allow"] == true));
    let decisions: HashSet<_> =
        results.iter().map(|result| result["decision_id"].to_string()).collect();
    assert_eq!(decisions.len(), 4);
    let quotas = app.get(&app.admin, "/v1/quotas").await.ok();
    assert_eq!(quotas["items"][0]["usage"], 4, "{quotas}");
    assert_eq!(quotas["items"][0]["remaining"], 6, "{quotas}");
}

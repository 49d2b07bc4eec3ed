//! `call_id` over HTTP: one call, one decision, counted once. `idempotency_key`: one outcome, one
//! manifest.

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

/// The outcome of a decision, as a caller signs it.
fn outcome(decision: &serde_json::Value, key: &str) -> serde_json::Value {
    json!({"payload": {"outcome": "succeeded"}, "decision_id": decision["decision_id"],
        "idempotency_key": key})
}

#[tokio::test]
async fn an_outcome_is_signed_once_under_one_key() {
    let app = App::seeded().await;
    let decision = app.check(json!({})).await.ok();
    let first = app.sign(outcome(&decision, "o-1")).await.ok();
    assert_eq!(app.sign(outcome(&decision, "o-1")).await.ok(), first);
    let other = app.sign(outcome(&decision, "o-2")).await.ok();
    assert_ne!(other["manifest_id"], first["manifest_id"]);
    let verify = format!("/provenance/verify/{}", first["manifest_id"].as_str().unwrap());
    assert_eq!(app.get(&app.admin, &verify).await.ok()["verified"], true);
    let mut changed = outcome(&decision, "o-1");
    changed["payload"] = json!({"outcome": "failed"});
    app.sign(changed).await.problem(409, "idempotency_conflict");
    let mut undecided = outcome(&decision, "o-1");
    undecided.as_object_mut().unwrap().remove("decision_id");
    app.sign(undecided).await.problem(422, "decision_id_missing");
}

#[tokio::test]
async fn callers_do_not_share_idempotency_keys() {
    let app = App::seeded().await;
    let key = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let decisions = [app.check(json!({})).await.ok(), app.check_as(&key, json!({})).await.ok()];
    let first = app.sign(outcome(&decisions[0], "o-1")).await.ok();
    let second = app.sign_as(&key, outcome(&decisions[1], "o-1")).await.ok();
    assert_ne!(first["manifest_id"], second["manifest_id"]);
    // The decision of another caller stays the other caller's.
    app.sign_as(&key, outcome(&decisions[0], "o-1")).await.problem(409, "decision_mismatch");
}

#[tokio::test]
async fn an_outcome_that_is_sent_many_times_at_once_is_stored_once() {
    let app = App::seeded().await;
    let decision = app.check(json!({})).await.ok();
    let same = (0..32).map(|_| app.sign(outcome(&decision, "o-1")));
    let others = (0..32).map(|n| app.sign(outcome(&decision, &format!("other-{n}"))));
    let (same, others) =
        tokio::join!(futures::future::join_all(same), futures::future::join_all(others));
    let id = |answer: crate::support::Answer| answer.ok()["manifest_id"].to_string();
    assert_eq!(same.into_iter().map(id).collect::<HashSet<_>>().len(), 1);
    assert_eq!(others.into_iter().map(id).collect::<HashSet<_>>().len(), 32);
}

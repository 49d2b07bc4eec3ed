//! Errors carry a code and the request's identifier, leak nothing, and never allow.

use reqwest::Method;
use serde_json::json;

use crate::support::{App, Mode};

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let app = App::start().await;
    app.get(&app.admin, "/nowhere").await.problem(404, "unknown_route");
    app.get(&app.admin, "/v1/tools/").await.problem(404, "unknown_route");
    app.get(&app.admin, "/docs/../../etc/passwd").await.problem(404, "unknown_route");
    app.get(&app.admin, "/docs/index.html").await.problem(404, "unknown_file");
    let answer = app.get(&app.admin, "/policy/check").await;
    assert_eq!(answer.problem(405, "method_not_allowed")["allow"], false);
    assert_eq!(answer.header("allow"), "POST");
    app.send(app.request(Method::DELETE, "/register")).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_request_keeps_its_identifier() {
    let app = App::seeded().await;
    let post = |id: &str| {
        app.request(Method::POST, "/policy/check")
            .bearer_auth(&app.admin.secret)
            .header("x-request-id", id)
            .json(&json!({"tenant_slug": "acme", "tool_name": "search", "action": "invoke"}))
    };
    let answer = app.send(post("trace-0123456789")).await;
    assert_eq!(answer.header("x-request-id"), "trace-0123456789");
    let path = format!("/v1/decisions/{}", answer.ok()["decision_id"].as_str().unwrap());
    let decision = app.get(&app.admin, &path).await.ok();
    assert_eq!(decision["event_metadata"]["request_id"], "trace-0123456789");

    let long = "x".repeat(65);
    for id in ["two words", long.as_str(), ""] {
        let answer = app.send(post(id)).await;
        assert!(answer.header("x-request-id").parse::<uuid::Uuid>().is_ok(), "{answer:?}");
    }
    let missing = app.request(Method::GET, "/nowhere").header("x-request-id", "trace-2");
    assert_eq!(app.send(missing).await.problem(404, "unknown_route")["request_id"], "trace-2");
}

#[tokio::test]
async fn responses_are_not_cached_or_guessed_at() {
    let app = App::seeded().await;
    for path in ["/v1/tools", "/nowhere", "/healthz"] {
        let answer = app.get(&app.admin, path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
}

/// What is committed holds: who is told that nothing was done would do it again, or believe that a
/// kill is still in force.
#[tokio::test]
async fn a_change_that_is_committed_is_not_answered_as_a_failure() {
    let app = App::seeded().await;
    let agent = json!({"agent": "alice", "reason": "test"});
    app.kill(agent.clone()).await.ok();
    app.make_store_unreadable(true);
    let restored = app.post(&app.admin, "/kill/restore", &json!({"agent": "alice"})).await.ok();
    assert_eq!(restored["kills"].as_array().unwrap().len(), 1);
    let registered = app.register("brand-new", "search").await;
    assert_eq!(registered["tenant_slug"], "brand-new");
    let made = app.post(&app.admin, "/v1/keys", &json!({"name": "ci", "role": "agent"})).await;
    assert_eq!(made.status, 201);
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let killed = app.kill(agent).await.ok();
    assert_eq!(killed["status"], "disabled");
    app.make_store_unreadable(false);
    let key = crate::support::Key { id: made.json()["id"].to_string(), secret };
    // A commit reads the epoch, and catches up.
    assert_eq!(app.check(json!({"agent": "alice"})).await.ok()["code"], "killed");
    assert_eq!(app.check_as(&key, json!({"agent": "bob"})).await.ok()["allow"], true);
}

#[tokio::test]
async fn a_store_that_fails_denies_and_shows_nothing_of_itself() {
    let app = App::seeded().await;
    let nil = uuid::Uuid::nil();
    app.break_store(true);
    let answer = app.check(json!({})).await;
    assert_eq!(answer.problem(503, "store_unavailable")["allow"], false);
    let mut responses = vec![answer];
    let target = json!({"tenant_slug": "acme", "tool_name": "search", "reason": "drill"});
    responses.push(app.kill(target).await);
    responses.push(app.sign(json!({})).await);
    for path in [
        "/register".to_owned(),
        "/register/tenants".to_owned(),
        "/v1/decisions".to_owned(),
        "/v1/decisions/export".to_owned(),
        "/v1/quotas".to_owned(),
        "/v1/kills".to_owned(),
        "/v1/keys".to_owned(),
        "/v1/events".to_owned(),
        format!("/provenance/verify/{nil}"),
        format!("/v1/manifests/{nil}/bundle"),
    ] {
        responses.push(app.get(&app.admin, &path).await);
    }
    for answer in &responses {
        answer.problem(503, "store_unavailable");
        for secret in ["/var", "disk", "db.internal", "sqlite", "state.db"] {
            assert!(!answer.text.contains(secret), "{answer:?}");
        }
    }
    app.break_store(false);
    assert_eq!(app.check(json!({})).await.ok()["allow"], true);
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_server_lives_on() {
    let app = App::seeded().await;
    app.policy(Mode::Panic);
    let answer = app.check(json!({})).await;
    assert_eq!(answer.problem(500, "internal_error")["allow"], false);
    assert!(!answer.text.contains("secret internals"), "{answer:?}");
    app.policy(Mode::Allow);
    assert_eq!(app.check(json!({})).await.ok()["allow"], true);
}

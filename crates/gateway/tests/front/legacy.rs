//! Sessions: how they begin, whom they serve, and how they end.

use reqwest::Method;
use sentinel_core::principal::Role;
use serde_json::json;

use crate::support::App;
use crate::support::http::{call, request};

#[tokio::test]
async fn a_session_serves_calls_under_names_with_the_upstream_or_without() {
    let app = App::start().await;
    let key = app.agent().await;
    let client = app.client(&key).initialized(json!({})).await;
    let listed = client.post(&request(2, "tools/list", json!({}))).await;
    assert_eq!(listed.headers["content-type"], "application/json");
    let names: Vec<_> = listed.body["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert!(names.contains(&&json!("files__echo")), "{names:?}");
    assert!(!names.contains(&&json!("files__forbidden")), "policy hides it: {names:?}");
    for member in ["resultType", "ttlMs", "cacheScope"] {
        assert!(listed.body["result"].get(member).is_none(), "{member} is not of this revision");
    }
    let called = client.call(3, "echo", json!({"a": 1})).await;
    assert_eq!(called.text(), r#"{"a":1}"#, "{}", called.body);
    assert!(called.body["result"].get("resultType").is_none());

    let single = app.client(&key).at(&app, "/mcp/acme/files").initialized(json!({})).await;
    let body = request(2, "tools/call", json!({"name": "echo", "arguments": {"b": 2}}));
    assert_eq!(single.post(&body).await.text(), r#"{"b":2}"#);
}

#[tokio::test]
async fn each_legacy_revision_is_spoken_and_others_get_the_newest() {
    let app = App::start().await;
    let key = app.agent().await;
    for version in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        let client = app.client(&key).initialized_as(version, json!({})).await;
        assert_eq!(client.post(&request(2, "ping", json!({}))).await.status, 200, "{version}");
    }
    let params = json!({"protocolVersion": "1999-01-01", "capabilities": {}, "clientInfo": {}});
    let answer = app.client(&key).post(&request(1, "initialize", params)).await;
    assert_eq!(answer.body["result"]["protocolVersion"], "2025-11-25");
    for params in [json!({}), json!({"protocolVersion": 1, "capabilities": {}, "clientInfo": {}})] {
        let answer = app.client(&key).post(&request(1, "initialize", params)).await;
        assert_eq!((answer.code(), &answer.body["id"]), (-32602, &json!(1)));
        assert!(!answer.headers.contains_key("mcp-session-id"));
    }
}

#[tokio::test]
async fn a_client_that_repeats_the_method_in_a_header_has_sessions_all_the_same() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).with("mcp-protocol-version", "2025-11-25");
    let client = client.with("mcp-method", "initialize").initialized(json!({})).await;
    let client = client.with("mcp-method", "ping");
    assert_eq!(client.post(&request(2, "ping", json!({}))).await.status, 200);
}

#[tokio::test]
async fn the_version_header_is_that_of_the_session() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized_as("2025-06-18", json!({})).await;
    let ping = request(2, "ping", json!({}));
    assert_eq!(client.clone().without("mcp-protocol-version").post(&ping).await.status, 200);
    for version in ["2025-11-25", "1999-01-01", "nonsense"] {
        let answer = client.clone().with("mcp-protocol-version", version).post(&ping).await;
        assert_eq!(
            (answer.status.as_u16(), answer.refused()),
            (400, "protocol_version"),
            "{version}"
        );
    }
}

#[tokio::test]
async fn a_session_serves_its_own_client_and_no_other() {
    let app = App::start().await;
    let (key, stranger) = (app.agent().await, app.agent().await);
    let client = app.client(&key).initialized(json!({})).await;
    let ping = request(2, "ping", json!({}));
    let as_other = |key| client.clone().with("authorization", &format!("Bearer {key}"));
    let foreign = [
        ("another key", as_other(&stranger.0)),
        ("another agent", client.clone().with("x-sentinel-agent", "someone")),
        ("another endpoint", client.clone().at(&app, "/mcp/acme/files")),
        (
            "no session of ours",
            client.clone().with("mcp-session-id", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ),
        ("not even an id", client.clone().with("mcp-session-id", "<script>")),
    ];
    for (what, client) in foreign {
        for method in [Method::GET, Method::DELETE] {
            assert_eq!(client.send(method.clone()).await.status, 404, "{what} {method}");
        }
        let answer = client.post(&ping).await;
        assert_eq!((answer.status.as_u16(), answer.refused()), (404, "unknown_session"), "{what}");
        assert_eq!(answer.body["id"], 2, "{what}");
        let notified = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(client.post(&notified).await.status, 404, "{what}");
    }
    assert_eq!(client.post(&ping).await.status, 200, "the session itself is untouched");
    let everywhere = app.key(Role::Agent, None, None).await;
    let elsewhere = as_other(&everywhere.0).at(&app, "/mcp/other");
    assert_eq!(elsewhere.post(&ping).await.status, 404, "another tenant");
}

#[tokio::test]
async fn without_a_session_nothing_is_served() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let answer = client.call(1, "echo", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.refused()), (400, "session_required"));
    for method in [Method::GET, Method::DELETE] {
        let answer = client.send(method.clone()).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn a_terminated_session_is_gone_for_good() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let mut stream = client.listen(None).await;
    let pending = tokio::spawn({
        let client = client.clone();
        async move { client.call(5, "slow", json!({})).await }
    });
    app.begun(1).await;
    assert_eq!(client.send(Method::DELETE).await.status, 204);
    app.cancelled(1).await;
    pending.await.unwrap();
    while stream.next_raw().await.is_some() {}
    assert_eq!(client.send(Method::DELETE).await.status, 404);
    assert_eq!(client.post(&request(6, "ping", json!({}))).await.status, 404);
}

#[tokio::test]
async fn any_replica_goes_on_with_a_session() {
    let app = App::start().await;
    let key = app.agent().await;
    let client = app.client(&key).initialized(json!({"roots": {}})).await;
    let replica = app.replica().await;
    let there = client.clone().at(&replica, "/mcp/acme");
    assert_eq!(there.call(2, "echo", json!({"x": 1})).await.text(), r#"{"x":1}"#);
    let stranger = app.agent().await;
    let foreign = there.with("authorization", &format!("Bearer {}", stranger.0));
    assert_eq!(foreign.post(&request(3, "ping", json!({}))).await.status, 404);
    assert_eq!(client.call(4, "echo", json!({})).await.status, 200, "the first goes on, too");
}

#[tokio::test]
async fn one_id_is_one_request() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.call(5, "slow", json!({})).await }
    });
    app.begun(1).await;
    let again = client.call(5, "echo", json!({})).await;
    assert_eq!((again.status.as_u16(), again.refused()), (400, "duplicate_id"));
    app.server.release.notify_one();
    slow.await.unwrap();
    assert_eq!(client.call(5, "echo", json!({})).await.status, 200, "the id is free again");
}

#[tokio::test]
async fn a_cancelled_request_is_cancelled_upstream() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.call(5, "slow", json!({})).await }
    });
    app.begun(1).await;
    let cancelled = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5},
    });
    assert_eq!(client.post(&cancelled).await.status, 202);
    app.cancelled(1).await;
    slow.await.unwrap();
}

#[tokio::test]
async fn a_denied_call_is_a_result_and_the_session_goes_on() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let denied = client.call(2, "forbidden", json!({})).await;
    assert_eq!(denied.status, 200);
    assert!(denied.is_error(), "{}", denied.body);
    assert!(denied.body["result"].get("structuredContent").is_none());
    assert_eq!(client.call(3, "echo", json!({})).await.text(), "{}");
    let unknown = client.post(&request(4, "no/such", json!({}))).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (200, -32601), "a 404 ends sessions");
    let failed = client.post(&call(5, "fail", json!({}))).await;
    assert_eq!(failed.status, 200);
}

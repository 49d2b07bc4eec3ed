//! How sessions and streams end: answers come first.

use std::time::{Duration, Instant};

use reqwest::Method;
use sentinel_core::principal::Principal;
use sentinel_service::kill::Target;
use serde_json::json;

use crate::modern::{addressed, modern};
use crate::support::App;
use crate::support::http::{call, request};

#[tokio::test]
async fn a_kill_answers_what_is_under_way_and_then_ends_the_session() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let mut general = client.listen(None).await;
    let pending = client.stream(&call(2, "slow", json!({}))).await;
    let modern_key = app.agent().await;
    let body = modern(3, "tools/call", json!({"name": "files__slow", "arguments": {}}));
    let modern_pending = addressed(&app.client(&modern_key), &body).stream(&body).await;
    let body = modern(4, "subscriptions/listen", json!({"notifications": {}}));
    let listening = addressed(&app.client(&modern_key), &body).stream(&body).await;
    app.begun(2).await;
    let target = Target::Tenant("acme".parse().unwrap());
    let killed = Instant::now();
    app.services.kills.kill(&Principal::LOCAL, &target, "stop".parse().unwrap()).await.unwrap();
    for (what, stream) in [("legacy", pending), ("modern", modern_pending)] {
        let rest = stream.rest().await;
        let last = rest.last().unwrap_or_else(|| panic!("{what}: it just ended"));
        assert_eq!(last["result"]["isError"], true, "{what}: {last}");
    }
    // The issue states 100 ms for the call; this is a bound for a busy machine.
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
    let rest = listening.rest().await;
    assert_eq!(rest.last().unwrap()["id"], 4, "the subscription ends with a response");
    while general.next_raw().await.is_some() {}
    let answer = client.post(&request(5, "ping", json!({}))).await;
    assert_eq!(answer.status, 404, "the session is over");
    // A new one is possible; its calls are denied.
    let again = app.client(&modern_key).initialized(json!({})).await;
    assert!(again.call(6, "echo", json!({})).await.is_error());
}

#[tokio::test]
async fn a_revoked_key_ends_its_sessions() {
    let app = App::start().await;
    let key = app.agent().await;
    let client = app.client(&key).initialized(json!({})).await;
    let mut general = client.listen(None).await;
    general.next_raw().await.unwrap();
    let id = app.services.keys.authenticate(&key.0).unwrap().key().unwrap().id;
    app.services.keys.revoke(&Principal::LOCAL, id).await.unwrap();
    while general.next_raw().await.is_some() {}
    assert_eq!(client.send(Method::DELETE).await.status, 401);
}

#[tokio::test]
async fn a_server_that_stops_answers_first() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let mut general = client.listen(None).await;
    let done = client.stream(&call(2, "slow", json!({}))).await;
    let cut = client.stream(&call(3, "slow", json!({}))).await;
    app.begun(2).await;
    app.stop.send(true).unwrap();
    while general.next_raw().await.is_some() {}
    // One gets its own answer in the time that is left, the other is told that it did not.
    app.server.release.notify_one();
    let mut texts = Vec::new();
    for stream in [done, cut] {
        let rest = stream.rest().await;
        let response = rest.last().expect("a stream that just ends makes clients repeat the call");
        texts.push(response["result"]["content"][0]["text"].as_str().unwrap().to_owned());
    }
    assert!(texts.iter().any(|text| text == "slow but done"), "{texts:?}");
    assert!(texts.iter().any(|text| text != "slow but done"), "{texts:?}");
    app.cancelled(1).await;
}

#[tokio::test]
async fn live_sessions_see_new_policy_at_once() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    assert!(!client.call(2, "echo", json!({})).await.is_error());
    app.deny();
    assert!(client.call(3, "echo", json!({})).await.is_error());
}

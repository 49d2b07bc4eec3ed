//! Streams: what travels along with a response, and how a client resumes.

use std::time::Duration;

use serde_json::json;

use crate::support::App;
use crate::support::app::settings;
use crate::support::http::{call, request};

fn chatty(id: u64, meta: serde_json::Value) -> serde_json::Value {
    let params = json!({"name": "files__chatty", "arguments": {}, "_meta": meta});
    request(id, "tools/call", params)
}

#[tokio::test]
async fn progress_comes_under_the_token_of_the_client_before_the_response() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let stream = client.stream(&chatty(2, json!({"progressToken": "mine"}))).await;
    let messages = stream.rest().await;
    let progress: Vec<_> =
        messages.iter().filter(|message| message["method"] == "notifications/progress").collect();
    assert_eq!(progress.len(), 3, "{messages:?}");
    for (step, message) in progress.iter().enumerate() {
        assert_eq!(message["params"]["progressToken"], "mine");
        assert_eq!(message["params"]["progress"], step + 1);
    }
    assert_eq!(messages.last().unwrap()["id"], 2, "the response is last, and ends the stream");
}

#[tokio::test]
async fn a_client_hears_of_the_log_what_it_wants() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let level = |level| request(9, "logging/setLevel", json!({"level": level}));
    assert_eq!(client.post(&level("error")).await.status, 200);
    let quiet = client.post(&chatty(2, json!({}))).await;
    assert_eq!(quiet.headers["content-type"], "application/json", "nothing came before it");
    assert_eq!(client.post(&level("debug")).await.status, 200);
    let messages = client.stream(&chatty(3, json!({}))).await.rest().await;
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert_eq!(messages[0]["method"], "notifications/message");
}

#[tokio::test]
async fn the_level_of_one_session_is_not_that_of_another() {
    let app = App::start().await;
    let key = app.agent().await;
    let level = |level| request(9, "logging/setLevel", json!({"level": level}));
    let loud = app.client(&key).initialized(json!({})).await;
    assert_eq!(loud.post(&level("debug")).await.status, 200);
    let quiet = app.client(&key).initialized(json!({})).await;
    assert_eq!(quiet.post(&level("error")).await.status, 200);
    let messages = loud.stream(&chatty(2, json!({}))).await.rest().await;
    assert_eq!(messages.len(), 4, "{messages:?}");
    let silent = quiet.post(&chatty(2, json!({}))).await;
    assert_eq!(silent.headers["content-type"], "application/json", "nothing came before it");
}

#[tokio::test]
async fn a_stream_is_resumed_by_its_own_client_only() {
    let app = App::start().await;
    let key = app.agent().await;
    let client = app.client(&key).initialized(json!({})).await;
    let mut stream = client.stream(&call(2, "slow", json!({}))).await;
    let primer = stream.next_raw().await.unwrap();
    assert_eq!((primer.data.as_deref(), primer.retry.as_deref()), (Some(""), Some("1000")));
    let last = primer.id.unwrap();
    drop(stream);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(app.server.cancelled.load(std::sync::atomic::Ordering::SeqCst), 0);
    app.server.release.notify_one();

    let stranger = app.client(&app.agent().await).initialized(json!({})).await;
    let stolen = stranger.clone().with("last-event-id", &last).send(reqwest::Method::GET).await;
    assert_eq!((stolen.status.as_u16(), stolen.refused()), (400, "unknown_event"));
    let other = app.client(&key).initialized(json!({})).await;
    let stolen = other.with("last-event-id", &last).send(reqwest::Method::GET).await;
    assert_eq!(stolen.status, 400, "another session of the same key");

    let mut resumed = client.listen(Some(&last)).await;
    let response = resumed.next().await.unwrap();
    assert_eq!(response.json()["result"]["content"][0]["text"], "slow but done");
    assert!(resumed.next().await.is_none(), "the response ends the stream");
    let again = client.listen(Some(&last)).await.rest().await;
    assert_eq!(again.len(), 1, "it is kept for a while");
    let after = client.listen(response.id.as_deref()).await.rest().await;
    assert!(after.is_empty(), "nothing is sent twice: {after:?}");
    for id in ["nonsense", "ff-1", "-", "1-zz"] {
        let answer = client.clone().with("last-event-id", id).send(reqwest::Method::GET).await;
        assert_eq!(answer.status, 400, "{id}");
    }
}

#[tokio::test]
async fn an_event_of_another_replica_resumes_no_other_request() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let mut stream = client.stream(&call(2, "slow", json!({}))).await;
    let last = stream.next_raw().await.unwrap().id.unwrap();
    let replica = app.replica().await;
    let there = client.clone().at(&replica, "/mcp/acme");
    let other = there.stream(&call(3, "slow", json!({}))).await;
    let refused = there.clone().with("last-event-id", &last).send(reqwest::Method::GET).await;
    assert_eq!((refused.status.as_u16(), refused.refused()), (400, "unknown_event"));
    app.server.release.notify_one();
    app.server.release.notify_one();
    assert_eq!(other.rest().await.len(), 1, "the other request keeps its stream");
}

#[tokio::test]
async fn clients_before_2025_11_25_get_no_empty_event() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized_as("2025-06-18", json!({})).await;
    let mut stream = client.stream(&call(2, "slow", json!({}))).await;
    app.begun(1).await;
    app.server.release.notify_one();
    loop {
        let event = stream.next_raw().await.expect("no response");
        if event.comment {
            continue;
        }
        assert!(event.data.is_some_and(|data| !data.is_empty()));
        assert!(event.id.is_some(), "it can be resumed all the same");
        break;
    }
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_lives() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    for mut stream in [client.listen(None).await, client.stream(&call(2, "slow", json!({}))).await]
    {
        while !stream.next_raw().await.unwrap().comment {}
    }
}

#[tokio::test]
async fn changes_are_told_on_the_stream_of_the_session() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    client.post(&request(2, "tools/list", json!({}))).await;
    let mut stream = client.listen(None).await;
    stream.next_raw().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    app.server.add_tool("another");
    let event = stream.next().await.unwrap();
    assert_eq!(event.json()["method"], "notifications/tools/list_changed");
    let listed = client.post(&request(3, "tools/list", json!({}))).await;
    assert!(listed.body.to_string().contains("files__another"));
    // An upstream that is added is there without a new session.
    app.add_upstream("mail").await;
    while stream.message().await["method"] != "notifications/tools/list_changed" {}
    let listed = client.post(&request(4, "tools/list", json!({}))).await;
    assert!(listed.body.to_string().contains("mail__echo"));
}

#[tokio::test]
async fn a_second_stream_takes_the_place_of_the_first() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let mut first = client.listen(None).await;
    first.next_raw().await.unwrap();
    let _second = client.listen(None).await;
    while first.next_raw().await.is_some() {}
}

#[tokio::test]
async fn a_request_that_is_long_in_coming_is_no_reason_to_wait_without_a_word() {
    let patience = Duration::from_millis(50);
    let app = App::with(sentinel_gateway::front::http::Settings { patience, ..settings() }).await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let stream = client.stream(&call(2, "slow", json!({}))).await;
    app.server.release.notify_one();
    assert_eq!(stream.rest().await.len(), 1);
}

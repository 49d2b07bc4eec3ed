//! Clients without a session: every request stands alone.

use reqwest::Method;
use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::support::http::request;
use crate::support::{Answer, App, Client};

pub(crate) const VERSION: &str = "2026-07-28";

pub(crate) fn meta(capabilities: Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    })
}

/// A request with the headers that repeat it.
pub(crate) fn addressed(client: &Client, body: &Value) -> Client {
    let method = body["method"].as_str().unwrap();
    let client = client.clone().with("mcp-protocol-version", VERSION).with("mcp-method", method);
    let name = ["name", "uri"].iter().find_map(|key| body["params"][key].as_str());
    match name {
        Some(name) => client.with("mcp-name", name),
        None => client,
    }
}

pub(crate) fn modern(id: u64, method: &str, mut params: Value) -> Value {
    if params.get("_meta").is_none() {
        params["_meta"] = meta(json!({}));
    }
    request(id, method, params)
}

pub(crate) async fn send(client: &Client, body: &Value) -> Answer {
    addressed(client, body).post(body).await
}

fn echo(id: u64, arguments: Value) -> Value {
    modern(id, "tools/call", json!({"name": "files__echo", "arguments": arguments}))
}

#[tokio::test]
async fn requests_stand_alone_and_results_say_what_they_are() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let found = send(&client, &modern(1, "server/discover", json!({}))).await;
    let result = &found.body["result"];
    assert_eq!(result["supportedVersions"][0], VERSION, "{}", found.body);
    assert!(result["capabilities"]["tools"].is_object());
    assert!(result["capabilities"]["logging"].is_object(), "messages of the log may come");
    assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string());
    assert!(!found.headers.contains_key("mcp-session-id"));
    let listed = send(&client, &modern(2, "tools/list", json!({}))).await;
    assert_eq!(listed.body["result"]["resultType"], "complete");
    assert_eq!(listed.body["result"]["cacheScope"], "private");
    assert!(listed.body["result"]["ttlMs"].is_u64());
    let called = send(&client, &echo(3, json!({"a": 1}))).await;
    assert_eq!(
        (called.text(), &called.body["result"]["resultType"]),
        (r#"{"a":1}"#, &json!("complete"))
    );
    let denied = modern(4, "tools/call", json!({"name": "files__forbidden"}));
    let denied = send(&client, &denied).await;
    assert!(denied.status == 200 && denied.is_error(), "{}", denied.body);
}

#[tokio::test]
async fn a_request_without_its_meta_is_refused() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let without = |key: &str| {
        let mut meta = meta(json!({}));
        meta.as_object_mut().unwrap().remove(&format!("io.modelcontextprotocol/{key}"));
        meta
    };
    for (what, params) in [
        ("no meta", json!({})),
        ("no version", json!({"_meta": without("protocolVersion")})),
        ("no capabilities", json!({"_meta": without("clientCapabilities")})),
        ("not an object", json!({"_meta": 1})),
    ] {
        for method in ["server/discover", "tools/list"] {
            let body = request(9, method, params.clone());
            let answer = send(&client, &body).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (400, -32602), "{what} {method}");
            assert_eq!(answer.body["id"], 9, "{what}");
        }
    }
    let anonymous = modern(1, "tools/list", json!({"_meta": without("clientInfo")}));
    assert_eq!(send(&client, &anonymous).await.status, 200);
}

#[tokio::test]
async fn headers_that_contradict_the_body_are_refused() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let body = echo(5, json!({}));
    let sound = addressed(&client, &body);
    let refused = [
        ("another version", sound.clone().with("mcp-protocol-version", "2025-11-25")),
        ("no version", sound.clone().without("mcp-protocol-version")),
        ("another method", sound.clone().with("mcp-method", "tools/list")),
        ("no method", sound.clone().without("mcp-method")),
        ("another name", sound.clone().with("mcp-name", "files__forbidden")),
        ("no name", sound.clone().without("mcp-name")),
        ("broken name", sound.clone().with("mcp-name", "=?base64?!?=")),
    ];
    for (what, client) in refused {
        let answer = client.post(&body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, -32020),
            "{what}: {}",
            answer.body
        );
        assert_eq!(answer.body["id"], 5);
    }
    let encoded = sound.clone().with("mcp-name", "=?base64?ZmlsZXNfX2VjaG8=?=");
    assert_eq!(encoded.post(&body).await.status, 200);
    let mut unknown = body.clone();
    unknown["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "v999".into();
    let answer = sound.clone().post(&unknown).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32020), "the header says another");
    let answer = sound.with("mcp-protocol-version", "v999").post(&unknown).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32022));
    assert_eq!(answer.body["error"]["data"]["requested"], "v999");
    assert_eq!(answer.body["error"]["data"]["supported"][0], VERSION);
}

#[tokio::test]
async fn headers_that_repeat_arguments_are_checked() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let body = echo(5, json!({"region": "eu"}));
    let sound = addressed(&client, &body);
    for client in [sound.clone(), sound.clone().with("mcp-param-region", "us")] {
        let answer = client.post(&body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32020), "{}", answer.body);
    }
    assert_eq!(sound.with("mcp-param-region", "eu").post(&body).await.status, 200);
}

#[tokio::test]
async fn methods_of_other_revisions_do_not_exist() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "unknown/method",
        "tasks/get",
        "events/subscribe",
    ] {
        let answer = send(&client, &modern(6, method, json!({}))).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, -32601), "{method}");
        assert_eq!(answer.body["id"], 6, "{method}");
    }
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(client.send(method).await.status, 405);
    }
    let response = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let answer = client.clone().with("mcp-protocol-version", VERSION).post(&response).await;
    assert_eq!(answer.status, 400, "clients do not respond in this revision");
}

#[tokio::test]
async fn a_client_that_closes_the_connection_cancels_its_request() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let body = modern(7, "tools/call", json!({"name": "files__slow", "arguments": {}}));
    // Before the response has begun.
    let waiting = tokio::spawn({
        let (client, body) = (addressed(&client, &body), body.clone());
        async move { client.post(&body).await }
    });
    app.begun(1).await;
    waiting.abort();
    app.cancelled(1).await;
    // While it is a stream.
    let mut stream = addressed(&client, &body).stream(&body).await;
    assert!(stream.next_raw().await.unwrap().id.is_none(), "it cannot be resumed");
    app.begun(2).await;
    drop(stream);
    app.cancelled(2).await;
}

#[tokio::test]
async fn progress_and_log_come_when_they_are_asked_for() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let chatty = |meta: Value| {
        modern(8, "tools/call", json!({"name": "files__chatty", "arguments": {}, "_meta": meta}))
    };
    let quiet = send(&client, &chatty(meta(json!({})))).await;
    assert_eq!(quiet.headers["content-type"], "application/json");
    let mut wanting = meta(json!({}));
    wanting["progressToken"] = 5.into();
    wanting["io.modelcontextprotocol/logLevel"] = "info".into();
    let body = chatty(wanting);
    let messages = addressed(&client, &body).stream(&body).await.rest().await;
    assert_eq!(messages.len(), 7, "{messages:?}");
    assert_eq!(messages[0]["params"]["progressToken"], 5);
}

#[tokio::test]
async fn a_subscription_tells_what_was_asked_for_and_nothing_else() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let body =
        modern(11, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let mut stream = addressed(&client, &body).stream(&body).await;
    let first = stream.message().await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({"toolsListChanged": true}));
    let id = "io.modelcontextprotocol/subscriptionId";
    assert_eq!(first["params"]["_meta"][id], 11);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    app.server.report("notifications/resources/list_changed", json!({}));
    app.server.report("notifications/resources/updated", json!({"uri": "file:///a"}));
    app.server.add_tool("another");
    let change = stream.message().await;
    assert_eq!(change["method"], "notifications/tools/list_changed", "{change}");
    assert_eq!(change["params"]["_meta"][id], 11);
    app.stop.send(true).unwrap();
    let rest = stream.rest().await;
    let last = rest.last().expect("it ends with a response");
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(11), &json!("complete")));
    assert_eq!(last["result"]["_meta"][id], 11);
}

#[tokio::test]
async fn both_eras_are_told_apart_by_any_sign_of_the_modern_one() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    // A session id does not make a modern request a legacy one.
    let session = client.clone().initialized(json!({})).await;
    let answer = send(&session, &echo(1, json!({}))).await;
    assert_eq!(answer.body["result"]["resultType"], "complete");
    // A modern header alone is not enough to be served, and is not taken for legacy.
    let body = request(1, "tools/list", json!({}));
    let answer = session.clone().with("mcp-protocol-version", VERSION).post(&body).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32602));
    let operator = app.key(Role::Operator, Some("acme"), None).await;
    assert_eq!(send(&app.client(&operator), &echo(1, json!({}))).await.status, 403);
}

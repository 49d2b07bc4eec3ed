//! A client without a session.

use serde_json::{Value, json};

use crate::world::{World, text};

/// Parameters with what every modern request carries.
fn with(mut params: Value, capabilities: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    params
}

fn plain(params: Value) -> Value {
    with(params, json!({}))
}

#[tokio::test]
async fn requests_stand_alone() {
    let mut world = World::new();
    let found = world.ask(1, "server/discover", plain(json!({}))).await;
    let result = &found["result"];
    assert_eq!(result["supportedVersions"][0], "2026-07-28", "{found}");
    assert_eq!(result["resultType"], "complete");
    assert_eq!(*world.era.lock().unwrap(), Some(sentinel_mcp_protocol::era::Era::Modern));
    let listed = world.ask(2, "tools/list", plain(json!({}))).await;
    assert_eq!(listed["result"]["cacheScope"], "private", "{listed}");
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 5);
    let called = world.ask(3, "tools/call", plain(json!({"name": "echo"}))).await;
    assert_eq!(text(&called), "echo");
    assert_eq!(called["result"]["resultType"], "complete");
}

#[tokio::test]
async fn a_request_that_lacks_a_member_or_states_another_version_is_refused() {
    let mut world = World::new();
    let mut params = plain(json!({}));
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    assert_eq!(world.ask(1, "tools/list", params).await["error"]["code"], -32022);
    let params = json!({"_meta": {"io.modelcontextprotocol/clientCapabilities": {}}});
    assert_eq!(world.ask(2, "tools/list", params).await["error"]["code"], -32602);
    for method in ["ping", "logging/setLevel", "resources/subscribe", "initialize"] {
        let response = world.ask(3, method, plain(json!({}))).await;
        assert_eq!(response["error"]["code"], -32601, "{method}: {response}");
    }
}

fn retry(state: &Value, name: &str) -> Value {
    let responses = json!({"question": {"action": "accept"}});
    let params = json!({"name": name, "requestState": state, "inputResponses": responses});
    with(params, json!({"elicitation": {}}))
}

#[tokio::test]
async fn a_question_is_the_answer_and_the_retry_goes_on() {
    let mut world = World::new();
    let params = with(json!({"name": "ask"}), json!({"elicitation": {}}));
    let asked = world.ask(1, "tools/call", params.clone()).await;
    let result = &asked["result"];
    assert_eq!(result["resultType"], "input_required", "{asked}");
    let question = &result["inputRequests"]["question"];
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "sure?");
    let state = &result["requestState"];

    // It belongs to this request, once.
    assert_eq!(world.ask(2, "tools/call", retry(state, "echo")).await["error"]["code"], -32602);
    let forged = json!("sent1.00000000000000000000000000000000");
    assert_eq!(world.ask(3, "tools/call", retry(&forged, "ask")).await["error"]["code"], -32602);
    let done = world.ask(4, "tools/call", retry(state, "ask")).await;
    assert_eq!(text(&done), r#"{"action":"accept"}"#);
    assert_eq!(world.ask(5, "tools/call", retry(state, "ask")).await["error"]["code"], -32602);
}

#[tokio::test]
async fn changes_are_told_on_the_stream_that_asks_for_them() {
    let mut world = World::new();
    let filter = json!({"notifications": {"toolsListChanged": true}});
    world.send(7.into(), "subscriptions/listen", plain(filter)).await;
    let begun = world.method("notifications/subscriptions/acknowledged").await;
    assert_eq!(begun["params"]["notifications"], json!({"toolsListChanged": true}), "{begun}");
    assert_eq!(begun["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    world.notify("notifications/cancelled", json!({"requestId": 7})).await;
    assert_eq!(text(&world.ask(8, "tools/call", plain(json!({"name": "echo"}))).await), "echo");
}

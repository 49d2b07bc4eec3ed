//! A client with a session.

use serde_json::{Value, json};

use crate::world::{World, text};

pub(crate) async fn initialized(version: &str, capabilities: Value) -> World {
    let mut world = World::new();
    let params = json!({
        "protocolVersion": version, "capabilities": capabilities,
        "clientInfo": {"name": "t", "version": "1"},
    });
    let response = world.ask(1, "initialize", params).await;
    assert_eq!(response["result"]["protocolVersion"], version, "{response}");
    assert!(response["result"].get("resultType").is_none(), "{response}");
    world.notify("notifications/initialized", json!({})).await;
    world
}

#[tokio::test]
async fn a_session_begins_lists_calls_and_pings() {
    let mut world = initialized("2025-06-18", json!({})).await;
    assert_eq!(*world.era.lock().unwrap(), Some(sentinel_mcp_protocol::era::Era::Legacy));
    let listed = world.ask(2, "tools/list", json!({})).await;
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 5, "{listed}");
    assert!(listed["result"].get("ttlMs").is_none(), "{listed}");
    let called = world.ask(3, "tools/call", json!({"name": "echo"})).await;
    assert_eq!(text(&called), "echo");
    assert_eq!(world.ask(4, "ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn before_initialize_only_a_ping_is_answered_and_after_it_no_second_one() {
    let mut world = World::new();
    assert_eq!(world.ask(1, "ping", json!({})).await["result"], json!({}));
    let early = world.ask(2, "tools/list", json!({})).await;
    assert_eq!(early["error"]["code"], -32600, "{early}");
    assert_eq!(*world.era.lock().unwrap(), None, "the server was connected too early");
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    assert!(world.ask(3, "initialize", params.clone()).await["result"].is_object());
    assert_eq!(world.ask(4, "initialize", params).await["error"]["code"], -32600);
}

#[tokio::test]
async fn requests_run_side_by_side() {
    let mut world = initialized("2025-11-25", json!({})).await;
    world.send(2.into(), "tools/call", json!({"name": "slow"})).await;
    world.send("2".into(), "tools/call", json!({"name": "echo"})).await;
    let first = world.find(|message| message.get("result").is_some()).await;
    assert_eq!(first["id"], "2", "an id that is a string is another");
    assert_eq!(text(&world.response(2).await), "slow");
}

#[tokio::test]
async fn an_id_that_is_in_use_is_refused() {
    let mut world = initialized("2025-11-25", json!({})).await;
    world.send(2.into(), "tools/call", json!({"name": "slow"})).await;
    world.send(2.into(), "tools/call", json!({"name": "echo"})).await;
    assert_eq!(world.response(2).await["error"]["code"], -32600);
    assert_eq!(text(&world.response(2).await), "slow");
}

#[tokio::test]
async fn a_cancelled_request_gets_no_response_and_is_cancelled_at_the_server() {
    let mut world = initialized("2025-11-25", json!({})).await;
    world.send(2.into(), "tools/call", json!({"name": "wait"})).await;
    world.happened("waiting").await;
    world.notify("notifications/cancelled", json!({"requestId": 9})).await;
    world.notify("notifications/cancelled", json!({"requestId": 2})).await;
    world.happened("cancelled").await;
    assert_eq!(text(&world.ask(3, "tools/call", json!({"name": "echo"})).await), "echo");
    assert!(world.unasked().iter().all(|message| message["id"] != 2), "{:?}", world.unasked());
}

#[tokio::test]
async fn the_client_is_asked_on_the_way_and_only_its_answer_counts() {
    let mut world = initialized("2025-11-25", json!({"elicitation": {}})).await;
    world.send(2.into(), "tools/call", json!({"name": "ask"})).await;
    let question = world.method("elicitation/create").await;
    assert_eq!(question["params"]["message"], "sure?");
    let answer = |id: &Value, word: &str| {
        json!({"jsonrpc": "2.0", "id": id, "result": {"action": word}}).to_string()
    };
    world.line(&answer(&json!("sentinel-99"), "forged")).await;
    world.line(&answer(&json!(2), "forged")).await;
    world.line(&answer(&question["id"], "accept")).await;
    world.line(&answer(&question["id"], "late")).await;
    assert_eq!(text(&world.response(2).await), r#"{"action":"accept"}"#);
}

#[tokio::test]
async fn a_client_that_did_not_say_it_can_be_asked_is_not() {
    let mut world = initialized("2025-11-25", json!({})).await;
    let called = world.ask(2, "tools/call", json!({"name": "ask"})).await;
    assert!(text(&called).contains("asking failed"), "{called}");
    assert!(world.unasked().iter().all(|message| message["method"] != "elicitation/create"));
}

#[tokio::test]
async fn progress_is_told_for_its_token_and_the_log_from_its_level_on() {
    let mut world = initialized("2025-11-25", json!({})).await;
    world.ask(2, "logging/setLevel", json!({"level": "warning"})).await;
    let params = json!({"name": "report", "_meta": {"progressToken": "mine"}});
    world.ask(3, "tools/call", params).await;
    world.ask(4, "ping", json!({})).await;
    let told: Vec<_> = world.unasked().iter().map(|message| &message["params"]).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((&told[0]["progressToken"], &told[1]["data"]), (&json!("mine"), &json!("loud")));
}

#[tokio::test]
async fn what_is_malformed_is_answered_if_it_asks_for_an_answer() {
    let mut world = initialized("2025-11-25", json!({})).await;
    world.line("not json").await;
    assert_eq!(world.response(Value::Null).await["error"]["code"], -32700);
    world.line("[]").await;
    assert_eq!(world.response(Value::Null).await["error"]["code"], -32600);
    world.line(r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}"#).await;
    assert_eq!(world.response(7).await["error"]["code"], -32600);
    world.line(&"x".repeat(5 << 20)).await;
    assert_eq!(world.response(Value::Null).await["error"]["code"], -32600);
    // These ask for none.
    world.line("").await;
    world.line(r#"{"jsonrpc":"2.0","id":8,"result":1}"#).await;
    world.line(r#"{"jsonrpc":"2.0","method":"notifications/unheard"}"#).await;
    assert_eq!(world.ask(9, "ping", json!({})).await["result"], json!({}));
    assert!(world.unasked().is_empty(), "{:?}", world.unasked());
}

#[tokio::test]
async fn methods_that_the_revision_does_not_have_are_refused() {
    let mut world = initialized("2025-11-25", json!({})).await;
    for method in ["subscriptions/listen", "tasks/get", "events/list", "sampling/createMessage"] {
        let response = world.ask(2, method, json!({})).await;
        assert_eq!(response["error"]["code"], -32601, "{response}");
    }
}

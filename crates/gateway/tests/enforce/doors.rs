//! Resources, prompts, completions, and what a server asks its client: decided like calls.

use std::sync::Arc;

use sentinel_gateway::client::Client;
use sentinel_gateway::enforce;
use sentinel_mcp_protocol::jsonrpc::{Object, RpcError};
use serde_json::{Value, json};

use crate::world::{Behaviour, Talk, World, call, request, text, within};

async fn serve(client: &Client, method: &str, params: Value) -> Result<Value, RpcError> {
    let (request, talk) = (request(method, params), Talk::default());
    let result: Result<Object, RpcError> = within(async {
        match method {
            "resources/read" => enforce::read_resource(client, &request, &talk).await,
            "resources/subscribe" => enforce::subscribe(client, &request, &talk).await,
            "prompts/get" => enforce::get_prompt(client, &request, &talk).await,
            _ => enforce::complete(client, &request, &talk).await,
        }
    })
    .await;
    result.map(Value::Object)
}

const URI: &str = "mcp+files+file:///etc/hosts";

fn doors() -> [(&'static str, Value, &'static str, &'static str, Value, Value); 4] {
    let uri = json!({"uri": "file:///etc/hosts"});
    [
        ("resources/read", json!({"uri": URI}), "resources", "read", uri.clone(), uri.clone()),
        ("resources/subscribe", json!({"uri": URI}), "resources", "subscribe", uri.clone(), uri),
        (
            "prompts/get",
            json!({"name": "files__greet", "arguments": {"who": "you"}}),
            "prompts",
            "get",
            json!({"name": "greet", "arguments": {"who": "you"}}),
            json!({"name": "greet", "arguments": {"who": "you"}}),
        ),
        (
            "completion/complete",
            json!({
                "ref": {"type": "ref/prompt", "name": "files__greet"},
                "argument": {"name": "who", "value": "y"},
            }),
            "completion",
            "complete",
            json!({
                "ref": {"type": "ref/prompt", "name": "greet"},
                "argument": {"name": "who", "value": "y"},
            }),
            json!({
                "ref": {"type": "ref/prompt", "name": "greet"},
                "argument": {"name": "who", "value": "y"},
            }),
        ),
    ]
}

#[tokio::test]
async fn each_door_is_decided_with_what_is_asked_for() {
    let world = World::start().await;
    let client = world.client();
    for (method, params, door, action, decided, sent) in doors() {
        let result = serve(&client, method, params).await.unwrap();
        assert_ne!(result["_meta"]["sentinel/decision"], Value::Null, "{method}");
        let asked = world.policy.asked();
        let [asked] = asked.as_slice() else { panic!("{method}: {asked:?}") };
        let expected = (json!(format!("files__{door}")), json!(action), decided);
        let seen = (asked["tool"].clone(), asked["action"].clone(), asked["arguments"].clone());
        assert_eq!(seen, expected, "{method}");
        let (arrived, forwarded) = world.upstream.calls().pop().unwrap();
        assert_eq!((arrived.as_str(), forwarded), (method, sent));
    }
}

#[tokio::test]
async fn a_denied_door_is_an_error_with_the_reason_and_nothing_is_sent() {
    let world = World::start().await;
    world.policy.set(|_| Ok((false, None)));
    let client = world.client();
    for (method, params, ..) in doors() {
        let error = serve(&client, method, params).await.unwrap_err();
        assert_eq!(error.code, -32602, "{method}");
        assert!(error.message.starts_with("Denied by policy: "), "{}", error.message);
        assert_eq!(error.data.unwrap()["sentinel/denial"]["code"], "policy_denied");
    }
    assert!(world.upstream.calls().is_empty());
    assert_eq!(world.decisions().await.len(), 4);
}

/// A call during which the server asks for something; what the server got, and what the client was
/// asked.
async fn asking(world: &World, method: &'static str) -> (String, Vec<String>) {
    world.upstream.will("read", Behaviour::Ask(method, json!({"message": "which?"})));
    let client = world.client();
    let (request, talk) =
        (request("tools/call", json!({"name": "files__read", "arguments": {}})), Talk::default());
    let result = within(enforce::call_tool(&client, &request, &talk)).await.unwrap();
    let asked = talk.asked.lock().unwrap().clone();
    (text(&Value::Object(result)).to_owned(), asked)
}

#[tokio::test]
async fn what_a_server_asks_its_client_is_decided() {
    let world = World::start().await;
    for (method, door, action) in [
        ("sampling/createMessage", "files__sampling", "create"),
        ("elicitation/create", "files__elicitation", "create"),
        ("roots/list", "files__elicitation", "roots"),
    ] {
        let (got, asked) = asking(&world, method).await;
        assert_eq!((got.as_str(), asked), (r#"{"action":"accept"}"#, vec![method.to_owned()]));
        let seen = world.policy.asked().pop().unwrap();
        assert_eq!((&seen["tool"], &seen["action"]), (&json!(door), &json!(action)));
        assert_eq!(seen["arguments"], json!({"message": "which?"}));
    }
}

#[tokio::test]
async fn a_denied_question_does_not_reach_the_client() {
    let world = World::start().await;
    world.policy.set(|input| Ok((input.tool.to_string() == "files__read", None)));
    let (got, asked) = asking(&world, "elicitation/create").await;
    assert_eq!((got.as_str(), asked.len()), (r#"{"action":"decline"}"#, 0));
    for method in ["sampling/createMessage", "roots/list"] {
        let (got, asked) = asking(&world, method).await;
        assert!(got.contains("Denied by policy") || got.contains("decline"), "{got}");
        assert!(asked.is_empty(), "{method}");
    }
    // What no server may ask.
    let (got, asked) = asking(&world, "tools/call").await;
    assert!(got.contains("-32601") && asked.is_empty(), "{got}");
}

#[tokio::test]
async fn a_kill_ends_a_question_that_waits_for_the_user() {
    let world = Arc::new(World::start().await);
    world.upstream.will("read", Behaviour::Ask("elicitation/create", json!({})));
    let client = world.client();
    let calling = tokio::spawn(async move {
        let request = request("tools/call", json!({"name": "files__read", "arguments": {}}));
        let talk = Talk { silent: true, ..Talk::default() };
        within(enforce::call_tool(&client, &request, &talk)).await.unwrap()
    });
    while world.services.calls.in_flight() < 2 {
        tokio::task::yield_now().await;
    }
    world.kill("elicitation").await;
    let result = Value::Object(calling.await.unwrap());
    assert_eq!(text(&result), r#"{"action":"decline"}"#);
    assert_eq!(call(&world.client(), "plain", json!({})).await["isError"], Value::Null);
}

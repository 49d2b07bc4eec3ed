//! Questions of a server to the client, in both eras.

use std::time::Duration;

use sentinel_core::principal::Role;
use sentinel_gateway::front::http::Settings;
use serde_json::{Value, json};

use crate::modern::{addressed, meta, modern, send};
use crate::support::App;
use crate::support::app::settings;
use crate::support::http::call;

fn answer(id: &Value, text: &str) -> Value {
    let result = json!({"action": "accept", "content": {"name": text}});
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

#[tokio::test]
async fn a_question_comes_on_the_stream_of_the_request_and_takes_the_answer_of_its_session() {
    let app = App::start().await;
    let key = app.agent().await;
    let client = app.client(&key).initialized(json!({"elicitation": {}})).await;
    let other = app.client(&key).initialized(json!({"elicitation": {}})).await;
    let mut stream = client.stream(&call(2, "ask", json!({}))).await;
    let mut of_other = other.stream(&call(2, "ask", json!({}))).await;
    let question = stream.message().await;
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "your name?");
    let question_of_other = of_other.message().await;
    assert_eq!(question["id"], question_of_other["id"], "so that the test means something");
    // The answer of another session counts there, and only there.
    assert_eq!(other.post(&answer(&question["id"], "mallory")).await.status, 202);
    assert!(of_other.message().await.to_string().contains("mallory"));
    assert_eq!(client.post(&answer(&question["id"], "alice")).await.status, 202);
    assert_eq!(client.post(&answer(&question["id"], "second")).await.status, 202);
    let response = stream.message().await;
    assert!(response.to_string().contains("alice"), "{response}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_client_is_not_asked_what_it_did_not_declare() {
    let app = App::start().await;
    let key = app.agent().await;
    let client = app.client(&key).initialized(json!({"sampling": {}})).await;
    let answer = client.call(2, "ask", json!({})).await;
    assert_eq!(answer.headers["content-type"], "application/json", "nothing was asked");
    let body = modern(3, "tools/call", json!({"name": "files__ask", "arguments": {}}));
    let answer = send(&app.client(&key), &body).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32021), "{}", answer.body);
    assert!(answer.body["error"]["data"]["requiredCapabilities"]["elicitation"].is_object());
}

fn ask(id: u64, tool: &str, more: Value) -> Value {
    let mut params = json!({
        "name": format!("files__{tool}"), "arguments": {"x": 1},
        "_meta": meta(json!({"elicitation": {"form": {}}})),
    });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    modern(id, "tools/call", params)
}

fn accept(text: &str) -> Value {
    json!({"action": "accept", "content": {"name": text}})
}

#[tokio::test]
async fn a_modern_client_answers_by_its_next_request() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let asked = send(&client, &ask(1, "ask", json!({}))).await;
    let result = &asked.body["result"];
    assert_eq!(result["resultType"], "input_required", "{}", asked.body);
    let requests = result["inputRequests"].as_object().unwrap();
    assert_eq!(requests.len(), 1);
    let (name, question) = requests.iter().next().unwrap();
    assert_eq!(question["method"], "elicitation/create");
    let state = &result["requestState"];
    let retry = |id: u64| {
        ask(id, "ask", json!({"inputResponses": {name: accept("alice")}, "requestState": state}))
    };
    let done = send(&client, &retry(2)).await;
    assert_eq!(done.body["id"], 2);
    assert!(done.text().contains("alice"), "{}", done.body);
    assert_eq!(done.body["result"]["resultType"], "complete");
    let again = send(&client, &retry(3)).await;
    assert_eq!((again.status.as_u16(), again.code()), (400, -32602), "a state serves once");
}

#[tokio::test]
async fn a_retry_is_told_of_its_progress_under_its_own_token() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let with_token = |mut body: Value, token: u64| {
        body["params"]["_meta"]["progressToken"] = token.into();
        body
    };
    let asked = send(&client, &with_token(ask(1, "ask", json!({})), 10)).await;
    let result = &asked.body["result"];
    let name = result["inputRequests"].as_object().unwrap().keys().next().unwrap();
    let retry =
        json!({"inputResponses": {name: accept("a")}, "requestState": result["requestState"]});
    let retry = with_token(ask(2, "ask", retry), 20);
    let messages = addressed(&client, &retry).stream(&retry).await.rest().await;
    assert_eq!(messages[0]["params"]["progressToken"], 20, "{messages:?}");
    assert_eq!(messages.last().unwrap()["id"], 2);
}

#[tokio::test]
async fn a_question_is_not_waited_for_without_end() {
    let question = Duration::from_millis(200);
    let app = App::with(Settings { question, ..settings() }).await;
    let key = app.agent().await;
    let client = app.client(&key).initialized(json!({"elicitation": {}})).await;
    let mut stream = client.stream(&call(2, "ask", json!({}))).await;
    assert_eq!(stream.message().await["method"], "elicitation/create");
    assert_eq!(stream.message().await["error"]["code"], -32603, "the call has ended");
    let client = app.client(&key);
    let asked = send(&client, &ask(1, "ask", json!({}))).await;
    tokio::time::sleep(2 * question).await;
    let state = &asked.body["result"]["requestState"];
    let late = ask(2, "ask", json!({"inputResponses": {}, "requestState": state}));
    assert_eq!(send(&client, &late).await.code(), -32602);
}

#[tokio::test]
async fn questions_that_are_not_answered_are_asked_again() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let mut answer = send(&client, &ask(1, "ask_twice", json!({}))).await;
    let mut rounds = 0;
    while answer.body["result"]["resultType"] == "input_required" {
        rounds += 1;
        assert!(rounds < 5, "{}", answer.body);
        let requests = answer.body["result"]["inputRequests"].as_object().unwrap();
        let (name, question) = requests.iter().next().unwrap();
        let text = format!("re: {}", question["params"]["message"].as_str().unwrap());
        let retry = json!({
            "inputResponses": {name: accept(&text), "unknown": accept("ignored")},
            "requestState": answer.body["result"]["requestState"],
        });
        answer = send(&client, &ask(1 + rounds, "ask_twice", retry)).await;
    }
    assert_eq!(rounds, 2);
    assert!(answer.text().contains("re: one?") && answer.text().contains("re: two?"));
}

#[tokio::test]
async fn a_state_opens_nothing_for_anyone_else_or_for_another_request() {
    let app = App::start().await;
    let key = app.agent().await;
    let client = app.client(&key);
    let asked = send(&client, &ask(1, "ask", json!({}))).await;
    let state = asked.body["result"]["requestState"].clone();
    let name = asked.body["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap();
    let responses = json!({name: accept("mallory")});
    let with = |tool: &str, change: Value| {
        let mut body = ask(2, tool, json!({"inputResponses": responses, "requestState": state}));
        for (key, value) in change.as_object().unwrap() {
            body["params"][key] = value.clone();
        }
        body
    };
    let stranger = app.client(&app.agent().await);
    let everywhere = app.key(Role::Agent, None, None).await;
    let elsewhere = app.client(&everywhere).at(&app, "/mcp/other");
    let tampered = format!("{}A", state.as_str().unwrap());
    for (what, client, body) in [
        ("another key", &stranger, with("ask", json!({}))),
        ("another tenant", &elsewhere, with("ask", json!({}))),
        ("another tool", &client, with("ask_twice", json!({}))),
        ("other arguments", &client, with("ask", json!({"arguments": {"x": 2}}))),
        ("a changed state", &client, with("ask", json!({"requestState": tampered}))),
        ("a made-up state", &client, with("ask", json!({"requestState": "sent1.AAAA"}))),
    ] {
        let answer = send(client, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, -32602),
            "{what}: {}",
            answer.body
        );
    }
    let done = send(&client, &with("ask", json!({}))).await;
    assert!(done.text().contains("mallory"), "its own client goes on: {}", done.body);
}

#[tokio::test]
async fn a_modern_stream_ends_with_the_question() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let mut body = ask(1, "ask", json!({}));
    body["params"]["_meta"]["progressToken"] = 1.into();
    let answer = addressed(&client, &body).post(&body).await;
    assert_eq!(answer.body["result"]["resultType"], "input_required");
}

//! How it ends.

use std::time::Duration;

use sentinel_gateway::front::stdio::Limits;
use serde_json::json;

use crate::legacy::initialized;
use crate::world::{World, text};

#[tokio::test]
async fn answers_under_way_are_written_after_the_end_of_the_input() {
    let mut world = initialized("2025-11-25", json!({})).await;
    world.send(2.into(), "tools/call", json!({"name": "slow"})).await;
    world.close();
    let rest = world.rest().await;
    let answer = rest.iter().find(|message| message["id"] == 2).expect("no answer");
    assert_eq!(text(answer), "slow");
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cancelled_and_answered() {
    let mut world = initialized("2025-11-25", json!({})).await;
    world.send(2.into(), "tools/call", json!({"name": "wait"})).await;
    world.happened("waiting").await;
    world.close();
    let rest = world.rest().await;
    assert!(rest.iter().any(|message| message["id"] == 2), "{rest:?}");
}

#[tokio::test]
async fn a_question_is_not_waited_for_once_the_client_has_closed() {
    let mut world = initialized("2025-11-25", json!({"elicitation": {}})).await;
    world.send(2.into(), "tools/call", json!({"name": "ask"})).await;
    world.method("elicitation/create").await;
    world.close();
    let rest = world.rest().await;
    let answer = rest.iter().find(|message| message["id"] == 2).expect("no answer");
    assert!(text(answer).contains("asking failed"), "{answer}");
}

#[tokio::test]
async fn it_stops_when_it_is_told_to() {
    let world = initialized("2025-11-25", json!({})).await;
    world.stop.cancel();
    world.rest().await;
}

#[tokio::test]
async fn no_more_than_so_many_requests_are_under_way() {
    let limits = Limits { requests: 2, grace: Duration::from_millis(10), ..Limits::default() };
    let mut world = World::with(limits);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    world.ask(1, "initialize", params).await;
    world.send(2.into(), "tools/call", json!({"name": "wait"})).await;
    world.send(3.into(), "tools/call", json!({"name": "wait"})).await;
    world.send(4.into(), "tools/call", json!({"name": "echo"})).await;
    assert_eq!(world.response(4).await["error"]["code"], -32603);
    world.notify("notifications/cancelled", json!({"requestId": 2})).await;
    world.happened("cancelled").await;
    assert_eq!(text(&world.ask(5, "tools/call", json!({"name": "echo"})).await), "echo");
}

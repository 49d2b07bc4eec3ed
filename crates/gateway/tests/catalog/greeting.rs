//! What a client is told when it connects.

use std::time::Duration;

use sentinel_gateway::catalog::Settings;
use sentinel_gateway::upstream::Server;
use serde_json::{Value, json};

use crate::world::{Fake, World, ask, object, settings};

async fn greet(world: &World, method: &str) -> Value {
    ask(&world.client(), method, json!({})).await.unwrap()
}

fn server(capabilities: Value, instructions: &str) -> Server {
    let instructions = (!instructions.is_empty()).then(|| instructions.to_owned());
    let info = object(json!({"name": "theirs", "version": "1"}));
    Server { info, capabilities: object(capabilities), instructions }
}

#[tokio::test]
async fn capabilities_are_those_of_all_upstreams_that_are_governed() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    a.set_server(server(json!({"tools": {}, "resources": {"subscribe": true}}), ""));
    let ungoverned = json!({
        "prompts": {"listChanged": false},
        "resources": {"subscribe": false},
        "completions": {},
        "tasks": {"list": {}},
        "experimental": {"x": {}},
        "extensions": {"io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": {}},
        "events": {},
    });
    b.set_server(server(ungoverned, ""));
    let world = World::merged(&[&a, &b]);
    for method in ["initialize", "server/discover"] {
        let greeting = greet(&world, method).await;
        let expected = json!({
            "completions": {},
            "prompts": {"listChanged": true},
            "resources": {"listChanged": true, "subscribe": true},
            "tools": {"listChanged": true},
        });
        assert_eq!(greeting["capabilities"], expected);
        assert_eq!(greeting["serverInfo"]["name"], "sentinel-mcp");
    }
}

#[tokio::test]
async fn instructions_say_that_policy_hides_everything() {
    let fake = Fake::with_tools("files", &["read", "write"]);
    let world = World::merged(&[&fake]);
    let greeting = greet(&world, "initialize").await;
    assert!(!greeting["instructions"].as_str().unwrap().contains("hides"));
    world.ledger.hide(&["files__read", "files__write"]);
    let greeting = greet(&world, "initialize").await;
    assert!(greeting["instructions"].as_str().unwrap().contains("policy hides all 2 of them"));
}

#[tokio::test]
async fn instructions_name_what_is_missing_and_do_not_wait_for_it() {
    let (good, slow, down) = (Fake::new("good"), Fake::new("slow"), Fake::new("down"));
    good.set_server(server(json!({"tools": {}}), "read before you write"));
    slow.set_open(false);
    down.set_down(true);
    let settings = Settings { list_budget: Duration::from_secs(1), ..settings() };
    let world = World::with(&[&good, &slow, &down], settings);
    let greeting = greet(&world, "initialize").await;
    let instructions = greeting["instructions"].as_str().unwrap();
    assert!(instructions.contains("Not available yet: `slow`, `down`."), "{instructions}");
    assert!(instructions.contains("good__*: read before you write"), "{instructions}");
    // What is not known yet may come.
    assert!(greeting["capabilities"].get("prompts").is_some());
}

#[tokio::test]
async fn instructions_of_servers_are_bounded_and_cannot_hide_text() {
    let fake = Fake::new("files");
    let text = format!("one\u{1b}[2Jtwo{}", "x".repeat(100_000));
    fake.set_server(server(json!({"tools": {}}), &text));
    let greeting = greet(&World::single(&fake), "initialize").await;
    let instructions = greeting["instructions"].as_str().unwrap();
    assert!(instructions.contains("one[2Jtwo"));
    assert!(instructions.len() < 5_000);
}

#[tokio::test]
async fn a_ping_is_answered_without_an_upstream() {
    assert_eq!(greet(&World::merged(&[]), "ping").await, json!({}));
}

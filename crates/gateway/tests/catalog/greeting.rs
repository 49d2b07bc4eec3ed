//! What a client is told when it connects.

use std::time::Duration;

use sentinel_gateway::catalog::Settings;
use sentinel_gateway::client::Client;
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
async fn operators_hear_of_a_client_that_is_shown_nothing() {
    let (files, time) =
        (Fake::with_tools("files", &["read", "write"]), Fake::with_tools("time", &["now"]));
    let world = World::merged(&[&files, &time]);
    let told = || std::mem::take(&mut *world.ledger.silences.lock().unwrap());
    world.ledger.hide(&["files__read", "files__write"]);
    greet(&world, "initialize").await;
    ask(&world.client(), "tools/list", json!({})).await.unwrap();
    assert_eq!(told(), [0; 0], "one tool is left");
    world.ledger.hide(&["files__read", "files__write", "time__now"]);
    greet(&world, "server/discover").await;
    ask(&world.client(), "tools/list", json!({})).await.unwrap();
    assert_eq!(told(), [3, 3]);
    // What has no tools, or none that could be called, hides none.
    let none = World::merged(&[&Fake::new("empty")]);
    ask(&none.client(), "tools/list", json!({})).await.unwrap();
    assert!(none.ledger.silences.lock().unwrap().is_empty());
    let held = World::merged(&[&Fake::with_tools("held", &["read"])]);
    held.ledger.quarantine("held__read", "tool_drift");
    ask(&held.client(), "tools/list", json!({})).await.unwrap();
    assert!(held.ledger.silences.lock().unwrap().is_empty());
}

async fn set(client: &Client, level: &str) {
    let set = ask(client, "logging/setLevel", json!({ "level": level })).await;
    assert_eq!(set.unwrap(), json!({}));
}

#[tokio::test]
async fn a_server_is_asked_for_the_log_that_any_session_wants() {
    let fake = Fake::new("files");
    fake.set_server(server(json!({"tools": {}, "logging": {}}), ""));
    let silent = Fake::new("silent");
    let world = World::merged(&[&fake, &silent]);
    let levels = || {
        let requests = fake.requests.lock().unwrap();
        let levels = requests.iter().filter(|(method, _)| method == "logging/setLevel");
        levels.map(|(_, params)| params["level"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (one, other) = (world.client(), world.client());
    set(&one, "debug").await;
    // The other session wants less, and takes nothing from the first.
    set(&other, "error").await;
    assert_eq!(levels(), ["debug"]);
    set(&one, "warning").await;
    assert_eq!(levels(), ["debug", "info"], "sessions that set none get what is usual");
    set(&one, "debug").await;
    drop(one);
    set(&other, "critical").await;
    assert_eq!(levels(), ["debug", "info", "debug", "info"]);
    assert_eq!(silent.count("logging/setLevel"), 0);
    assert!(ask(&other, "logging/setLevel", json!({"level": "loud"})).await.is_err());
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

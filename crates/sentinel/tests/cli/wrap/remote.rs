//! A wrap that asks the control plane of `sentinel dev`.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Client, Home, SERVER, assert_denied, assert_done, eventually};
use crate::support::{Ran, Server};

fn against(home: &Home, server: &Server, key: &str) -> Client {
    Client::start(wrapping(home, server, key, SERVER))
}

fn wrapping(home: &Home, server: &Server, key: &str, program: &str) -> Command {
    let url = format!("--url={}", server.url);
    let key = format!("--key={key}");
    let args = [
        "mcp",
        "wrap",
        &url,
        &key,
        "--tenant=platform-eng",
        "--server=small",
        "--",
        "python3",
        program,
    ];
    home.command(&args)
}

#[test]
fn without_a_policy_for_it_nothing_is_shown_or_allowed() {
    let home = Home::new();
    let server = home.0.dev(&[]);
    let mut client = against(&home, &server, &server.key("agent"));
    client.initialize();
    assert_eq!(client.tools(), [""; 0]);
    let denied = client.call("look", &json!({}));
    assert_eq!(denied["isError"], true, "{denied}");
    assert_eq!(home.mark("calls"), "");
}

#[test]
fn a_server_under_the_name_of_another_is_not_wrapped() {
    let home = Home::new();
    let server = home.0.dev(&["--allow-command", "true"]);
    let add = ["upstream", "add", "--tenant=platform-eng", "--name=small", "--", "true"];
    server.cli(&add).exits(0);
    let refused: Ran =
        wrapping(&home, &server, &server.key("agent"), SERVER).output().unwrap().into();
    let refused = refused.exits(1);
    for part in ["upstream_not_wrapped", "--server small-local", "/mcp/platform-eng/small"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    assert!(refused.stdout.is_empty(), "nothing but messages is written: {refused:?}");
    assert_eq!(home.mark("started"), "", "the server was not started");
    // So is a key that is good for nothing.
    let refused: Ran = wrapping(&home, &server, "snt_agent_AAAAAAAAAAAAAAAAAAAAAA", SERVER)
        .output()
        .unwrap()
        .into();
    assert!(refused.exits(1).stderr.contains("invalid_key"));
}

/// A quota of one call for each tool, and none for what a server asks.
const ONE_CALL: &str = r#"package sentinel.policy
import rego.v1
default decision := {"allow": true}
decision := {"allow": true, "quota": {"limit": 1, "window": "1d"}} if input.action == "call"
"#;

#[test]
fn a_call_that_goes_on_after_a_question_is_counted_once() {
    let home = Home::new();
    home.0.file("policies/p.rego", ONE_CALL);
    let policies = home.0.path().join("policies");
    let server = home.0.dev(&["--policies", policies.to_str().unwrap()]);
    let asking = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/wrap/asking.py");
    let mut client = Client::start(wrapping(&home, &server, &server.key("agent"), asking));
    let capabilities = json!({"elicitation": {"form": {}}});
    client.ask(
        "initialize",
        &json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}}),
    );
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    // It takes a while: the era of the client is tried first.
    eventually("it is listed", || client.tools() == ["ask"]);
    let id = client.request("tools/call", &json!({"name": "ask", "arguments": {"a": 1}}));
    let question = client.question("elicitation/create");
    let answer = json!({"action": "accept", "content": {"sure": true}});
    client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}));
    let result = client.response(id)["result"].clone();
    assert_done(&result);
    assert!(home.mark("answers").contains("accept"));
    // The quota is used up by one call.
    let second = client.call("ask", &json!({"a": 2}));
    assert_denied(&second, "Denied by a quota");
    let decisions = server.cli(&["decisions", "--tenant=platform-eng", "--json"]).exits(0).json();
    let calls = decisions.as_array().unwrap().iter().filter(|one| one["action"] == "call");
    let allowed: Vec<_> = calls.filter(|one| one["decision"] == "allow").collect();
    assert_eq!(allowed.len(), 1, "{decisions}");
    assert_eq!(result["_meta"]["sentinel/decision"], allowed[0]["id"], "{allowed:?}");
}

#[test]
fn a_kill_ends_the_calls_of_a_wrap_that_it_covers_and_counts_them() {
    const ALL: &str = "package sentinel.policy\nimport rego.v1\ndefault allow := true\n";
    let home = Home::new();
    home.0.file("policies/p.rego", ALL);
    let policies = home.0.path().join("policies");
    let server = home.0.dev(&["--policies", policies.to_str().unwrap()]);
    let mut client = against(&home, &server, &server.key("agent"));
    client.initialize();
    eventually("it is listed", || !client.tools().is_empty());
    let kill = |more: &[&str]| {
        let args = [&["kill", "--tenant=platform-eng", "--reason=out of hand", "--json"], more];
        server.cli(&args.concat()).exits(0).json()["reached"].clone()
    };
    let id = client.request("tools/call", &json!({"name": "sleep", "arguments": {"seconds": 20}}));
    eventually("the call is under way", || home.mark("calls").contains("sleep"));
    // Only the control plane knows that these do not cover it.
    for other in ["--tool-tag=other", "--principal=somebody", "--tool-scope=other"] {
        assert_eq!(kill(&[other])["calls_elsewhere"], 0);
    }
    let looked = client.call("look", &json!({}));
    assert_done(&looked);
    std::thread::sleep(Duration::from_millis(700));
    assert!(client.unanswered(id), "a kill that does not cover the call ended it");
    // The key of the call is covered by its name.
    let started = Instant::now();
    let reached = kill(&["--principal=dev agent"]);
    assert_eq!(reached["calls_elsewhere"], 1, "{reached}");
    let cut = client.response(id)["result"].clone();
    assert_denied(&cut, "out of hand");
    assert!(started.elapsed() < Duration::from_secs(5), "the call was not cut");
    eventually("its end is known", || {
        server.cli(&["restore", "--tenant=platform-eng", "--principal=dev agent"]).exits(0);
        kill(&["--principal=dev agent"])["calls_elsewhere"] == 0
    });
}

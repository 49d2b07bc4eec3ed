//! `sentinel upstream`, and the review of changed tools.

use serde_json::{Value, json};

use crate::support::{Folder, Server};

const TENANT: &str = "--tenant=platform-eng";

fn listed(server: &Server, description: &str) -> Value {
    let tool = json!({"name": "read", "description": description, "inputSchema": {}});
    let body = json!({"tools": [tool]}).to_string();
    let path = "/v1/upstreams/platform-eng/mine/standing";
    let (status, answer) = server.http("POST", path, "agent", &body);
    assert_eq!(status, 200, "{answer}");
    answer["tools"][0].clone()
}

#[test]
fn upstreams_are_added_listed_and_removed() {
    let folder = Folder::new();
    let server = folder.dev(&["--allow-command", "mcp-server-time *"]);
    let add = |name: &str, more: &[&str]| {
        server.cli(&[&["upstream", "add", TENANT, "--name", name], more].concat())
    };
    add("time", &["--env", "TZ=env:TZ", "--", "mcp-server-time", "--local-timezone=UTC"]).exits(0);
    add("docs", &["--mcp-url=https://mcp.example.com/mcp", "--header=authorization=env:DOCS"])
        .exits(0);
    let refused = add("shell", &["--", "sh", "-c", "true"]).exits(1);
    let line = "`gateway_allowed_commands: [\"sh -c true\"]`";
    assert!(refused.stderr.contains(line), "{refused:?}");
    assert!(refused.stderr.contains("--allow-command 'sh -c true'"), "{refused:?}");
    assert!(!refused.stderr.contains("key of role"), "{refused:?}");
    let refused = add("shell", &["--", "sh", "-c", "echo it's", "more"]).exits(1);
    assert!(refused.stderr.contains("[\"sh -c *\"]`"), "{refused:?}");
    let secret = add("x", &["--mcp-url=https://x.example.com/", "--header=authorization=hunter2"]);
    let secret = secret.exits(2);
    assert!(!secret.stderr.contains("hunter2"), "{secret:?}");
    add("nothing", &[]).exits(2);
    add("time", &["--", "mcp-server-time"]).exits(1);
    let table = server.cli(&["upstream", "list"]).exits(0).stdout;
    assert!(table.contains("mcp-server-time --local-timezone=UTC"), "{table}");
    assert!(table.contains("https://mcp.example.com/mcp"), "{table}");
    server.cli(&["upstream", "remove", TENANT, "--name=docs"]).exits(0);
    server.cli(&["upstream", "remove", TENANT, "--name=docs"]).exits(1);
    let left = server.cli(&["upstream", "list", "--json"]).exits(0).json();
    assert_eq!(left.as_array().unwrap().len(), 1);
    server.wait_for("registry.upstream_removed");
}

#[test]
fn the_tools_of_an_upstream_can_be_killed_before_a_client_has_come() {
    let folder = Folder::new();
    let server = folder.dev(&["--allow-command", "env *"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/wrap/server.py");
    let folder_of_marks = tempfile::tempdir().unwrap();
    let marks = format!("MARKS={}", folder_of_marks.path().display());
    let command = ["--", "env", &marks, "python3", script];
    server.cli(&[&["upstream", "add", TENANT, "--name=small"], &command[..]].concat()).exits(0);
    server.wait_for("small__write");
    let listed = server.cli(&["tools", "show", TENANT, "--tool=small__write"]).exits(0);
    assert!(listed.stdout.contains("small__write"), "{listed:?}");
    let kill = ["kill", TENANT, "--tool=small__write", "--reason=test"];
    server.cli(&kill).exits(0);
}

#[test]
fn without_authentication_any_command_may_be_run() {
    let folder = Folder::new();
    let server = folder.dev(&["--no-auth"]);
    server.cli(&["upstream", "add", TENANT, "--name=any", "--", "true"]).exits(0);
}

#[test]
fn a_changed_tool_is_shown_and_approved() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    assert_eq!(listed(&server, "Reads.")["quarantined"], Value::Null);
    let none = server.cli(&["tools", "drift"]).exits(0).stdout;
    assert!(none.contains("no tool is quarantined"), "{none}");
    assert_eq!(listed(&server, "Reads, and more.")["quarantined"], "tool_drift");
    server.wait_for("registry.tool_drift");
    let table = server.cli(&["tools", "drift"]).exits(0).stdout;
    assert!(table.contains("mine__read") && table.contains("drift"), "{table}");
    let tool = [TENANT, "--tool=mine__read"];
    let shown = server.cli(&[&["tools", "drift"], &tool[..]].concat()).exits(0).stdout;
    assert!(shown.contains("-  \"description\": \"Reads.\""), "{shown}");
    assert!(shown.contains("+  \"description\": \"Reads, and more.\""), "{shown}");
    let shown = server.cli(&[&["tools", "show"], &tool[..]].concat()).exits(0).stdout;
    assert!(shown.contains("quarantined"), "{shown}");
    let drift = server.cli(&[&["tools", "drift", "--json"], &tool[..]].concat()).exits(0).json();
    let digest = |of: &str| format!("--digest={}", drift[of]["digest"].as_str().unwrap());
    let review =
        |word: &str, digest: &str| server.cli(&[&["tools", word, digest], &tool[..]].concat());
    review("approve", &digest("approved")).exits(1);
    review("approve", "--digest=sha256:1").exits(2);
    review("reject", &digest("offered")).exits(0);
    assert_eq!(listed(&server, "Reads, and more.")["quarantined"], "tool_drift");
    review("approve", &digest("offered")).exits(0);
    assert_eq!(listed(&server, "Reads, and more.")["quarantined"], Value::Null);
}

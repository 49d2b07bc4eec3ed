//! What cannot be read, or not be edited safely, is refused and says why.

use sentinel_mcp_clients::{Document, Server, State, Transport};

use crate::{location, read, wrapper};

#[track_caller]
fn unreadable(client: &str, text: &str) -> String {
    Document::read(location(client), text).unwrap_err().to_string()
}

#[test]
fn what_is_not_of_the_format() {
    assert!(unreadable("cursor", "{\"mcpServers\": {").contains("not valid JSON"));
    assert!(unreadable("cursor", "[]").contains("not valid JSON"));
    assert!(unreadable("cursor", "{'mcpServers': {}}").contains("not valid JSON"));
    assert!(unreadable("codex", "[mcp_servers").contains("not valid TOML"));
    assert!(unreadable("goose", "extensions: [").contains("not valid YAML"));
}

#[test]
fn names_that_occur_twice() {
    let twice = r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}"#;
    assert!(unreadable("cursor", twice).contains("`a` is in it twice"));
    let twice = r#"{"mcpServers": {}, "mcpServers": {}}"#;
    assert!(unreadable("cursor", twice).contains("`mcpServers` is in it twice"));
    let twice = r#"{"mcpServers": {"a": {"command": "x", "command": "y"}}}"#;
    assert!(unreadable("cursor", twice).contains("`command` is in it twice"));
    assert!(unreadable("goose", "extensions:\n  a: {cmd: x}\n  a: {cmd: y}\n").contains("twice"));
}

#[test]
fn nesting_without_end() {
    let deep = "[".repeat(100_000);
    unreadable("cursor", &deep);
    unreadable("codex", &format!("a = {deep}"));
    unreadable("goose", &format!("a: {deep}"));
}

/// The one server of a text cannot be governed; why.
#[track_caller]
fn ungovernable(client: &str, text: &str) -> String {
    let document = read(client, text);
    let servers = document.servers();
    assert_eq!(servers.len(), 1, "{servers:?}");
    assert!(!matches!(servers[0].state, State::Governed(_)));
    document.govern(&servers[0], &wrapper()).unwrap_err().to_string()
}

#[test]
fn entries_that_cannot_be_edited() {
    let json =
        |entry: &str| ungovernable("cursor", &format!("{{\"mcpServers\": {{\"a\": {entry}}}}}"));
    assert!(json("1").contains("not an object"));
    assert!(json(r#"{"command": 1}"#).contains("command is not a string"));
    assert!(json(r#"{"command": "x", "args": "y"}"#).contains("not a list"));
    assert!(json(r#"{"command": "x", "args": [1]}"#).contains("not all strings"));
    assert!(json(r#"{"url": "https://a.example"}"#).contains("over the network"));
    assert!(json("{}").contains("not a command"));
    let yaml = |entry: &str| ungovernable("goose", &format!("extensions:\n  a:\n{entry}"));
    assert!(yaml("    cmd: |\n      x\n").contains("one line"));
    assert!(yaml("    cmd: x\n    args: [1, [2]]\n").contains("arguments"));
}

#[test]
fn a_server_that_is_not_there() {
    let document = read("cursor", "{}");
    let server = Server {
        name: "a".into(),
        scope: None,
        is_disabled: false,
        state: State::Ungoverned(Transport::Stdio(vec!["x".into()])),
    };
    let error = document.govern(&server, &wrapper()).unwrap_err();
    assert!(error.to_string().contains("no server `a`"));
}

#[test]
fn other_programs_of_our_name_or_arguments_are_not_taken_for_ours() {
    for entry in [
        r#"{"command": "sentinel", "args": ["serve", "--", "x"]}"#,
        r#"{"command": "sentinel", "args": ["mcp", "wrap", "--"]}"#,
        r#"{"command": "sentinel", "args": ["mcp", "wrap", "x"]}"#,
        r#"{"command": "my-sentinel", "args": ["mcp", "wrap", "--", "x"]}"#,
    ] {
        let text = format!("{{\"mcpServers\": {{\"a\": {entry}}}}}");
        let servers = read("cursor", &text).servers();
        assert!(matches!(servers[0].state, State::Ungoverned(_)), "{text}");
    }
}

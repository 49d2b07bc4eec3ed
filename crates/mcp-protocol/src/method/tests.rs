use serde_json::{Value, json};

use super::*;
use crate::jsonrpc::{Object, codes};

fn object(value: Value) -> Object {
    let Value::Object(object) = value else { panic!("not an object: {value}") };
    object
}

#[test]
fn names_are_unique() {
    for (at, method) in TABLE.iter().enumerate() {
        assert!(TABLE[..at].iter().all(|other| other.name != method.name), "{}", method.name);
        assert!(method.since <= method.until);
    }
}

#[test]
fn the_documentation_names_every_method() {
    let page = include_str!("../../../../docs/mcp-protocol.md");
    for method in TABLE {
        assert!(page.contains(&format!("`{}`", method.name)), "{}", method.name);
    }
}

#[test]
fn a_method_is_served_only_under_its_exact_name_and_from_its_side() {
    assert_eq!(governance(Sender::Client, "tools/call"), Ok(Governance::Call(Call::Tool)));
    assert_eq!(
        governance(Sender::Server, "sampling/createMessage"),
        Ok(Governance::Ask(Ask::Sampling))
    );
    assert_eq!(governance(Sender::Server, "ping"), Ok(Governance::Lifecycle(Lifecycle::Ping)));
    for name in [
        "Tools/call",
        "tools/Call",
        "tools/call/",
        "tools//call",
        " tools/call",
        "tools/сall",
        "tools/call\u{200b}",
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "rpc.discover",
        "notifications/initialized",
        "notifications/progress",
        "",
    ] {
        let error = governance(Sender::Client, name).unwrap_err();
        assert_eq!(error.code, codes::METHOD_NOT_FOUND, "{name}");
    }
    for name in ["tools/call", "initialize", "tools/list", "completion/complete"] {
        assert!(governance(Sender::Server, name).is_err(), "{name}");
    }
}

#[test]
fn an_extension_is_refused_with_its_reason() {
    for (name, reason) in [
        ("tasks/get", "tasks"),
        ("tasks/anything", "tasks"),
        ("events/subscribe", "events"),
        ("skills/list", "skills"),
        ("resources/directory/read", "skills"),
        ("ui/open", "apps"),
    ] {
        let error = governance(Sender::Client, name).unwrap_err();
        assert_eq!(error.code, codes::METHOD_NOT_FOUND);
        assert!(error.message.contains(reason), "{error}");
    }
    assert_eq!(notice(Sender::Server, "notifications/tasks/status"), None);
    assert_eq!(notice(Sender::Server, "notifications/cancelled"), Some(Notice::Cancelled));
    assert_eq!(notice(Sender::Client, "notifications/tools/list_changed"), None);
    assert_eq!(notice(Sender::Server, "tools/call"), None);
}

#[test]
fn eras_have_the_methods_of_their_schemas() {
    let of = |era| {
        let names = TABLE.iter().filter(|method| method.is_of(era));
        let requests =
            names.filter(|m| m.sender == Sender::Client && !m.name.starts_with("notifications/"));
        requests
            .filter(|method| !matches!(method.governance, Governance::Refused(_)))
            .map(|method| method.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of(Era::Modern),
        [
            "server/discover",
            "subscriptions/listen",
            "tools/list",
            "prompts/list",
            "resources/list",
            "resources/templates/list",
            "tools/call",
            "prompts/get",
            "resources/read",
            "completion/complete",
        ]
    );
    assert_eq!(
        of(Era::Legacy),
        [
            "initialize",
            "ping",
            "logging/setLevel",
            "tools/list",
            "prompts/list",
            "resources/list",
            "resources/templates/list",
            "tools/call",
            "prompts/get",
            "resources/read",
            "resources/subscribe",
            "resources/unsubscribe",
            "completion/complete",
        ]
    );
}

#[test]
fn only_governed_capabilities_are_shown() {
    let server = object(json!({
        "tools": { "listChanged": true, "mystery": true },
        "resources": { "subscribe": true, "listChanged": { "smuggled": 1 } },
        "logging": {},
        "completions": { "x": 1 },
        "prompts": true,
        "experimental": { "a": {} },
        "tasks": { "list": {} },
        "extensions": { "io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": {} },
        "events": {},
    }));
    let filtered = capabilities::of_server(&server);
    let shown = json!({
        "tools": { "listChanged": true },
        "resources": { "subscribe": true, "listChanged": {} },
        "logging": {},
        "completions": {},
    });
    assert_eq!(Value::Object(filtered.capabilities), shown);
    assert_eq!(filtered.removed, ["events", "experimental", "extensions", "prompts", "tasks"]);

    let client = object(json!({
        "sampling": { "tools": {} },
        "elicitation": { "form": { "applyDefaults": true }, "url": {}, "other": {} },
        "roots": { "listChanged": true },
        "tasks": {},
    }));
    let shown = json!({
        "sampling": { "tools": {} },
        "elicitation": { "form": {}, "url": {} },
        "roots": { "listChanged": true },
    });
    assert_eq!(Value::Object(capabilities::of_client(&client).capabilities), shown);
}

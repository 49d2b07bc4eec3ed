//! Which era is spoken with a server, and that a child sees only one.

use std::time::Duration;

use sentinel_gateway::authority::Grant;
use sentinel_gateway::upstream::{EraChoice, Outbound, Reply};
use sentinel_mcp_protocol::jsonrpc::Object;
use serde_json::{Value, json};

use crate::support::{Client, Fixture, list, object, result, run, text, tool};

#[tokio::test]
async fn a_modern_server_is_asked_first() {
    let fixture = Fixture::new(&["era=both"]);
    let upstream = fixture.connect();
    let server = upstream.server().await.unwrap();
    assert_eq!(server.info["name"], "fixture");
    assert_eq!(upstream.status().version.as_deref(), Some("2026-07-28"));
    assert_eq!((fixture.count("discover"), fixture.count("initialize")), (1, 0));

    let client =
        Client { capabilities: object(json!({"sampling": {}, "tasks": {}})), ..Client::default() };
    let seen = text(upstream.request(tool("meta", json!({})), &client).await);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(seen["io.modelcontextprotocol/clientCapabilities"], json!({"sampling": {}}));
    assert_eq!(seen["io.modelcontextprotocol/clientInfo"]["name"], "sentinel");
}

#[tokio::test]
async fn a_legacy_server_gets_a_child_that_has_not_seen_the_other_era() {
    for how in ["discover=error", "discover=exit", "discover=silent"] {
        let fixture = Fixture::new(&[how]).with(|spec| {
            // Long enough for the child to start on a busy machine.
            spec.limits.discover = Duration::from_secs(5);
        });
        let upstream = fixture.connect();
        assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
        assert_eq!(upstream.status().version.as_deref(), Some("2025-11-25"), "{how}");
        assert_eq!((fixture.children().len(), fixture.count("initialize")), (2, 1), "{how}");
    }
}

#[tokio::test]
async fn the_era_of_a_legacy_client_is_tried_first_when_wanted() {
    for (era, version, children) in
        [("both", "2025-11-25", 1), ("legacy", "2025-11-25", 1), ("modern", "2026-07-28", 2)]
    {
        let option = format!("era={era}");
        let fixture = Fixture::new(&[&option]).with(|spec| spec.era = EraChoice::PreferLegacy);
        let upstream = fixture.connect();
        upstream.server().await.unwrap();
        assert_eq!(upstream.status().version.as_deref(), Some(version), "{era}");
        assert_eq!(fixture.children().len(), children, "{era}");
    }
}

#[tokio::test]
async fn only_what_is_governed_is_declared_to_a_legacy_server() {
    let fixture = Fixture::new(&[]).with(|spec| {
        spec.era = EraChoice::Legacy;
        spec.capabilities.insert("tasks".to_owned(), json!({}));
    });
    fixture.connect().server().await.unwrap();
    let declared = r#"initialize {"elicitation": {"form": {}, "url": {}}, "sampling": {}}"#;
    assert_eq!(fixture.count(declared), 1, "{:?}", fixture.log());
}

#[tokio::test]
async fn an_older_version_is_accepted_and_an_unknown_one_is_not() {
    let fixture = Fixture::new(&["version=2024-11-05"]);
    let upstream = fixture.connect();
    upstream.server().await.unwrap();
    assert_eq!(upstream.status().version.as_deref(), Some("2024-11-05"));

    for version in ["version=2030-01-01", "version=2026-07-28"] {
        let fixture = Fixture::new(&[version]);
        let upstream = fixture.connect();
        let failure = upstream.server().await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("upstream_protocol", false), "{version}");
    }
}

#[tokio::test]
async fn a_modern_server_may_require_input_and_nothing_that_is_not_governed() {
    let fixture = Fixture::new(&["era=modern"]);
    let upstream = fixture.connect();
    match run(&upstream, tool("input", json!({}))).await {
        Ok(Reply::InputRequired(object)) => assert_eq!(object["requestState"], "s"),
        other => panic!("{other:?}"),
    }
    let failure = run(&upstream, tool("task", json!({}))).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("upstream_protocol", true));
    // A modern server has no requests of its own.
    let client = Client::default();
    assert!(text(upstream.request(tool("ask", json!({})), &client).await).contains("-32601"));
    assert!(client.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn subscriptions_of_a_modern_server_are_one_request() {
    let fixture = Fixture::new(&["era=modern"]);
    let upstream = fixture.connect();
    upstream.server().await.unwrap();
    fixture.wait_for(r#"listen {"toolsListChanged": true}"#).await;
    let about = |method: &str, grant| Outbound {
        method: method.to_owned(),
        params: object(json!({"uri": "file:///a"})),
        grant,
    };
    let permit = crate::support::Permit::default();
    result(run(&upstream, about("resources/subscribe", permit.grant())).await);
    fixture
        .wait_for(r#"listen {"resourceSubscriptions": ["file:///a"], "toolsListChanged": true}"#)
        .await;
    result(run(&upstream, about("resources/unsubscribe", Grant::lifecycle())).await);
    crate::support::eventually(|| fixture.count("listen") == 3).await;
    assert_eq!(fixture.log().last().unwrap(), r#"listen {"toolsListChanged": true}"#);
}

#[tokio::test]
async fn without_a_decision_only_lists_are_sent() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    for method in [
        "tools/call",
        "prompts/get",
        "resources/read",
        "resources/subscribe",
        "completion/complete",
        "tasks/get",
        "initialize",
        "server/discover",
        "made/up",
    ] {
        let outbound = Outbound {
            method: method.to_owned(),
            params: Object::new(),
            grant: Grant::lifecycle(),
        };
        let failure = run(&upstream, outbound).await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("upstream_protocol", false), "{method}");
    }
    assert!(fixture.log().is_empty(), "nothing was even started");
    result(run(&upstream, list()).await);
    // With one, what is not governed is refused all the same.
    let mut outbound = tool("echo", json!({}));
    outbound.method = "tasks/get".to_owned();
    assert_eq!(run(&upstream, outbound).await.unwrap_err().code, "upstream_protocol");
}

//! Trap 9: a name leads to one tool of one upstream, or to none.

use serde_json::json;

use sentinel_gateway::catalog::{find_prompt, find_resource, find_tool};

use crate::world::{Fake, World, names, sound};

#[tokio::test]
async fn a_hidden_tool_is_found_so_that_its_denial_is_recorded() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::merged(&[&fake]);
    world.ledger.hide(&["files__read"]);
    let target = find_tool(&world.client(), "files__read").await;
    assert_eq!((target.registered.as_str(), target.name.as_str()), ("files__read", "read"));
    assert!(target.definition.is_some());
    assert_eq!(target.quarantined, None);
}

#[tokio::test]
async fn a_tool_is_presented_to_the_registry_before_it_is_first_called() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::merged(&[&fake]);
    let client = world.client();
    find_tool(&client, "files__read").await;
    assert_eq!(world.ledger.presented.lock().unwrap().len(), 1);
    find_tool(&client, "files__read").await;
    assert_eq!(world.ledger.presented.lock().unwrap().len(), 1, "it has seen this version");
    fake.set_tools(vec![sound("read"), sound("write")]);
    fake.announce("notifications/tools/list_changed", json!({}));
    find_tool(&client, "files__read").await;
    let presented = world.ledger.presented.lock().unwrap();
    assert_eq!(presented[1].1.len(), 2, "a changed list is seen before the call");
}

#[tokio::test]
async fn a_tool_that_cannot_be_presented_is_not_called() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::merged(&[&fake]);
    world.ledger.set_down(true);
    let target = find_tool(&world.client(), "files__read").await;
    assert_eq!(target.quarantined, Some("registry_unavailable"));
    // What only a person can change is not said to pass.
    for (code, told) in [
        ("upstream_not_wrapped", "upstream_not_wrapped"),
        ("wrap_not_allowed", "wrap_not_allowed"),
        ("overloaded", "registry_unavailable"),
    ] {
        world.ledger.refuse(code);
        let target = find_tool(&world.client(), "files__read").await;
        assert_eq!(target.quarantined, Some(told));
    }
}

#[tokio::test]
async fn other_spellings_lead_to_no_tool() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::merged(&[&fake]);
    let client = world.client();
    for name in [
        "files__Read",
        "Files__read",
        "files_read",
        "read",
        "files__r\u{0435}ad",
        "files__read ",
        "",
        "__read",
    ] {
        let target = find_tool(&client, name).await;
        assert!(target.definition.is_none(), "{name:?}");
        assert_eq!(target.registered, name, "it is decided, and recorded, as it was sent");
    }
    let single = World::single(&fake);
    for name in ["Read", "files__read", "r\u{0435}ad"] {
        assert!(find_tool(&single.client(), name).await.definition.is_none(), "{name:?}");
    }
}

#[tokio::test]
async fn a_broken_tool_is_found_with_the_reason() {
    let fake = Fake::new("files");
    fake.set_tools(vec![json!({"name": "read", "inputSchema": 1})]);
    for world in [World::merged(&[&fake]), World::single(&fake)] {
        let name = if world.route.prefixed { "files__read" } else { "read" };
        let target = find_tool(&world.client(), name).await;
        assert_eq!(target.quarantined, Some("tool_schema_broken"));
        assert!(target.definition.is_none());
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_said_to_be() {
    let fake = Fake::with_tools("files", &["read"]);
    fake.set_down(true);
    let target = find_tool(&World::merged(&[&fake]).client(), "files__read").await;
    assert_eq!(target.quarantined, Some("upstream_unavailable"));
}

#[tokio::test]
async fn resources_lead_to_their_upstream_listed_or_not() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let world = World::merged(&[&a, &b]);
    let client = world.client();
    let target = find_resource(&client, "mcp+b+file:///etc/x?y#z");
    assert_eq!(target.upstream.unwrap().name(), "b");
    assert_eq!(
        (target.registered.as_str(), target.name.as_str()),
        ("b__resources", "file:///etc/x?y#z")
    );
    for uri in ["file:///etc/x", "mcp+c+file:///x", "mcp+", "", "b+file:///x"] {
        assert!(find_resource(&client, uri).upstream.is_none(), "{uri}");
    }
    let interface = find_resource(&client, "mcp+a+UI://app");
    assert_eq!(interface.quarantined, Some("extension_not_governed"));
}

#[tokio::test]
async fn a_prompt_that_is_not_listed_has_no_definition() {
    let fake = Fake::new("files");
    fake.set("prompts/list", vec![json!({"prompts": [{"name": "sum"}]})]);
    let world = World::merged(&[&fake]);
    let client = world.client();
    assert!(find_prompt(&client, "files__sum").await.definition.is_some());
    assert!(find_prompt(&client, "files__other").await.definition.is_none());
    assert!(find_prompt(&client, "sum").await.upstream.is_none());
}

#[tokio::test]
async fn listing_presents_the_tools_too() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::merged(&[&fake]);
    let client = world.client();
    names(&client, "tools/list").await;
    find_tool(&client, "files__read").await;
    assert_eq!(world.ledger.presented.lock().unwrap().len(), 1);
}

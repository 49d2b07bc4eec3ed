//! Tools that call other tools: policy sees the real one.

use std::collections::BTreeMap;

use sentinel_gateway::enforce::{MetaTool, Settings};
use serde_json::{Value, json};

use crate::world::{World, call, code};

async fn start() -> World {
    let meta = MetaTool { name: "/tool".to_owned(), arguments: "/arguments".to_owned() };
    let meta_tools = BTreeMap::from([("files__meta".to_owned(), meta)]);
    World::start_with(Settings { meta_tools, ..Settings::default() }).await
}

#[tokio::test]
async fn policy_decides_the_meta_tool_and_what_it_calls() {
    let world = start().await;
    let arguments = json!({"tool": "read", "arguments": {"path": "/tmp"}});
    let result = call(&world.client(), "meta", arguments.clone()).await;
    assert_eq!(result["isError"], Value::Null);
    let asked = world.policy.asked();
    let asked: Vec<_> = asked.iter().map(|asked| (&asked["tool"], &asked["arguments"])).collect();
    let inner = json!({"path": "/tmp"});
    assert_eq!(asked, [(&json!("files__meta"), &arguments), (&json!("files__read"), &inner)]);
    assert_eq!(world.upstream.calls()[0].1["arguments"], arguments);
    for (_, code, id) in world.decisions().await {
        assert_eq!(code, "allowed");
        assert_eq!(world.outcomes(id).await, ["executed"]);
    }
}

#[tokio::test]
async fn a_tool_that_is_denied_is_not_reached_through_a_meta_tool() {
    let world = start().await;
    world.policy.deny("files__write");
    let result = call(&world.client(), "meta", json!({"tool": "write"})).await;
    assert_eq!(code(&result), "policy_denied");
    // Neither by a name that is qualified, nor by one that is not registered.
    let result = call(&world.client(), "meta", json!({"tool": "files__write"})).await;
    assert_eq!(code(&result), "policy_denied");
    let result = call(&world.client(), "meta", json!({"tool": "other"})).await;
    assert_eq!(code(&result), "unknown_tool");
    for nonsense in [json!({}), json!({"tool": 1}), json!({"tool": "meta"})] {
        assert_eq!(code(&call(&world.client(), "meta", nonsense).await), "invalid_call");
    }
    assert!(world.upstream.calls().is_empty());
    let meta = world.decisions().await.into_iter().find(|(tool, ..)| tool == "files__meta");
    assert_eq!(world.outcomes(meta.unwrap().2).await, ["not_executed"]);
}

#[tokio::test]
async fn a_kill_of_the_real_tool_ends_the_call_of_the_meta_tool() {
    let world = start().await;
    world.upstream.will("meta", crate::world::Behaviour::Wait(json!({})));
    let client = world.client();
    let calling = tokio::spawn(async move { call(&client, "meta", json!({"tool": "read"})).await });
    crate::world::within(world.upstream.arrived.notified()).await;
    assert_eq!(world.kill("read").await.reached.calls, 1);
    assert_eq!(code(&calling.await.unwrap()), "killed");
    assert_eq!(*world.upstream.withdrawn.lock().unwrap(), ["killed"]);
}

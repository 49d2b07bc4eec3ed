//! Repeats of a call that must not act twice, across sessions.

use serde_json::{Value, json};

use sentinel_gateway::enforce::call_tool;

use crate::world::{Behaviour, Talk, World, call, code, decision, request, text, within};

fn done(text: &str) -> Behaviour {
    Behaviour::Result(json!({"content": [{"type": "text", "text": text}]}))
}

#[tokio::test]
async fn a_repeat_gets_the_first_result_in_another_session_too() {
    let world = World::start().await;
    world.policy.set(|_| Ok((true, Some(10))));
    world.upstream.will("write", done("first"));
    let first = call(&world.client(), "write", json!({"n": 1})).await;
    world.upstream.will("write", done("second"));
    let repeat = call(&world.client(), "write", json!({"n": 1})).await;
    assert_eq!((text(&first), text(&repeat)), ("first", "first"));
    assert_eq!(repeat["_meta"]["sentinel/repeats"], json!(decision(&first)));
    assert_eq!(world.upstream.calls().len(), 1);
    // Counted once, and decided again.
    assert_eq!(world.decisions().await.len(), 1);
    assert_eq!(world.policy.asked().len(), 2);
    // Another call is another call.
    assert_eq!(text(&call(&world.client(), "write", json!({"n": 2})).await), "second");
}

#[tokio::test]
async fn a_repeat_waits_for_a_first_call_under_way() {
    let world = World::start().await;
    world
        .upstream
        .will("write", Behaviour::Wait(json!({"content": [{"type": "text", "text": "1"}]})));
    let (one, two) = (world.client(), world.client());
    let first = tokio::spawn(async move { call(&one, "write", json!({})).await });
    within(world.upstream.arrived.notified()).await;
    let second = tokio::spawn(async move { call(&two, "write", json!({})).await });
    tokio::task::yield_now().await;
    world.upstream.go.notify_one();
    let (first, second) = (within(first).await.unwrap(), within(second).await.unwrap());
    assert_eq!((text(&first), text(&second)), ("1", "1"));
    assert_eq!(world.upstream.calls().len(), 1);
}

#[tokio::test]
async fn others_and_harmless_tools_are_not_held() {
    let world = World::start().await;
    let principals = [world.principal("one").await, world.principal("two").await];
    for principal in principals {
        call(&world.client_of(principal), "write", json!({})).await;
    }
    for tool in ["read", "plain"] {
        for _ in 0..2 {
            let result = call(&world.client(), tool, json!({})).await;
            assert_eq!(result["_meta"].get("sentinel/repeats"), None, "{tool}");
        }
    }
    assert_eq!(world.upstream.calls().len(), 6);
}

#[tokio::test]
async fn a_repeat_is_given_no_result_that_policy_or_a_kill_denies_by_now() {
    let world = World::start().await;
    let client = world.client();
    assert_eq!(text(&call(&client, "write", json!({})).await), "done");
    world.policy.deny("files__write");
    assert_eq!(code(&call(&client, "write", json!({})).await), "policy_denied");
    world.policy.allow_all();
    assert_eq!(text(&call(&client, "write", json!({})).await), "done");
    world.kill("write").await;
    assert_eq!(code(&call(&client, "write", json!({})).await), "killed");
    assert_eq!(world.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_call_that_was_not_made_is_made_by_its_repeat() {
    let world = World::start().await;
    let client = world.client();
    world.policy.deny("files__write");
    assert_eq!(code(&call(&client, "write", json!({})).await), "policy_denied");
    world.policy.allow_all();
    world.upstream.will("write", Behaviour::Fail { may_have_run: false });
    assert_eq!(call(&client, "write", json!({})).await["isError"], true);
    world.upstream.will("write", done("made"));
    assert_eq!(text(&call(&client, "write", json!({})).await), "made");
}

#[tokio::test]
async fn a_call_that_may_have_been_made_is_not_made_again() {
    let world = World::start().await;
    let client = world.client();
    world.upstream.will("write", Behaviour::Fail { may_have_run: true });
    let first = call(&client, "write", json!({})).await;
    world.upstream.will("write", done("again"));
    let repeat = call(&client, "write", json!({})).await;
    assert_eq!(code(&repeat), "repeated_call");
    assert_eq!(decision(&repeat), decision(&first));
    assert!(text(&repeat).contains("Find out whether the first call was carried out"), "{repeat}");
    assert_eq!(world.upstream.calls().len(), 1);
}

/// A client that is gone before its result comes gets it when it asks again, even of a tool that
/// does not say whether it may act twice; and only then.
#[tokio::test]
async fn a_result_that_was_lost_is_handed_out_once() {
    let world = World::start().await;
    let client = world.client();
    world.upstream.will("plain", done("lost"));
    let talk = Talk::default();
    talk.gone.send_replace(true);
    let lost = request("tools/call", json!({"name": "files__plain", "arguments": {}}));
    within(call_tool(&client, &lost, &talk)).await.unwrap();
    world.upstream.will("plain", done("new"));
    let repeat = call(&client, "plain", json!({})).await;
    assert_eq!(text(&repeat), "lost");
    assert_ne!(repeat["_meta"]["sentinel/repeats"], Value::Null);
    assert_eq!(text(&call(&client, "plain", json!({})).await), "new");
}

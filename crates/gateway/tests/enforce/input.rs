//! Calls that wait for their client to respond, and go on with its next request.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::world::{Behaviour, World, code, decision, text, try_call};

async fn start() -> World {
    let world = World::start().await;
    world.policy.set(|_| Ok((true, Some(2))));
    let question = json!({
        "resultType": "input_required",
        "inputRequests": {"q": {"method": "elicitation/create", "params": {"message": "sure?"}}},
        "requestState": "the server's",
    });
    let done = json!({"content": [{"type": "text", "text": "done"}]});
    world.upstream.will("plain", Behaviour::Input(question, done));
    world
}

fn first() -> Value {
    json!({"name": "files__plain", "arguments": {"n": 1}})
}

fn retry(waiting: &Value) -> Value {
    let mut params = first();
    params["inputResponses"] = json!({"q": {"action": "accept"}});
    params["requestState"] = waiting["requestState"].clone();
    params
}

#[tokio::test]
async fn a_call_goes_on_decided_again_and_counted_once() {
    let world = start().await;
    let client = world.client();
    let waiting = try_call(&client, first()).await.unwrap();
    assert_eq!(waiting["resultType"], "input_required");
    assert_eq!(waiting["inputRequests"]["q"]["params"]["message"], "sure?");
    assert_ne!(waiting["requestState"], "the server's");
    let asked = world.policy.asked().len();
    // Another request of the same client: nothing is kept in memory.
    let done = try_call(&world.client(), retry(&waiting)).await.unwrap();
    assert_eq!(text(&done), "done");
    assert!(asked >= 1 && !world.policy.asked().is_empty());
    let (_, sent) = world.upstream.calls().pop().unwrap();
    assert_eq!(sent["requestState"], "the server's");
    assert_eq!(sent["inputResponses"], json!({"q": {"action": "accept"}}));
    assert_eq!(sent["arguments"], json!({"n": 1}));
    let decided = world.decisions().await;
    let of_tool = decided.iter().filter(|(tool, ..)| tool == "files__plain").count();
    assert_eq!(of_tool, 1, "{decided:?}");
    assert_eq!(world.outcomes(decision(&done)).await, ["executed"]);
    // Two fit into the quota: so another one is left.
    assert_eq!(try_call(&client, first()).await.unwrap()["resultType"], "input_required");
    assert_eq!(code(&try_call(&client, first()).await.unwrap()), "quota_exceeded");
}

#[tokio::test]
async fn a_state_that_is_sent_again_is_a_new_call_and_counted() {
    let world = start().await;
    world.policy.set(|_| Ok((true, Some(3))));
    let client = world.client();
    let waiting = try_call(&client, first()).await.unwrap();
    // Eight at once, of which one goes on with the call, and two more fit into the quota.
    let sent = (0..8).map(|_| try_call(&client, retry(&waiting)));
    let results: Vec<_> = join_all(sent).await.into_iter().map(Result::unwrap).collect();
    let (done, denied): (Vec<_>, Vec<_>) =
        results.iter().partition(|result| result["isError"] != true);
    assert_eq!((done.len(), denied.len()), (3, 5), "{results:?}");
    assert!(denied.iter().all(|result| code(result) == "quota_exceeded"), "{denied:?}");
    assert_eq!(world.upstream.calls().len(), 4);
    let decided = world.decisions().await;
    let allowed =
        decided.iter().filter(|(tool, code, _)| tool == "files__plain" && code == "allowed");
    assert_eq!(allowed.count(), 3, "{decided:?}");
}

#[tokio::test]
async fn a_call_of_several_rounds_is_counted_once_and_each_state_serves_once() {
    let world = start().await;
    let is_plain = |tool: &str| tool == "files__plain";
    world.policy.set(move |input| Ok((true, is_plain(input.tool.as_str()).then_some(1))));
    world.upstream.will("plain", Behaviour::Rounds(3));
    let client = world.client();
    let mut waiting = try_call(&client, first()).await.unwrap();
    for _ in 1..3 {
        let next = try_call(&client, retry(&waiting)).await.unwrap();
        assert_eq!(next["resultType"], "input_required", "{next}");
        let again = try_call(&client, retry(&waiting)).await.unwrap();
        assert_eq!(code(&again), "quota_exceeded");
        waiting = next;
    }
    assert_eq!(text(&try_call(&client, retry(&waiting)).await.unwrap()), "done");
    assert_eq!(world.upstream.calls().len(), 4);
}

#[tokio::test]
async fn a_call_that_is_denied_by_now_does_not_go_on() {
    let world = start().await;
    let client = world.client();
    let waiting = try_call(&client, first()).await.unwrap();
    world.policy.deny("files__plain");
    assert_eq!(code(&try_call(&client, retry(&waiting)).await.unwrap()), "policy_denied");
    world.policy.allow_all();
    world.kill("plain").await;
    assert_eq!(code(&try_call(&client, retry(&waiting)).await.unwrap()), "killed");
    assert_eq!(world.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_state_is_of_no_use_to_another_call_or_caller() {
    let world = start().await;
    let client = world.client();
    let waiting = try_call(&client, first()).await.unwrap();
    let mut other = retry(&waiting);
    other["arguments"] = json!({"n": 2});
    assert_eq!(try_call(&client, other).await.unwrap_err().code, -32602);
    let mut other = retry(&waiting);
    other["name"] = json!("files__read");
    assert_eq!(try_call(&client, other).await.unwrap_err().code, -32602);
    let stranger = world.client_of(world.principal("stranger").await);
    assert_eq!(try_call(&stranger, retry(&waiting)).await.unwrap_err().code, -32602);
    let mut raw = retry(&waiting);
    raw["requestState"] = json!("the server's");
    assert_eq!(try_call(&client, raw).await.unwrap_err().code, -32602);
    assert_eq!(world.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_question_that_policy_denies_is_not_handed_on() {
    let world = start().await;
    world.policy.deny("files__elicitation");
    let result = try_call(&world.client(), first()).await.unwrap();
    assert_eq!(code(&result), "policy_denied");
    assert!(text(&result).contains("the server wanted to ask"), "{result}");
}

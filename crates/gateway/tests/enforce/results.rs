//! Results that every client survives, and the end of calls that get none.

use serde_json::{Value, json};

use crate::world::{Behaviour, Talk, World, call, decision, request, text};

async fn result_of(world: &World, result: Value) -> Value {
    world.upstream.will("plain", Behaviour::Result(result));
    call(&world.client(), "plain", json!({"n": 1})).await
}

#[tokio::test]
async fn an_empty_result_gets_a_text() {
    let world = World::start().await;
    for empty in [json!({}), json!({"content": []}), json!({"structuredContent": null})] {
        let result = result_of(&world, empty).await;
        assert_eq!(text(&result), "Done. The tool returned nothing.");
        assert_eq!(result.get("isError"), None);
    }
    let failed = result_of(&world, json!({"content": [], "isError": true})).await;
    assert!(text(&failed).starts_with("The tool failed"), "{failed}");
    let structured = result_of(&world, json!({"structuredContent": {"a": 1}})).await;
    assert_eq!(structured["content"], json!([]));
}

#[tokio::test]
async fn a_result_passes_as_it_is() {
    let world = World::start().await;
    let mut sent = json!({
        "content": [
            {"type": "text", "text": "ü", "annotations": {"priority": 0.5}, "later": {"x": 1}},
            {"type": "image", "data": "AA==", "mimeType": "image/png"},
            {"type": "of_tomorrow", "x": [1.0, -0.0, 1e30]},
        ],
        "structuredContent": {"tools": [], "action": "x"},
        "isError": true,
        "resultType": "complete",
        "tools": [1],
        "_meta": {"example.com/a": 1},
    });
    let mut result = result_of(&world, sent.clone()).await;
    let meta = result["_meta"].as_object_mut().unwrap();
    meta.retain(|key, _| !key.starts_with("sentinel/"));
    assert_eq!(result, sent);
    // What only the gateway says, a server cannot say.
    sent["_meta"] = json!({"sentinel/manifest": "forged", "sentinel/repeats": "x"});
    let result = result_of(&world, sent).await;
    assert_ne!(result["_meta"]["sentinel/manifest"], "forged");
    assert_eq!(result["_meta"].get("sentinel/repeats"), None);
}

#[tokio::test]
async fn a_result_that_cannot_be_kept_says_that_the_tool_was_carried_out() {
    let world = World::start().await;
    for broken in [
        json!({"content": "text"}),
        json!({"content": ["text"]}),
        json!({"content": [{"text": "x"}]}),
        json!({"content": [], "isError": "yes"}),
        json!({"content": [], "resultType": "task", "taskId": "1"}),
    ] {
        let result = result_of(&world, broken.clone()).await;
        assert_eq!(result["isError"], true, "{broken}");
        assert!(text(&result).starts_with("The tool was carried out, but"), "{result}");
        assert!(text(&result).contains("do not retry"), "{result}");
        assert_eq!(world.outcomes(decision(&result)).await, ["executed"]);
    }
}

#[tokio::test]
async fn structured_content_that_was_promised_and_is_missing_is_an_error_after_the_fact() {
    let world = World::start().await;
    world.upstream.add_tool(json!({
        "name": "odd",
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object"},
    }));
    let client = world.client();
    let content = json!([{"type": "text", "text": "x"}]);
    world.upstream.will("odd", Behaviour::Result(json!({ "content": content })));
    let result = call(&client, "odd", json!({})).await;
    assert!(text(&result).starts_with("The tool was carried out, but"), "{result}");
    // A failure need not keep the promise.
    let failed = json!({"content": content, "isError": true});
    world.upstream.will("odd", Behaviour::Result(failed));
    assert_eq!(text(&call(&client, "odd", json!({"n": 2})).await), "x");
}

#[tokio::test]
async fn a_call_without_a_reply_says_whether_it_may_have_been_carried_out() {
    let world = World::start().await;
    let client = world.client();
    for (may_have_run, outcome, words) in [
        (true, "unconfirmed", "Whether it was carried out is not known"),
        (false, "not_executed", "Nothing was carried out"),
    ] {
        world.upstream.will("plain", Behaviour::Fail { may_have_run });
        let result = call(&client, "plain", json!({})).await;
        assert_eq!(result["isError"], true);
        assert!(text(&result).contains(words), "{result}");
        assert!(text(&result).contains("the connection broke"), "{result}");
        assert_eq!(world.outcomes(decision(&result)).await, [outcome]);
    }
}

#[tokio::test]
async fn the_outcome_of_a_call_is_recorded_when_its_client_is_gone() {
    let world = World::start().await;
    world.upstream.will("plain", Behaviour::Wait(json!({})));
    let client = world.client();
    let (request, talk) = (request("tools/call", json!({"name": "files__plain"})), Talk::default());
    {
        let serving = sentinel_gateway::enforce::call_tool(&client, &request, &talk);
        let mut serving = Box::pin(serving);
        tokio::select! {
            result = &mut serving => panic!("{result:?}"),
            () = world.upstream.arrived.notified() => {}
        }
        // The front drops the request.
    }
    let decided = world.decisions().await;
    assert_eq!(world.outcomes(decided[0].2).await, ["unconfirmed"]);
    assert_eq!(world.services.calls.in_flight(), 0);
}

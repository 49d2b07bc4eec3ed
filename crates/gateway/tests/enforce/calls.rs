//! What is decided is what is sent, and how a deny is told.

use sentinel_core::policy::PolicyError;
use sentinel_gateway::enforce::{Settings, Sign};
use serde_json::{Value, json};

use crate::world::{ADMIN, Behaviour, World, call, code, decision, text, try_call};

#[tokio::test]
async fn what_was_decided_is_what_is_sent() {
    let world = World::start().await;
    let client = world.client();
    let arguments = json!({"b": 1.5, "a": {"z": [1, "ä", null], "y": 9_007_199_254_740_993_i64}});
    let params = json!({
        "name": "files__read",
        "arguments": arguments,
        "_meta": {
            "progressToken": 7,
            "sentinel/purpose": "testing",
            "sentinel/decision": "forged",
        },
    });
    let result = try_call(&client, params).await.unwrap();
    assert_eq!(text(&result), "done");
    let asked = world.policy.asked();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(asked["tool"], "files__read");
    assert_eq!((&asked["action"], &asked["purpose"]), (&json!("call"), &json!("testing")));
    let sent = world.upstream.calls();
    let [(method, sent)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(method, "tools/call");
    // Byte for byte, and under the name of the server.
    assert_eq!(sent["arguments"].to_string(), asked["arguments"].to_string());
    let expected = json!({
        "name": "read",
        "arguments": arguments,
        "_meta": {"progressToken": 7},
    });
    assert_eq!(*sent, expected);
}

#[tokio::test]
async fn the_outcome_is_recorded_signed_and_named_in_the_result() {
    let world = World::start().await;
    let result = call(&world.client(), "read", json!({})).await;
    let decision = decision(&result);
    assert_eq!(world.outcomes(decision).await, ["executed"]);
    let manifest = result["_meta"]["sentinel/manifest"].as_str().unwrap().parse().unwrap();
    let verified = world.services.provenance.verify(&ADMIN, manifest).await.unwrap().unwrap();
    assert_eq!(verified.manifest.decision_id, Some(decision));
    // What was committed to is the result, without what the gateway wrote into it.
    let salt = world.services.provenance.salt(&verified.manifest).await.unwrap();
    let mut plain = result;
    plain.as_object_mut().unwrap().remove("_meta");
    let digest = salt.commit(plain.to_string().as_bytes());
    assert_eq!(*digest.as_bytes(), verified.manifest.payload_digest);
}

#[tokio::test]
async fn signing_can_follow_the_result_or_be_off() {
    let after = World::start_with(Settings { sign: Sign::After, ..Settings::default() }).await;
    let result = call(&after.client(), "read", json!({})).await;
    assert_eq!(result["_meta"].get("sentinel/manifest"), None);
    assert_eq!(after.outcomes(decision(&result)).await, ["executed"]);
    let off = World::start_with(Settings { sign: Sign::Off, ..Settings::default() }).await;
    let result = call(&off.client(), "read", json!({})).await;
    assert_eq!(result["_meta"].get("sentinel/manifest"), None);
    assert_eq!(off.decisions().await.len(), 1);
}

#[tokio::test]
async fn a_deny_is_a_result_that_every_client_survives_and_nothing_is_sent() {
    let world = World::start().await;
    world.policy.deny("files__write");
    let result = call(&world.client(), "write", json!({"path": "/etc"})).await;
    assert_eq!(code(&result), "policy_denied");
    let text = text(&result);
    assert!(text.starts_with("Denied by policy: writes need an approval. Repeating"), "{text}");
    assert!(text.contains(&decision(&result).to_string()), "{text}");
    assert_eq!(result["content"].as_array().unwrap().len(), 1);
    assert_eq!(result.get("structuredContent"), None);
    assert!(world.upstream.calls().is_empty());
    // The session goes on.
    assert_eq!(call(&world.client(), "read", json!({})).await["isError"], Value::Null);
}

#[tokio::test]
async fn no_error_allows() {
    let world = World::start().await;
    let client = world.client();
    for (error, expected) in [
        (PolicyError::NoPolicy, "no_policy"),
        (PolicyError::Undefined, "policy_undefined"),
        (PolicyError::TimedOut, "policy_timeout"),
        (PolicyError::Unavailable("x".to_owned()), "policy_unavailable"),
        (PolicyError::Failed("x".to_owned()), "policy_error"),
    ] {
        world.policy.set(move |_| Err(error.clone()));
        assert_eq!(code(&call(&client, "read", json!({})).await), expected);
    }
    assert!(world.upstream.calls().is_empty());
}

#[tokio::test]
async fn a_quota_that_is_used_up_says_when_to_come_back() {
    let world = World::start().await;
    world.policy.set(|_| Ok((true, Some(1))));
    let client = world.client();
    assert_eq!(call(&client, "read", json!({})).await["isError"], Value::Null);
    let result = call(&client, "read", json!({})).await;
    assert_eq!(code(&result), "quota_exceeded");
    // The window of the day ends at midnight, UTC: 10:20:30 is 49,170 s before that.
    assert_eq!(result["_meta"]["sentinel/denial"]["retry_after_ms"], 49_170_000);
    assert!(text(&result).contains("Do not repeat it before 49170 seconds have passed."));
    assert_eq!(world.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_tool_that_is_not_listed_is_decided_and_never_sent() {
    let world = World::start().await;
    let client = world.client();
    // Registered and allowed, and the server does not list it.
    let error = try_call(&client, json!({"name": "files__hidden"})).await.unwrap_err();
    assert_eq!(error.code, -32602);
    let unknown = try_call(&client, json!({"name": "files__nothing"})).await.unwrap();
    assert_eq!(code(&unknown), "unknown_tool");
    let elsewhere = try_call(&client, json!({"name": "other__read"})).await.unwrap();
    assert_eq!(code(&elsewhere), "unknown_tool");
    let decided = world.decisions().await;
    let decided: Vec<_> =
        decided.iter().map(|(tool, code, _)| (tool.as_str(), code.as_str())).collect();
    let unknown = "unknown_tool";
    let expected =
        [("files__hidden", "allowed"), ("files__nothing", unknown), ("other__read", unknown)];
    assert_eq!(decided, expected);
    assert_eq!(world.outcomes(world.decisions().await[0].2).await, ["not_executed"]);
    assert!(world.upstream.calls().is_empty());
}

#[tokio::test]
async fn variants_of_a_name_reach_no_tool() {
    let world = World::start().await;
    let client = world.client();
    for variant in
        ["files__READ", "Files__read", "files__read ", "files__r\u{435}ad", "read", "files_read"]
    {
        let result = try_call(&client, json!({"name": variant})).await;
        let denied = result.is_err() || result.is_ok_and(|result| result["isError"] == true);
        assert!(denied, "{variant}");
    }
    assert!(world.upstream.calls().is_empty());
}

#[tokio::test]
async fn malformed_calls_are_refused_before_they_are_decided() {
    let world = World::start().await;
    let client = world.client();
    for params in [
        json!({}),
        json!({"name": 1}),
        json!({"name": "files__read", "arguments": []}),
        json!({"name": "files__read", "arguments": "{}"}),
        json!({"name": "files__read", "other": 1}),
        json!({"name": "files__read", "_meta": 1}),
        json!({"name": "files__read", "_meta": {"sentinel/purpose": 1}}),
        json!({"name": "files__read", "_meta": {"sentinel/purpose": null}}),
        json!({"name": "files__read", "inputResponses": {"a": {}}}),
        json!({"name": "files__read", "requestState": "made up"}),
    ] {
        assert_eq!(try_call(&client, params.clone()).await.unwrap_err().code, -32602, "{params}");
    }
    assert!(world.decisions().await.is_empty());
    assert!(world.upstream.calls().is_empty());
}

#[tokio::test]
async fn a_purpose_that_is_not_valid_is_denied() {
    let world = World::start().await;
    let params = json!({"name": "files__read", "_meta": {"sentinel/purpose": "a\nb"}});
    assert_eq!(code(&try_call(&world.client(), params).await.unwrap()), "invalid_call");
    assert!(world.upstream.calls().is_empty());
}

#[tokio::test]
async fn an_error_of_the_server_passes_and_is_recorded() {
    let world = World::start().await;
    for (error, outcome) in [(-32602, "not_executed"), (-32603, "unconfirmed"), (-1, "unconfirmed")]
    {
        world.upstream.will("read", Behaviour::Error(error));
        let failed = try_call(&world.client(), json!({"name": "files__read"})).await.unwrap_err();
        assert_eq!((failed.code, failed.message.as_str()), (error, "the server's own"));
        let last = world.decisions().await.last().unwrap().2;
        assert_eq!(world.outcomes(last).await, [outcome], "{error}");
    }
}

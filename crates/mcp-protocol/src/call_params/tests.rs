use serde_json::json;

use super::*;
use crate::jsonrpc::codes;

fn object(value: Value) -> Object {
    let Value::Object(object) = value else { panic!("not an object: {value}") };
    object
}

/// Every sound form of parameters, with a function that reads them and writes them again.
type Reread = fn(Object) -> Result<Object, RpcError>;

fn sound() -> Vec<(Reread, Value)> {
    let tool: Reread = |params| ToolCall::read(params).map(ToolCall::into_params);
    let prompt: Reread = |params| PromptGet::read(params).map(PromptGet::into_params);
    let resource: Reread = |params| ResourceRead::read(params).map(ResourceRead::into_params);
    let subscription: Reread = |params| Subscription::read(params).map(Subscription::into_params);
    let completion: Reread = |params| Completion::read(params).map(Completion::into_params);
    let retry = json!({ "a": { "action": "accept", "content": {} } });
    vec![
        (tool, json!({ "name": "n" })),
        (tool, json!({ "name": "n", "arguments": {} })),
        (
            tool,
            json!({
                "name": "n", "arguments": { "x": [null, 1.5] }, "_meta": { "progressToken": 1 },
                "inputResponses": retry, "requestState": "s",
            }),
        ),
        (prompt, json!({ "name": "ü", "arguments": { "a": "b" }, "requestState": "" })),
        (resource, json!({ "uri": "file:///a b", "_meta": {}, "inputResponses": {} })),
        (subscription, json!({ "uri": "x" })),
        (
            completion,
            json!({
                "ref": { "type": "ref/prompt", "name": "n", "title": "t" },
                "argument": { "name": "a", "value": "" },
                "context": { "arguments": { "b": "c" } },
                "_meta": {},
            }),
        ),
        (
            completion,
            json!({
                "ref": { "type": "ref/resource", "uri": "x://{a}" },
                "argument": { "name": "a", "value": "v" },
            }),
        ),
    ]
}

#[test]
fn what_is_read_is_what_is_written() {
    for (reread, params) in sound() {
        assert_eq!(reread(object(params.clone())).map(Value::Object), Ok(params));
    }
}

#[test]
fn an_unknown_member_is_refused_wherever_it_is() {
    for (reread, params) in sound() {
        for key in ["extra", "Name", "argument ", "task", "arguments\u{200b}"] {
            let mut params = object(params.clone());
            params.insert(key.to_owned(), json!({}));
            let error = reread(params).unwrap_err();
            assert_eq!(error.code, codes::INVALID_PARAMS, "{key}");
        }
        for inner in ["ref", "argument", "context"] {
            let mut params = object(params.clone());
            let Some(Value::Object(inner)) = params.get_mut(inner) else { continue };
            inner.insert("extra".to_owned(), json!(1));
            assert!(reread(params).is_err());
        }
    }
}

#[test]
fn a_member_of_another_type_is_refused() {
    for (reread, params) in sound() {
        for key in params.as_object().unwrap().keys() {
            for wrong in [Value::Null, json!(1), json!([]), json!([["name", "n"]]), json!(true)] {
                let mut params = object(params.clone());
                params.insert(key.clone(), wrong.clone());
                let error = reread(params).unwrap_err();
                assert_eq!(error.code, codes::INVALID_PARAMS, "{key}: {wrong}");
            }
        }
    }
    let read = |params| ToolCall::read(object(params)).unwrap_err();
    for params in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": "a\nb" }),
        json!({ "name": "n".repeat(MAX_NAME_BYTES + 1) }),
        json!({ "name": "n", "inputResponses": { "a": "text" } }),
        json!({ "name": "n", "requestState": "s".repeat(MAX_STATE_BYTES + 1) }),
    ] {
        assert!(read(params).message.len() < 100);
    }
    let prompt = json!({ "name": "n", "arguments": { "a": 1 } });
    assert!(PromptGet::read(object(prompt)).is_err());
    let reference = json!({
        "ref": { "type": "ref/tool", "name": "n" }, "argument": { "name": "a", "value": "" },
    });
    assert!(Completion::read(object(reference)).is_err());
}

#[test]
fn a_filter_keeps_what_the_gateway_can_deliver() {
    let filter = json!({
        "notifications": {
            "toolsListChanged": true,
            "promptsListChanged": false,
            "taskIds": ["t"],
            "resourceSubscriptions": ["a://b"],
        },
    });
    let listen = Listen::read(object(filter)).unwrap();
    let kept = json!({ "toolsListChanged": true, "resourceSubscriptions": ["a://b"] });
    assert_eq!(Value::Object(listen.to_filter()), kept);
    for params in [
        json!({}),
        json!({ "notifications": { "toolsListChanged": 1 } }),
        json!({ "notifications": { "resourceSubscriptions": "a://b" } }),
        json!({ "notifications": { "resourceSubscriptions": [1] } }),
        json!({ "notifications": { "resourceSubscriptions": [""] } }),
        json!({ "notifications": { "resourceSubscriptions": vec!["a"; 1001] } }),
        json!({ "notifications": {}, "extra": 1 }),
    ] {
        assert!(Listen::read(object(params.clone())).is_err(), "{params}");
    }
    assert!(Page::read(object(json!({ "cursor": 1 }))).is_err());
    assert!(Page::read(object(json!({ "cursor": "c", "limit": 1 }))).is_err());
    assert!(SetLevel::read(object(json!({ "level": "loud" }))).is_err());
    assert!(SetLevel::read(object(json!({ "level": "debug" }))).is_ok());
}

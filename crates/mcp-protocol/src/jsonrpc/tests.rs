use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(text: &str) -> Result<Message, Malformed> {
    parse(text.as_bytes(), &LIMITS)
}

fn refused(text: &str) -> Malformed {
    read(text).expect_err(text)
}

#[test]
fn reads_every_kind_of_message() {
    let request = read(r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"x"}}"#);
    let Message::Request(request) = request.unwrap() else { panic!("not a request") };
    assert_eq!(request.id, Id::Integer(7));
    assert_eq!(request.method, "tools/list");
    assert_eq!(request.params["cursor"], "x");

    let absent = read(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#).unwrap();
    let empty = read(r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":{}}"#).unwrap();
    assert_eq!(absent, empty, "absent parameters are empty ones");

    let notification = read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
    assert!(matches!(notification, Message::Notification(_)));

    let result = read(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#).unwrap();
    let Message::Response(result) = result else { panic!("not a response") };
    assert_eq!(result.outcome.unwrap()["tools"], json!([]));

    for id in [r#""id":null,"#, ""] {
        let error = format!(
            r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32700,"message":"m","data":[1]}}}}"#
        );
        let Message::Response(error) = read(&error).unwrap() else { panic!("not a response") };
        assert_eq!(error.id, None);
        let error = error.outcome.unwrap_err();
        assert_eq!((error.code, error.data), (-32700, Some(json!([1]))));
    }
}

#[test]
fn refuses_what_is_not_one_sound_message_and_names_its_id() {
    let long = "x".repeat(MAX_ID_BYTES + 1);
    let method = "m".repeat(MAX_METHOD_BYTES + 1);
    // Each with the id that the sender is told.
    let cases = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","extra":1}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#.to_owned(), Some(1)),
        (r#"{"id":1,"method":"a"}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":null}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":5}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call "}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/сall"}"#.to_owned(), Some(1)),
        (format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#.to_owned(), None),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#.to_owned(), None),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"a"}"#.to_owned(), None),
        (r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"a"}"#.to_owned(), None),
        (r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#.to_owned(), None),
        (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#.to_owned(), None),
        (format!(r#"{{"jsonrpc":"2.0","id":"{long}","method":"a"}}"#), None),
        (r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#.into(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#.to_owned(), None),
        (r#"{"jsonrpc":"2.0","result":{}}"#.to_owned(), None),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#.to_owned(), Some(1)),
        // Refused by the strict parser, but the id is plain.
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"a":1,"a":2}}"#.to_owned(), Some(1)),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#.to_owned(), None),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#.to_owned(), None),
        ("5".to_owned(), None),
    ];
    for (text, id) in cases {
        let malformed = refused(&text);
        assert_eq!(malformed.id, id.map(Id::Integer), "{text}");
        assert_eq!(malformed.error.code, codes::INVALID_REQUEST, "{text}");
        assert!(malformed.error.message.len() < 200, "{text}");
    }
    for text in ["", "{", "{}{}", r#"{"jsonrpc":"2.0","id":1,"method":"a"} x"#, "\u{feff}{}"] {
        assert_eq!(refused(text).error.code, codes::PARSE_ERROR, "{text}");
    }
}

#[test]
fn only_what_may_be_a_request_expects_a_response() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}"#,
        r#"{"jsonrpc":"2.0","method":"a","params":7}"#,
        r#"{"jsonrpc":"2.0","method":"a","params":{"a":1,"a":2}}"#,
    ] {
        assert!(!refused(text).expects_response, "{text}");
    }
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"a":1,"a":2}}"#,
        "[]",
        "{",
    ] {
        assert!(refused(text).expects_response, "{text}");
    }
}

#[test]
fn limits_hold_before_anything_is_built() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{{"x":{}{}}}}}"#,
        "[".repeat(63),
        "]".repeat(63)
    );
    let malformed = refused(&deep);
    assert_eq!(malformed.id, Some(Id::Integer(1)));
    assert!(malformed.error.message.contains("deeper"), "{malformed}");

    let small = sentinel_core::json::Limits { max_bytes: 40, ..LIMITS };
    let bytes = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let malformed = parse(bytes, &small).unwrap_err();
    assert_eq!(malformed.id, None, "nothing of a message that is too large is read");
    assert_eq!(malformed.error.code, codes::INVALID_REQUEST);

    let many = format!(
        r#"{{"jsonrpc":"2.0","id":"many","method":"a","params":{{"x":[{}0]}}}}"#,
        "0,".repeat(200_000)
    );
    assert_eq!(refused(&many).id, Some(Id::Text("many".to_owned())));
}

#[test]
fn a_message_is_written_sorted_on_one_line() {
    let request = Request {
        id: Id::Text("a\nb".to_owned()),
        method: "tools/call".to_owned(),
        params: json!({ "name": "n", "arguments": { "z": 1, "a": "\n" } })
            .as_object()
            .cloned()
            .unwrap(),
    };
    let text = String::from_utf8(request.to_bytes()).unwrap();
    let expected = concat!(
        r#"{"id":"a\nb","jsonrpc":"2.0","method":"tools/call","#,
        r#""params":{"arguments":{"a":"\n","z":1},"name":"n"}}"#
    );
    assert_eq!(text, expected);

    let error = Response::error(None, RpcError::unsupported_version("1\u{202e}", &["2026-07-28"]));
    let written: Value = serde_json::from_slice(&error.to_bytes()).unwrap();
    assert_eq!(written["id"], Value::Null);
    assert_eq!(written["error"]["code"], -32022);
    assert_eq!(written["error"]["data"], json!({"requested": "1?", "supported": ["2026-07-28"]}));
}

fn object() -> impl Strategy<Value = Object> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        "[^\0]{0,12}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[^\0]{0,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[^\0]{0,8}", value, 0..6).prop_map(|map| map.into_iter().collect())
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![any::<i64>().prop_map(Id::Integer), "[^\0]{0,20}".prop_map(Id::Text)]
}

fn message() -> impl Strategy<Value = Message> {
    let method = "[!-~]{1,40}";
    let error = (any::<i64>(), "[^\0]{0,20}", prop::option::of(object())).prop_map(
        |(code, message, data)| RpcError { code, message, data: data.map(Value::Object) },
    );
    prop_oneof![
        (id(), method, object()).prop_map(|(id, method, params)| Message::Request(Request {
            id,
            method,
            params
        })),
        (method, object())
            .prop_map(|(method, params)| Message::Notification(Notification { method, params })),
        (id(), object()).prop_map(|(id, result)| Message::Response(Response::result(id, result))),
        (prop::option::of(id()), error)
            .prop_map(|(id, error)| Message::Response(Response::error(id, error))),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_what_was_read(message in message()) {
        let bytes = message.to_bytes();
        prop_assert!(!bytes.contains(&b'\n'));
        let again = parse(&bytes, &LIMITS).unwrap();
        prop_assert_eq!(&again, &message);
        prop_assert_eq!(again.to_bytes(), bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(malformed) = parse(&bytes, &LIMITS) {
            prop_assert!(!malformed.error.message.contains(char::is_control));
        }
    }

    #[test]
    fn a_member_changed_is_never_another_message(
        message in message(),
        key in "[a-z]{1,8}",
        value in object(),
    ) {
        let mut members: Object = serde_json::from_slice(&message.to_bytes()).unwrap();
        prop_assume!(!["id", "jsonrpc", "method", "params", "result", "error"].contains(&&*key));
        members.insert(key, Value::Object(value));
        let bytes = serde_json::to_vec(&members).unwrap();
        prop_assert!(parse(&bytes, &LIMITS).is_err());
    }
}

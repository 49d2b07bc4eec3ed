use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::name::ToolName;

const SMALL: Limits =
    Limits { max_bytes: 4096, max_depth: 3, max_nodes: 40, max_string_bytes: 8, max_key_bytes: 4 };

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    tool: ToolName,
    #[serde(default)]
    usage: Option<u64>,
    #[serde(default)]
    counts: BTreeMap<String, u8>,
    payload: Option<Box<RawValue>>,
}

fn code(bytes: impl AsRef<[u8]>) -> &'static str {
    parse(bytes.as_ref(), &Limits::REQUEST).expect_err("must be refused").code()
}

fn small(bytes: impl AsRef<[u8]>) -> Result<Value, &'static str> {
    parse(bytes.as_ref(), &SMALL).map_err(|error| error.code())
}

#[rstest]
#[case::empty("")]
#[case::blank(" \n")]
#[case::cut_off("{\"a\":1")]
#[case::trailing_value("{} {}")]
#[case::trailing_comma("[1,]")]
#[case::byte_order_mark("\u{FEFF}{}")]
#[case::raw_newline("\"a\nb\"")]
#[case::leading_zero("01")]
#[case::plus("+1")]
#[case::not_a_number("NaN")]
#[case::infinity("-Infinity")]
#[case::comment("/* */ {}")]
#[case::single_quotes("{'a':1}")]
#[case::bare_key("{a:1}")]
#[case::short_escape("\"\\u12\"")]
fn refuses_what_is_not_json(#[case] text: &str) {
    assert_eq!(code(text), "malformed_json");
}

#[rstest]
#[case::flat(r#"{"a":1,"a":1}"#)]
#[case::escaped(r#"{"a":1,"\u0061":2}"#)]
#[case::nested(r#"[{"x":{"a":1,"b":[],"a":2}}]"#)]
#[case::empty_key(r#"{"":1,"":2}"#)]
fn refuses_duplicate_keys(#[case] text: &str) {
    assert_eq!(code(text), "duplicate_key");
}

#[test]
fn duplicate_keys_are_found_in_objects_of_every_size() {
    for size in 1..80 {
        let mut keys: Vec<_> = (0..size).map(|i| format!("\"k{i}\":{{\"k{i}\":0}}")).collect();
        let document = format!("{{{}}}", keys.join(","));
        assert!(parse(document.as_bytes(), &Limits::REQUEST).is_ok(), "{document}");
        for twice in 0..size {
            keys.push(format!("\"k{twice}\":0"));
            assert_eq!(code(format!("{{{}}}", keys.join(","))), "duplicate_key");
            keys.pop();
        }
    }
}

#[test]
fn the_same_key_in_different_objects_is_not_a_duplicate() {
    assert!(small(r#"[{"a":{"a":1}},{"a":2}]"#).is_ok());
}

/// An object in which `serde_json` would replace itself by the document in its string.
#[test]
fn refuses_keys_that_the_json_library_interprets() {
    let hidden = r#"{"$serde_json::private::RawValue":"{\"a\":1,\"a\":2}"}"#;
    assert_eq!(serde_json::from_str::<Value>(hidden).unwrap(), json!({"a": 2}));
    assert_eq!(code(hidden), "reserved_key");
    assert_eq!(code(r#"[{"b":{"$serde_json::private::Number":"1"}}]"#), "reserved_key");
    assert_eq!(code(r#"{"\u0024serde_json::private::RawValue":"1"}"#), "reserved_key");
}

#[rstest]
#[case::not_utf8(b"\"\xff\"".as_slice())]
#[case::overlong(b"\"\xc0\x80\"")]
#[case::surrogate_bytes(b"\"\xed\xa0\x80\"")]
#[case::lone_leading(br#""\ud800""#)]
#[case::lone_leading_then_text(br#""\ud800x""#)]
#[case::lone_leading_then_escape(br#""\ud800\n""#)]
#[case::two_leading(br#""\ud800\ud800""#)]
#[case::lone_trailing(br#"["\udc00"]"#)]
#[case::lone_in_key(br#"{"\udc00":1}"#)]
#[case::nul(br#""a\u0000b""#)]
#[case::nul_in_key(br#"{"\u0000":1}"#)]
fn refuses_invalid_unicode(#[case] bytes: &[u8]) {
    assert_eq!(code(bytes), "invalid_unicode");
}

#[test]
fn accepts_surrogate_pairs() {
    let value = parse(br#""\ud83d\ude00""#, &Limits::REQUEST).unwrap();
    assert_eq!(value, json!("\u{1F600}"));
}

#[rstest]
#[case("18446744073709551616")]
#[case("-9223372036854775809")]
#[case(r#"{"a\"\\":["12",1e30,100000000000000000000000]}"#)]
#[case("1e400")]
#[case("-1e400")]
fn refuses_numbers_out_of_range(#[case] text: &str) {
    assert_eq!(code(text), "number_out_of_range");
}

#[rstest]
#[case("18446744073709551615")]
#[case("-9223372036854775808")]
#[case("1e30")]
#[case("18446744073709551616.0")]
#[case("-1.5E+300")]
#[case(r#"["99999999999999999999999","\"99999999999999999999",1e20]"#)]
fn accepts_numbers_in_range(#[case] text: &str) {
    let value = parse(text.as_bytes(), &Limits::REQUEST).unwrap();
    assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
}

#[test]
fn depth_is_limited_to_the_level() {
    assert!(small("[[[0]]]").is_ok());
    assert_eq!(small("[[[[]]]]"), Err("too_deep"));
    assert_eq!(small(r#"{"a":{"a":{"a":{}}}}"#), Err("too_deep"));
    // Depth is that of nesting, not a count of brackets.
    assert!(small("[[[]],[[]],[[]],[[]],[[]]]").is_ok());
}

#[test]
fn depth_is_limited_whatever_the_limit_says() {
    let limits = Limits { max_depth: usize::MAX, ..Limits::REQUEST };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(126).as_bytes(), &limits).is_ok());
    assert_eq!(parse(nested(127).as_bytes(), &limits).unwrap_err().code(), "too_deep");
    assert_eq!(parse("[".repeat(200_000).as_bytes(), &limits).unwrap_err().code(), "too_deep");
}

#[test]
fn values_are_counted_at_every_level() {
    let zeros = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert!(small(zeros(39)).is_ok());
    assert_eq!(small(zeros(40)), Err("too_many_values"));
    assert_eq!(small(format!("[{},{}]", zeros(19), zeros(20))), Err("too_many_values"));
}

#[test]
fn sizes_are_limited_to_the_byte() {
    assert!(small(r#""12345678""#).is_ok());
    assert_eq!(small(r#""123456789""#), Err("string_too_long"));
    assert_eq!(small(r#""\u00e91234567""#), Err("string_too_long"));
    assert!(small(r#"{"1234":0}"#).is_ok());
    assert_eq!(small(r#"{"12345":0}"#), Err("key_too_long"));
    assert!(small(format!("0{}", " ".repeat(4095))).is_ok());
    assert_eq!(small(format!("0{}", " ".repeat(4096))), Err("body_too_large"));
}

#[test]
fn errors_say_where() {
    let error = parse(b"{\n  \"a\": 1,\n  \"a\": 2\n}", &Limits::REQUEST).unwrap_err();
    assert_eq!(error.position(), Some(Position { offset: 17, line: 3, column: 5 }));
    let error = parse(b"[\n1,\xff]", &Limits::REQUEST).unwrap_err();
    assert_eq!(error.position(), Some(Position { offset: 4, line: 2, column: 2 }));
    let error = parse(b"[1,\n 18446744073709551616]", &Limits::REQUEST).unwrap_err();
    assert_eq!(error.position(), Some(Position { offset: 5, line: 2, column: 1 }));
    assert_eq!(error.to_string(), "number out of range at line 2 column 1");
}

fn field_error(text: &str) -> (String, String) {
    match parse_as::<Body>(text.as_bytes(), &Limits::REQUEST) {
        Err(JsonError::InvalidField { path, detail, .. }) => (path, detail),
        other => panic!("expected an invalid field, got {other:?}"),
    }
}

#[test]
fn type_errors_name_the_field() {
    let (path, detail) = field_error(r#"{"tool":"t","counts":{"x":256}}"#);
    assert_eq!(
        (path.as_str(), detail.as_str()),
        ("counts.x", "invalid value: integer `256`, expected u8")
    );
    let (path, detail) = field_error(r#"{"usage":1}"#);
    assert_eq!((path.as_str(), detail.as_str()), ("$", "missing field `tool`"));
    let (path, detail) = field_error(r#"{"tool":"t","usage":-1}"#);
    assert_eq!(path, "usage");
    assert!(detail.contains("expected u64"), "{detail}");
    let (path, detail) = field_error(r#"{"tool":"t\u043e\u043el"}"#);
    assert_eq!(
        (path.as_str(), detail.as_str()),
        ("tool", "tool name must be ascii; it contains U+043E, which looks like `o`")
    );
    let (path, detail) = field_error(r#"{"tool":"t","extra":1}"#);
    assert_eq!(path, "extra");
    assert!(detail.starts_with("unknown field `extra`, expected one of `tool`"), "{detail}");
}

#[test]
fn raw_fields_keep_their_bytes() {
    let text = r#"{"tool":"t", "payload": { "b" : 1.0, "a":[ 1e2 ]} }"#;
    let body: Body = parse_object_as(text.as_bytes(), &Limits::REQUEST).unwrap();
    assert_eq!(body.payload.unwrap().get(), r#"{ "b" : 1.0, "a":[ 1e2 ]}"#);
    assert_eq!((body.tool.as_str(), body.usage), ("t", None));
    assert!(body.counts.is_empty());
}

#[rstest]
#[case(r#"{"tool":"t","payload":{"a":1,"a":2}}"#, "duplicate_key")]
#[case(r#"{"tool":"t","payload":"\ud800"}"#, "invalid_unicode")]
#[case(r#"{"tool":"t","payload":1e999}"#, "number_out_of_range")]
fn raw_fields_are_checked(#[case] text: &str, #[case] code: &str) {
    let error = parse_as::<Body>(text.as_bytes(), &Limits::REQUEST).unwrap_err();
    assert_eq!(error.code(), code);
}

#[test]
fn an_array_is_not_an_object() {
    let array = br#" ["t",null,{},null]"#;
    assert!(parse_as::<Body>(array, &Limits::REQUEST).is_ok(), "serde reads structs by position");
    let error = parse_object_as::<Body>(array, &Limits::REQUEST).unwrap_err();
    assert_eq!(error.to_string(), "invalid field `$`: expected an object");
    assert_eq!(error.position().map(|at| at.offset), Some(1));
}

#[test]
fn messages_repeat_little_and_escape_it() {
    let long = "z".repeat(500);
    let markers = ", expected ".repeat(40);
    let documents = [
        format!(r#"{{"{long}":1,"{long}":2}}"#),
        format!(r#"{{"{long}":1}}"#),
        format!(r#"{{"{markers}{long}":1}}"#),
        format!(r#"{{"tool":"t","usage":"{long}"}}"#),
        format!(r#"{{"tool":"t","usage":"{markers}{long}"}}"#),
        format!(r#"{{"tool":"t","counts":{{"{long}":"{long}"}}}}"#),
        format!(r#"{{"tool":"{long}"}}"#),
    ];
    for document in documents {
        let message =
            parse_as::<Body>(document.as_bytes(), &Limits::REQUEST).unwrap_err().to_string();
        assert!(message.matches('z').count() <= 64, "{message}");
        assert!(message.matches(", expected ").count() <= 7, "{message}");
    }
    for key in ["\\n\\u001b[31m", "\\u202e", "\\u200b", "\\u2028"] {
        let document = format!(r#"{{"{key}":1,"{key}":2}}"#);
        for message in [
            parse(document.as_bytes(), &Limits::REQUEST).unwrap_err().to_string(),
            field_error(&format!(r#"{{"{key}":1}}"#)).0,
            field_error(&format!(r#"{{"{key}":1}}"#)).1,
        ] {
            assert!(!message.contains(|c: char| c.is_control() || is_hidden(c)), "{message:?}");
        }
    }
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{202e}' | '\u{200b}' | '\u{2028}')
}

#[test]
fn canonical_form_is_compact_and_sorted() {
    let value = parse(br#"{ "b":[1, 2.50, -0], "a":{"z":null,"\u00e9":"\/"} }"#, &Limits::REQUEST);
    let expected = "{\"a\":{\"z\":null,\"é\":\"/\"},\"b\":[1,2.5,-0.0]}";
    assert_eq!(String::from_utf8(canonical(&value.unwrap())).unwrap(), expected);
}

/// Values as the parser can produce them.
fn values() -> impl Strategy<Value = Value> {
    let text = "[^\0]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO)
            .prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..24)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_round_trips_and_is_a_fixed_point(value in values()) {
        let bytes = canonical(&value);
        let again = parse(&bytes, &Limits::REQUEST).unwrap();
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(canonical(&again), bytes);
    }

    #[test]
    fn spacing_and_order_do_not_change_the_canonical_form(value in values()) {
        let spaced = serde_json::to_vec_pretty(&value).unwrap();
        let parsed = parse(&spaced, &Limits::REQUEST).unwrap();
        prop_assert_eq!(canonical(&parsed), canonical(&value));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &SMALL);
        let _ = parse_as::<Body>(&bytes, &SMALL);
    }

    /// Text made of the tokens that matter: strict acceptance implies plain acceptance, equal.
    #[test]
    fn accepts_a_subset_of_json(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "\"a\"", "\"b\"", "\"\\u0061\"", "1", "-0", "1e5",
                "18446744073709551616", "null", "true", " ", "\"\\ud800\"", "{}", "\"a\":",
            ]),
            0..14,
        )
    ) {
        let text = tokens.concat();
        if let Ok(value) = parse(text.as_bytes(), &Limits::REQUEST) {
            prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
        }
    }
}

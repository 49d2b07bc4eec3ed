use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::jsonrpc::{Id, Object, codes};

fn object(value: Value) -> Object {
    let Value::Object(object) = value else { panic!("not an object: {value}") };
    object
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn a_session_gets_a_version_that_has_sessions() {
    for (requested, version) in [
        ("2024-11-05", Version::V2024_11_05),
        ("2025-06-18", Version::V2025_06_18),
        ("2025-11-25", Version::V2025_11_25),
        ("2026-07-28", Version::V2025_11_25),
        ("1900-01-01", Version::V2025_11_25),
        ("", Version::V2025_11_25),
    ] {
        assert_eq!(Version::for_session(requested), version, "{requested}");
    }
    assert_eq!(Version::parse("2025-11-25 "), None);
    assert_eq!(Version::names()[0], "2026-07-28");
    assert!(Version::ALL.into_iter().all(|version| Version::parse(version.as_str()).is_some()));
}

#[test]
fn the_meta_of_a_modern_request_is_complete_or_refused() {
    let sound = json!({
        "name": "n",
        "_meta": {
            meta::PROTOCOL_VERSION: "2026-07-28",
            meta::CLIENT_CAPABILITIES: { "roots": {} },
            meta::CLIENT_INFO: { "name": "c" },
            meta::LOG_LEVEL: "info",
            "progressToken": 7,
            "traceparent": "t",
        },
    });
    let mut params = object(sound.clone());
    let taken = ClientMeta::take(&mut params).unwrap();
    assert_eq!(taken.version, Version::V2026_07_28);
    assert_eq!(taken.capabilities, object(json!({ "roots": {} })));
    assert_eq!(taken.progress_token, Some(Id::Integer(7)));
    assert_eq!(taken.log_level.as_deref(), Some("info"));
    let kept = json!({ meta::LOG_LEVEL: "info", "progressToken": 7, "traceparent": "t" });
    assert_eq!(Value::Object(params.clone()), json!({ "name": "n", "_meta": kept }));

    write_meta(&mut params, &taken).unwrap();
    assert_eq!(Value::Object(params), sound, "written back, it is what was read");

    let change = |key: &str, value: Value| {
        let mut params = object(sound.clone());
        params["_meta"][key] = value;
        ClientMeta::take(&mut params).unwrap_err()
    };
    for (key, value, code) in [
        (meta::PROTOCOL_VERSION, json!("2025-11-25"), codes::UNSUPPORTED_VERSION),
        (meta::PROTOCOL_VERSION, json!("1900-01-01"), codes::UNSUPPORTED_VERSION),
        (meta::PROTOCOL_VERSION, json!(20260728), codes::INVALID_PARAMS),
        (meta::CLIENT_CAPABILITIES, json!([]), codes::INVALID_PARAMS),
        (meta::CLIENT_CAPABILITIES, Value::Null, codes::INVALID_PARAMS),
        (meta::CLIENT_INFO, json!("name"), codes::INVALID_PARAMS),
        (meta::LOG_LEVEL, json!("loud"), codes::INVALID_PARAMS),
        ("progressToken", json!(1.5), codes::INVALID_PARAMS),
        ("progressToken", Value::Null, codes::INVALID_PARAMS),
    ] {
        assert_eq!(change(key, value.clone()).code, code, "{key} {value}");
    }
    for missing in [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES] {
        let mut params = object(sound.clone());
        params["_meta"].as_object_mut().unwrap().remove(missing);
        assert!(is_modern("tools/call", &params), "half a modern request is not a legacy one");
        let error = ClientMeta::take(&mut params).unwrap_err();
        assert_eq!(error.code, codes::INVALID_PARAMS);
        assert!(error.message.contains(missing));
    }
    assert!(!is_modern("tools/call", &object(json!({ "_meta": { "progressToken": 1 } }))));
}

#[test]
fn headers_must_say_what_the_body_says() {
    let params = object(json!({ "name": "Grüße", "arguments": {} }));
    let sound = [
        (header::PROTOCOL_VERSION, "2026-07-28"),
        (header::METHOD, "tools/call"),
        (header::NAME, "=?base64?R3LDvMOfZQ==?="),
    ];
    let check = |pairs: &[(&'static str, &str)]| {
        check_headers(&headers(pairs), "2026-07-28", "tools/call", &params)
    };
    assert_eq!(check(&sound), Ok(()));

    let with = |at: usize, value: &'static str| {
        let mut pairs = sound;
        pairs[at].1 = value;
        check(&pairs)
    };
    for at in 0..3 {
        let mut twice = sound.to_vec();
        twice.push(sound[at]);
        let mut without = sound.to_vec();
        without.remove(at);
        for refused in [check(&twice), check(&without), with(at, ""), with(at, "x")] {
            assert_eq!(refused.unwrap_err().code, codes::HEADER_MISMATCH, "{at}");
        }
    }
    for (at, value) in [
        (0, "2025-11-25"),
        (1, "Tools/Call"),
        (1, "tools/list"),
        (2, "=?base64?R3LDvMOfZQ?="),
        (2, "=?base64?////?="),
        (2, "=?BASE64?R3LDvMOfZQ==?="),
    ] {
        assert_eq!(with(at, value).unwrap_err().code, codes::HEADER_MISMATCH, "{value}");
    }
    let mut latin = headers(&sound);
    latin.insert(header::NAME, HeaderValue::from_bytes(b"Gr\xfc\xdfe").unwrap());
    assert!(check_headers(&latin, "2026-07-28", "tools/call", &params).is_err());

    let uri = object(json!({ "uri": "file:///a" }));
    let pairs = [sound[0], (header::METHOD, "resources/read"), (header::NAME, "file:///a")];
    assert_eq!(check_headers(&headers(&pairs), "2026-07-28", "resources/read", &uri), Ok(()));
    let pairs = [sound[0], (header::METHOD, "tools/list")];
    let empty = Object::new();
    assert_eq!(check_headers(&headers(&pairs), "2026-07-28", "tools/list", &empty), Ok(()));
}

#[test]
fn over_http_the_most_telling_error_comes_first() {
    let read = |version: Option<&str>, header: &str| {
        let mut params = object(json!({ "_meta": { meta::CLIENT_CAPABILITIES: {} } }));
        if let Some(version) = version {
            params["_meta"][meta::PROTOCOL_VERSION] = version.into();
        }
        let pairs = [(header::PROTOCOL_VERSION, header), (header::METHOD, "tools/list")];
        read_over_http(&headers(&pairs), "tools/list", &mut params)
    };
    assert_eq!(read(Some("2026-07-28"), "2026-07-28").unwrap().version, Version::V2026_07_28);
    for (version, header, code) in [
        (Some("v999"), "2026-07-28", codes::HEADER_MISMATCH),
        (Some("2026-07-28"), "2025-11-25", codes::HEADER_MISMATCH),
        (Some("v999"), "v999", codes::UNSUPPORTED_VERSION),
        (Some("2025-11-25"), "2025-11-25", codes::UNSUPPORTED_VERSION),
        (None, "2026-07-28", codes::INVALID_PARAMS),
    ] {
        assert_eq!(read(version, header).unwrap_err().code, code, "{version:?} {header}");
    }
}

#[test]
fn arguments_are_repeated_in_headers_where_the_schema_says_so() {
    let schema = object(json!({
        "type": "object",
        "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "deep": {
                "type": "object",
                "properties": { "count": { "type": "integer", "x-mcp-header": "Count" } },
            },
            "dry": { "type": "boolean", "x-mcp-header": "Dry" },
            "x-mcp-header": { "type": "string" },
            "plain": { "type": "string", "default": { "x-mcp-header": "data" } },
        },
    }));
    let declared = ParamHeaders::of_schema(&schema).unwrap();
    let arguments = object(json!({ "region": "us", "deep": { "count": 42 }, "dry": true }));
    let mut written = HeaderMap::new();
    declared.write(&mut written, &arguments).unwrap();
    let sound = [("mcp-param-region", "us"), ("mcp-param-count", "42"), ("mcp-param-dry", "true")];
    assert_eq!(written, headers(&sound));
    assert_eq!(declared.check(&written, &arguments), Ok(()));

    // The number is compared, not its spelling.
    let mut float = written.clone();
    float.insert("mcp-param-count", HeaderValue::from_static("42.0"));
    assert_eq!(declared.check(&float, &arguments), Ok(()));

    for (name, value) in [
        ("mcp-param-region", "eu"),
        ("mcp-param-region", "US"),
        ("mcp-param-region", "=?base64?dXM?="),
        ("mcp-param-count", "43"),
        ("mcp-param-count", "042"),
        ("mcp-param-count", "+42"),
        ("mcp-param-count", "0x2a"),
        ("mcp-param-count", ""),
        ("mcp-param-dry", "True"),
        ("mcp-param-dry", "1"),
    ] {
        let mut wrong = written.clone();
        wrong.insert(name, HeaderValue::from_static(value));
        let error = declared.check(&wrong, &arguments).unwrap_err();
        assert_eq!(error.code, codes::HEADER_MISMATCH, "{name}: {value}");
    }
    for missing in sound {
        let mut headers = written.clone();
        headers.remove(missing.0);
        assert!(declared.check(&headers, &arguments).is_err(), "{}", missing.0);
    }
    let absent = object(json!({ "region": null, "deep": {} }));
    assert!(declared.check(&written, &absent).is_err(), "a header without an argument");
    assert_eq!(declared.check(&HeaderMap::new(), &absent), Ok(()));
    let mut none = HeaderMap::new();
    declared.write(&mut none, &absent).unwrap();
    assert!(none.is_empty());

    let beyond = object(json!({ "deep": { "count": 9_007_199_254_740_992_i64 } }));
    assert!(declared.write(&mut HeaderMap::new(), &beyond).is_err());
}

#[test]
fn an_invalid_annotation_makes_the_definition_invalid() {
    let property = |property: Value| json!({ "properties": { "a": property } });
    for schema in [
        property(json!({ "type": "string", "x-mcp-header": "" })),
        property(json!({ "type": "string", "x-mcp-header": "a b" })),
        property(json!({ "type": "string", "x-mcp-header": "a\r\nb" })),
        property(json!({ "type": "string", "x-mcp-header": "ä" })),
        property(json!({ "type": "string", "x-mcp-header": 1 })),
        property(json!({ "type": "number", "x-mcp-header": "A" })),
        property(json!({ "type": "object", "x-mcp-header": "A" })),
        property(json!({ "type": ["string", "null"], "x-mcp-header": "A" })),
        property(json!({ "x-mcp-header": "A" })),
        property(json!({ "type": "array", "items": { "type": "string", "x-mcp-header": "A" } })),
        property(json!({ "anyOf": [{ "type": "string", "x-mcp-header": "A" }] })),
        json!({ "$defs": { "d": { "type": "string", "x-mcp-header": "A" } } }),
        json!({ "x-mcp-header": "A" }),
        json!({ "properties": {
            "a": { "type": "string", "x-mcp-header": "Same" },
            "b": { "type": "string", "x-mcp-header": "sAME" },
        } }),
    ] {
        assert!(ParamHeaders::of_schema(&object(schema.clone())).is_err(), "{schema}");
    }
}

proptest! {
    #[test]
    fn every_text_survives_a_header(text in any::<String>()) {
        let encoded = encoding::encode(&text);
        let value = HeaderValue::from_str(&encoded).unwrap();
        let read = value.to_str().unwrap().trim_matches([' ', '\t']);
        prop_assert_eq!(encoding::decode(read).unwrap(), text);
    }

    #[test]
    fn what_is_written_is_what_is_checked(name in any::<String>(), method in "[!-~]{1,20}") {
        let params = object(json!({ "name": name, "uri": name }));
        for method in [method.as_str(), "tools/call", "prompts/get", "resources/read"] {
            let mut headers = HeaderMap::new();
            write_headers(&mut headers, Version::V2026_07_28, method, &params).unwrap();
            prop_assert_eq!(check_headers(&headers, "2026-07-28", method, &params), Ok(()));
        }
    }
}

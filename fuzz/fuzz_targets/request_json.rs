//! The strict JSON parser: accepts a subset of JSON, reads it as `serde_json` does, and what it
//! accepts survives its canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_core::json::{JsonError, Limits, canonical, parse, parse_object_as};
use sentinel_core::name::{TenantSlug, ToolName};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    tenant_slug: TenantSlug,
    tool_name: ToolName,
    usage: Option<u64>,
    payload: Option<Box<RawValue>>,
}

fn check_value(bytes: &[u8], limits: &Limits, value: &Value) {
    let plain: Value = serde_json::from_slice(bytes).expect("strict json is json");
    assert_eq!(value, &plain);
    let form = canonical(value);
    // Canonical numbers can be longer than what was written: 1e9 becomes 1000000000.0.
    let roomy = Limits { max_bytes: usize::MAX, ..*limits };
    let again = parse(&form, &roomy).expect("the canonical form is strict json");
    assert_eq!(&again, value);
    assert_eq!(canonical(&again), form);
}

fn check_error(bytes: &[u8], error: &JsonError) {
    let message = error.to_string();
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(message.len() < 1024, "{message}");
    if let Some(at) = error.position() {
        assert!(at.offset <= bytes.len(), "{at:?}");
    }
    if error.code() == "malformed_json" {
        assert!(serde_json::from_slice::<Value>(bytes).is_err(), "refused sound json: {message}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let small = Limits {
        max_bytes: 512,
        max_depth: 4,
        max_nodes: 24,
        max_string_bytes: 16,
        max_key_bytes: 12,
    };
    for limits in [Limits::REQUEST, small] {
        match parse(bytes, &limits) {
            Ok(value) => check_value(bytes, &limits, &value),
            Err(error) => check_error(bytes, &error),
        }
    }
    match parse_object_as::<Body>(bytes, &Limits::REQUEST) {
        Ok(body) => {
            let value = parse(bytes, &Limits::REQUEST).expect("a body is strict json");
            assert_eq!(value["tenant_slug"], body.tenant_slug.as_str());
            assert_eq!(value["tool_name"], body.tool_name.as_str());
            assert_eq!(value["usage"].as_u64(), body.usage);
            if let Some(payload) = body.payload {
                let inner = parse(payload.get().as_bytes(), &Limits::REQUEST);
                assert_eq!(inner.as_ref(), Ok(&value["payload"]));
            }
        }
        Err(error) => check_error(bytes, &error),
    }
});

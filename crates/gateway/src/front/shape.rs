//! Results as the client's era has them. Between front and upstream all results are modern.

use serde_json::Value;

use sentinel_mcp_protocol::era::{Version, meta};
use sentinel_mcp_protocol::jsonrpc::Object;

/// Members of modern results that earlier revisions do not define.
const MODERN: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// A result for a client with a session.
pub(super) fn legacy(mut result: Object) -> Object {
    for member in MODERN {
        result.remove(member);
    }
    if let Some(Value::Object(meta)) = result.get_mut("_meta") {
        meta.remove(meta::SERVER_INFO);
        if meta.is_empty() {
            result.remove("_meta");
        }
    }
    result
}

/// A result for a modern client.
pub(super) fn modern(method: &str, mut result: Object) -> Object {
    let complete = || Value::from("complete");
    let kind = result.entry("resultType").or_insert_with(complete);
    if kind == "complete" && is_cached(method) {
        // What a client may keep until then, a kill or a policy cannot take back.
        result.entry("ttlMs").or_insert_with(|| 0.into());
        result.insert("cacheScope".to_owned(), "private".into());
    }
    result
}

/// Whether results of the method say how long they may be kept.
fn is_cached(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// The result of `initialize`, in the version of the session.
pub(super) fn initialized(mut result: Object, version: Version) -> Object {
    result.insert("protocolVersion".to_owned(), version.as_str().into());
    legacy(result)
}

/// The result of `server/discover`: the server introduces itself in `_meta`.
pub(super) fn discovered(mut result: Object) -> Object {
    result.insert("supportedVersions".to_owned(), supported().into());
    if let Some(info) = result.remove("serverInfo") {
        let meta = result.entry("_meta").or_insert_with(|| Value::Object(Object::new()));
        if let Value::Object(meta) = meta {
            meta.insert(meta::SERVER_INFO.to_owned(), info);
        }
    }
    result
}

fn supported() -> Vec<&'static str> {
    Version::names().to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_legacy_client_sees_no_member_that_its_revision_does_not_define() {
        let result = json!({
            "resultType": "complete", "ttlMs": 5, "cacheScope": "private", "tools": [], "x": 1,
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1"}},
        });
        assert_eq!(legacy(object(result)), object(json!({"tools": [], "x": 1})));
    }

    #[test]
    fn a_modern_result_says_what_it_is_and_how_long_it_may_be_kept() {
        let listed = modern("tools/list", object(json!({"tools": [], "cacheScope": "public"})));
        let expected =
            json!({"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"});
        assert_eq!(listed, object(expected));
        let called = modern("tools/call", object(json!({"content": []})));
        assert_eq!(called, object(json!({"content": [], "resultType": "complete"})));
        let asked = object(json!({"resultType": "input_required", "requestState": "x"}));
        assert_eq!(modern("resources/read", asked.clone()), asked);
    }
}

//! URIs of resources where clients see several upstreams: `mcp+UPSTREAM+URI`, so that two servers
//! may have the same URI, and each leads back to its own server.

use serde_json::Value;

use sentinel_mcp_protocol::jsonrpc::{Notification, Object};

const SCHEME: &str = "mcp+";

/// Resources of the extension for user interfaces, which is not governed.
pub(crate) const USER_INTERFACE: &str = "ui:";

/// A URI as clients see it. It works for templates too: what is expanded keeps the prefix.
pub(crate) fn outward(upstream: &str, uri: &str) -> String {
    format!("{SCHEME}{upstream}+{uri}")
}

/// The upstream and its URI. Schemes are compared without letter case, as some clients normalize
/// them.
pub(crate) fn inward(uri: &str) -> Option<(String, &str)> {
    let scheme = uri.get(..SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let (upstream, uri) = uri.get(SCHEME.len()..)?.split_once('+')?;
    Some((upstream.to_ascii_lowercase(), uri))
}

/// Writes the URIs in a result of `upstream` as clients see them: links and embedded resources of
/// tools and prompts, and the contents of resources.
pub fn map_result(upstream: &str, result: &mut Object) {
    for member in ["content", "contents"] {
        each(result, member, &mut |item| map_content(upstream, item));
    }
    each(result, "messages", &mut |message| {
        each(message, "content", &mut |item| map_content(upstream, item));
    });
}

/// Writes the URI in a notification of `upstream` as clients see it.
pub fn map_notification(upstream: &str, notification: &mut Notification) {
    map_uri(upstream, &mut notification.params);
}

/// Calls `map` on a member that is an object, or on each object of a member that is a list.
fn each(object: &mut Object, member: &str, map: &mut dyn FnMut(&mut Object)) {
    match object.get_mut(member) {
        Some(Value::Object(object)) => map(object),
        Some(Value::Array(items)) => {
            items.iter_mut().filter_map(Value::as_object_mut).for_each(map)
        }
        _ => {}
    }
}

fn map_content(upstream: &str, content: &mut Object) {
    map_uri(upstream, content);
    if let Some(Value::Object(resource)) = content.get_mut("resource") {
        map_uri(upstream, resource);
    }
}

fn map_uri(upstream: &str, object: &mut Object) {
    if let Some(Value::String(uri)) = object.get_mut("uri") {
        *uri = outward(upstream, uri);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn leads_back(upstream in "[a-z0-9][a-z0-9-]{0,31}", uri in "\\PC{0,60}") {
            let outward = outward(&upstream, &uri);
            prop_assert_eq!(inward(&outward), Some((upstream, uri.as_str())));
        }

        #[test]
        fn never_fails_on_foreign_text(uri in "\\PC{0,20}|mcp\\+\\PC{0,9}") {
            if let Some((upstream, inner)) = inward(&uri) {
                prop_assert_eq!(outward(&upstream, inner).to_lowercase(), uri.to_lowercase());
            }
        }
    }

    #[test]
    fn maps_every_place_where_a_client_may_follow_a_uri() {
        let mut result = json!({
            "content": [
                {"type": "text", "text": "file:///a", "uri": 1},
                {"type": "resource_link", "uri": "file:///a", "name": "a"},
                {"type": "resource", "resource": {"uri": "file:///a", "text": "x"}},
            ],
            "contents": [{"uri": "file:///a", "text": "x"}],
            "messages": [
                {"role": "user", "content": {"type": "resource_link", "uri": "file:///a"}},
                {"role": "user", "content": [{"type": "resource", "resource": {"uri": "file:///a"}}]},
            ],
            "structuredContent": {"uri": "file:///a"},
        });
        map_result("files", result.as_object_mut().unwrap());
        let mapped = "mcp+files+file:///a";
        assert_eq!(result["content"][0], json!({"type": "text", "text": "file:///a", "uri": 1}));
        assert_eq!(result["content"][1]["uri"], mapped);
        assert_eq!(result["content"][2]["resource"]["uri"], mapped);
        assert_eq!(result["contents"][0]["uri"], mapped);
        assert_eq!(result["messages"][0]["content"]["uri"], mapped);
        assert_eq!(result["messages"][1]["content"][0]["resource"]["uri"], mapped);
        assert_eq!(result["structuredContent"]["uri"], "file:///a");
    }
}

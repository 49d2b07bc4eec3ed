//! What the two sides are told of each other: only capabilities that the gateway governs.

use serde_json::Value;

use crate::jsonrpc::Object;

/// Governed capabilities of servers, with the settings that are passed on.
const OF_SERVERS: &[(&str, &[&str])] = &[
    ("completions", &[]),
    ("logging", &[]),
    ("prompts", &["listChanged"]),
    ("resources", &["listChanged", "subscribe"]),
    ("tools", &["listChanged"]),
];

/// Governed capabilities of clients. An empty `elicitation` means forms.
const OF_CLIENTS: &[(&str, &[&str])] = &[
    ("elicitation", &["form", "url"]),
    ("roots", &["listChanged"]),
    ("sampling", &["context", "tools"]),
];

/// Governed capabilities, and what was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filtered {
    pub capabilities: Object,
    /// Names of what was removed, such as `extensions`, for the log; at most 16.
    pub removed: Vec<String>,
}

/// What a client is shown of a server's capabilities.
#[must_use]
pub fn of_server(declared: &Object) -> Filtered {
    filter(declared, OF_SERVERS)
}

/// What a server is shown of a client's capabilities.
#[must_use]
pub fn of_client(declared: &Object) -> Filtered {
    filter(declared, OF_CLIENTS)
}

fn filter(declared: &Object, governed: &[(&str, &[&str])]) -> Filtered {
    let mut filtered = Filtered::default();
    for (name, value) in declared {
        match (governed.iter().find(|(known, _)| known == name), value) {
            (Some((_, settings)), Value::Object(value)) => {
                let kept = value.iter().filter(|(key, _)| settings.contains(&key.as_str()));
                let kept = kept.filter(|(_, value)| value.is_boolean() || value.is_object());
                let kept: Object = kept.map(|(key, value)| (key.clone(), setting(value))).collect();
                filtered.capabilities.insert(name.clone(), Value::Object(kept));
            }
            _ if filtered.removed.len() < 16 => {
                filtered.removed.push(crate::jsonrpc::excerpt(name));
            }
            _ => {}
        }
    }
    filtered
}

/// A setting without what extensions may have put into it.
fn setting(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => Value::Bool(*flag),
        _ => Value::Object(Object::new()),
    }
}

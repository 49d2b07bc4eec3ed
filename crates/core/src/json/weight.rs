//! What JSON takes in memory: a text of nothing but small values takes ten times its bytes.

use std::mem::size_of;

use serde_json::{Map, Value};

/// What a map takes for an entry besides its key and value, about: the nodes of the tree are partly
/// empty.
const ENTRY: usize = 2 * size_of::<String>();

/// Bytes that an object takes in memory, about, and never much less than it does.
#[must_use]
pub fn weight(fields: &Map<String, Value>) -> usize {
    let of = |(name, value): (&String, &Value)| {
        ENTRY + name.len() + size_of::<Value>() + of_value(value)
    };
    fields.iter().map(of).sum()
}

/// What a value takes beside the place that it has in its parent. Values are at most as deep as
/// requests may be.
fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size_of::<Value>() + of_value(item)).sum(),
        Value::Object(fields) => weight(fields),
    }
}

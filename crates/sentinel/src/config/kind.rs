//! The type of a field in a word or two, for people: from its schema.

use serde_json::Value;

/// What the schema of a field asks for: `1 to 1000`, `` `deny`, `local_share` ``, `list of text`.
pub(crate) fn kind(field: &Value, schema: &Value) -> String {
    if let Some(path) = field.get("$ref").and_then(Value::as_str) {
        let target = schema.pointer(path.trim_start_matches('#'));
        return target.map_or_else(String::new, |target| kind(target, schema));
    }
    let options = ["anyOf", "oneOf"].iter().find_map(|name| field.get(name)?.as_array());
    if let Some(options) = options {
        let is_null = |option: &&Value| option.get("type").and_then(Value::as_str) == Some("null");
        let kinds = options.iter().filter(|option| !is_null(option));
        return kinds.map(|option| kind(option, schema)).collect::<Vec<_>>().join(", ");
    }
    if let Some(constant) = field.get("const").and_then(Value::as_str) {
        return format!("`{constant}`");
    }
    if let Some(values) = field.get("enum").and_then(Value::as_array) {
        let values = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`"));
        return values.collect::<Vec<_>>().join(", ");
    }
    let bound = |name: &str| field.get(name).and_then(Value::as_u64);
    let named = |name: &str| match name {
        "array" if field.pointer("/items/$ref").is_some() => "list of objects".to_owned(),
        "array" => "list of text".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "integer" => match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "whole number".to_owned(),
        },
        _ => "text".to_owned(),
    };
    let name = match field.get("type") {
        Some(Value::Array(names)) => names.first().and_then(Value::as_str),
        name => name.and_then(Value::as_str),
    };
    named(name.unwrap_or_default())
}

//! Whether a JSON schema is sound enough to be passed on: clients that compile or convert schemas
//! refuse a whole list for one that is not.
//!
//! This looks at the form of the keywords, of every draft since 7. It does not evaluate anything.

use std::collections::HashSet;

use serde_json::Value;

use sentinel_mcp_protocol::jsonrpc::Object;

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Keywords that hold one schema.
const SCHEMA: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords that hold a list of schemas.
const SCHEMAS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords that hold schemas by name.
const NAMED: [&str; 5] =
    ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];
const TEXT: [&str; 9] = [
    "$anchor",
    "$comment",
    "$dynamicAnchor",
    "$id",
    "$schema",
    "description",
    "format",
    "pattern",
    "title",
];
const NUMBER: [&str; 11] = [
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
];

/// Says what is broken in `schema`.
///
/// # Errors
/// What is wrong, in words without foreign text but names of keywords.
pub(super) fn check(schema: &Object) -> Result<(), String> {
    let root = Root { schema, anchors: anchors(schema) };
    root.object(schema)
}

struct Root<'a> {
    schema: &'a Object,
    anchors: HashSet<&'a str>,
}

impl Root<'_> {
    fn any(&self, keyword: &str, schema: &Value) -> Result<(), String> {
        match schema {
            Value::Bool(_) => Ok(()),
            Value::Object(schema) => self.object(schema),
            _ => Err(format!("`{keyword}` holds what is not a schema")),
        }
    }

    fn object(&self, schema: &Object) -> Result<(), String> {
        schema.iter().try_for_each(|(keyword, value)| self.keyword(keyword, value))
    }

    fn keyword(&self, keyword: &str, value: &Value) -> Result<(), String> {
        let form = |right: bool| {
            if right { Ok(()) } else { Err(format!("`{keyword}` has the wrong form")) }
        };
        match keyword {
            "type" => form(is_type(value)),
            "required" => form(is_set_of_text(value)),
            "enum" => form(value.is_array()),
            "exclusiveMinimum" | "exclusiveMaximum" => {
                form(value.is_number() || value.is_boolean())
            }
            "uniqueItems" => form(value.is_boolean()),
            "$ref" | "$dynamicRef" => self.reference(value),
            // Before draft 2020-12, `items` could hold a list.
            "items" if value.is_array() => self.list(keyword, value),
            _ if SCHEMA.contains(&keyword) => self.any(keyword, value),
            _ if SCHEMAS.contains(&keyword) => self.list(keyword, value),
            _ if NAMED.contains(&keyword) => self.named(keyword, value),
            _ if TEXT.contains(&keyword) => form(value.is_string()),
            _ if NUMBER.contains(&keyword) => form(value.is_number()),
            _ => Ok(()),
        }
    }

    fn list(&self, keyword: &str, value: &Value) -> Result<(), String> {
        match value {
            Value::Array(schemas) if !schemas.is_empty() => {
                schemas.iter().try_for_each(|schema| self.any(keyword, schema))
            }
            _ => Err(format!("`{keyword}` is not a list of schemas")),
        }
    }

    fn named(&self, keyword: &str, value: &Value) -> Result<(), String> {
        match value {
            Value::Object(schemas) => {
                schemas.values().try_for_each(|schema| self.any(keyword, schema))
            }
            _ => Err(format!("`{keyword}` is not an object of schemas")),
        }
    }

    /// A reference must lead to a place in the same document.
    fn reference(&self, value: &Value) -> Result<(), String> {
        let Some(reference) = value.as_str() else {
            return Err("`$ref` is not a string".to_owned());
        };
        match reference.strip_prefix('#') {
            Some("") => Ok(()),
            Some(pointer) if pointer.starts_with('/') => match find(self.schema, pointer) {
                Some(Value::Object(_) | Value::Bool(_)) => Ok(()),
                _ => Err("`$ref` leads nowhere".to_owned()),
            },
            Some(anchor) if self.anchors.contains(anchor) => Ok(()),
            Some(_) => Err("`$ref` leads nowhere".to_owned()),
            None => Err("`$ref` leads to another document".to_owned()),
        }
    }
}

/// The value at a JSON pointer, which may be percent-encoded in a reference.
pub(super) fn find<'a>(schema: &'a Object, pointer: &str) -> Option<&'a Value> {
    let pointer = pointer.replace("%24", "$").replace("%25", "%");
    let (first, rest) = match pointer.strip_prefix('/')?.split_once('/') {
        Some((first, rest)) => (first, format!("/{rest}")),
        None => (pointer.strip_prefix('/')?, String::new()),
    };
    schema.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(&rest)
}

fn is_type(value: &Value) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    match value {
        Value::Array(names) => !names.is_empty() && names.iter().all(known),
        name => known(name),
    }
}

fn is_set_of_text(value: &Value) -> bool {
    let Value::Array(items) = value else { return false };
    let texts: HashSet<_> = items.iter().filter_map(Value::as_str).collect();
    texts.len() == items.len()
}

fn anchors(schema: &Object) -> HashSet<&str> {
    let mut found = HashSet::new();
    let mut pending = vec![schema];
    while let Some(schema) = pending.pop() {
        for (keyword, value) in schema {
            match value {
                Value::String(anchor) if matches!(&**keyword, "$anchor" | "$dynamicAnchor") => {
                    found.insert(anchor.as_str());
                }
                Value::Object(inner) => pending.push(inner),
                Value::Array(items) => pending.extend(items.iter().filter_map(Value::as_object)),
                _ => {}
            }
        }
    }
    found
}

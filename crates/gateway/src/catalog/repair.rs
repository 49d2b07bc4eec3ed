//! Repairs the definition of a tool where one repair is certain to be right, and refuses it
//! otherwise. One broken definition makes many clients refuse a whole list.

use serde_json::{Value, json};

use super::schema;
use sentinel_mcp_protocol::jsonrpc::Object;

/// Bytes of one definition, as the registry takes it. It is shown to a model with every request.
const LARGEST: usize = 64 * 1024;

/// Optional members, and whether a value has the form that clients expect.
type Form = (&'static str, fn(&Value) -> bool);
const OPTIONAL: [Form; 5] = [
    ("annotations", Value::is_object),
    ("description", Value::is_string),
    ("icons", Value::is_array),
    ("outputSchema", Value::is_object),
    ("title", Value::is_string),
];

/// Members that are never shown: no pin vouches for `_meta`, by which extensions work, and tasks
/// are not governed.
const UNGOVERNED: [&str; 2] = ["_meta", "execution"];

/// Keywords that say something of a value that need not be an object.
const OTHER_SHAPES: [&str; 12] = [
    "$dynamicRef",
    "$ref",
    "allOf",
    "anyOf",
    "const",
    "else",
    "enum",
    "if",
    "items",
    "not",
    "oneOf",
    "then",
];

/// Why a definition cannot be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) reason: &'static str,
    pub(super) detail: String,
}

/// Makes `definition` one that every client accepts, and says what was changed for that.
///
/// # Errors
/// When that is not possible without changing what the server means.
pub(super) fn repair(definition: &mut Object) -> Result<Vec<&'static str>, Broken> {
    definition.retain(|member, _| !UNGOVERNED.contains(&member.as_str()));
    let mut repairs = Vec::new();
    repairs.extend(repair_optional(definition)?);
    repairs.extend(repair_input(definition)?);
    repairs.extend(drop_broken_output(definition));
    let bytes = serde_json::to_vec(definition).map_or(usize::MAX, |bytes| bytes.len());
    if bytes > LARGEST {
        let detail = format!("it has {bytes} bytes; {LARGEST} are allowed");
        return Err(Broken { reason: "tool_too_large", detail });
    }
    Ok(repairs)
}

impl Broken {
    fn malformed(detail: String) -> Self {
        Self { reason: "tool_malformed", detail }
    }

    fn schema(detail: impl Into<String>) -> Self {
        Self { reason: "tool_schema_broken", detail: detail.into() }
    }
}

/// Removes optional members that are null, which several clients refuse.
fn repair_optional(definition: &mut Object) -> Result<Option<&'static str>, Broken> {
    let before = definition.len();
    definition.retain(|_, value| !value.is_null());
    for (member, is_right) in OPTIONAL {
        // A broken `outputSchema` is left out later; the tool works without it.
        if member != "outputSchema" && definition.get(member).is_some_and(|value| !is_right(value))
        {
            return Err(Broken::malformed(format!("`{member}` has the wrong form")));
        }
    }
    Ok((definition.len() < before).then_some("members that were null were left out"))
}

fn repair_input(definition: &mut Object) -> Result<Option<&'static str>, Broken> {
    let had_type = definition.get("inputSchema").and_then(|schema| schema.get("type")).cloned();
    let schema = definition.entry("inputSchema").or_insert_with(|| json!({"type": "object"}));
    let Value::Object(schema) = schema else {
        return Err(Broken::schema("`inputSchema` is not an object"));
    };
    if !describe_object(schema) {
        return Err(Broken::schema("`inputSchema` describes something else than an object"));
    }
    schema::check(schema).map_err(Broken::schema)?;
    let repaired = had_type.as_ref() != schema.get("type");
    Ok(repaired.then_some("`inputSchema` did not say `\"type\": \"object\"`"))
}

/// Takes out an `outputSchema` that clients would trip over. Results are then not checked.
fn drop_broken_output(definition: &mut Object) -> Option<&'static str> {
    let output = definition.get_mut("outputSchema")?;
    let sound = match output {
        // A schema for a result that is not an object is right in the modern era; the front takes
        // it out for clients that do not know that.
        Value::Object(schema) => {
            describe_object(schema);
            schema::check(schema).is_ok()
        }
        _ => false,
    };
    if sound {
        return None;
    }
    definition.remove("outputSchema");
    Some("`outputSchema` is broken and was left out: results are not checked")
}

/// Has `schema` say `"type": "object"`, and returns whether it may.
fn describe_object(schema: &mut Object) -> bool {
    let is_object = match schema.get("type") {
        Some(Value::String(name)) => name == "object",
        // Arguments are always an object, so that other types never apply.
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        Some(_) => false,
        None => implies_object(schema, schema, 0),
    };
    if is_object {
        schema.insert("type".to_owned(), Value::from("object"));
    }
    is_object
}

/// The most references and alternatives that are followed one inside the other.
const DEEPEST: usize = 8;

/// Whether a schema without `type` can only be meant for an object.
fn implies_object(schema: &Object, root: &Object, depth: usize) -> bool {
    if depth > DEEPEST {
        return false;
    }
    if let Some(kind) = schema.get("type") {
        return kind == "object";
    }
    if schema.contains_key("properties") || schema.contains_key("required") {
        return true;
    }
    let inner = |value: &Value| {
        value.as_object().is_some_and(|inner| implies_object(inner, root, depth + 1))
    };
    if let Some(Value::String(reference)) = schema.get("$ref") {
        let target = reference.strip_prefix('#').and_then(|pointer| schema::find(root, pointer));
        return target.is_some_and(inner);
    }
    let all = |member| match schema.get(member) {
        Some(Value::Array(schemas)) => !schemas.is_empty() && schemas.iter().all(inner),
        _ => false,
    };
    let any = |member| match schema.get(member) {
        Some(Value::Array(schemas)) => schemas.iter().any(inner),
        _ => false,
    };
    // A schema that says nothing of the value allows any object.
    all("anyOf")
        || all("oneOf")
        || any("allOf")
        || !schema.keys().any(|keyword| OTHER_SHAPES.contains(&keyword.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repaired(definition: Value) -> Result<Value, &'static str> {
        let Value::Object(mut definition) = definition else { panic!("not an object") };
        repair(&mut definition).map_err(|broken| broken.reason)?;
        Ok(Value::Object(definition))
    }

    fn repaired_input(schema: &Value) -> Result<Value, &'static str> {
        let mut tool = repaired(json!({"name": "a", "inputSchema": schema}))?;
        Ok(tool["inputSchema"].take())
    }

    #[test]
    fn adds_the_type_of_an_object() {
        let repairable = [
            json!(null),
            json!({}),
            json!({"properties": {"x": {"type": "string"}}}),
            json!({"type": ["object", "null"]}),
            json!({"anyOf": [{"type": "object"}, {"required": []}]}),
            json!({"allOf": [{"type": "object"}, {"minProperties": 1}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}),
        ];
        for schema in repairable {
            assert_eq!(repaired_input(&schema).unwrap()["type"], "object", "{schema}");
        }
        let absent = repaired(json!({"name": "a"})).unwrap();
        assert_eq!(absent["inputSchema"], json!({"type": "object"}));
    }

    #[test]
    fn refuses_schemas_that_clients_refuse() {
        let properties = |properties: Value| json!({"type": "object", "properties": properties});
        let broken = [
            json!("object"),
            json!(true),
            json!({"type": "array"}),
            json!({"type": "objekt"}),
            json!({"anyOf": [{"type": "object"}, {"type": "string"}]}),
            json!({"const": 1}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
            json!({"type": "object", "required": true}),
            json!({"type": "object", "required": ["a", "a"]}),
            json!({"type": "object", "anyOf": []}),
            properties(json!([])),
            properties(json!({"x": "string"})),
            properties(json!({"x": {"required": true}})),
            properties(json!({"x": {"$ref": "#/$defs/a"}})),
            properties(json!({"x": {"$ref": "#a"}})),
            properties(json!({"x": {"$ref": "https://example.com/s"}})),
            properties(json!({"x": {"type": "str"}})),
            properties(json!({"x": {"items": {"pattern": 1}}})),
        ];
        for schema in broken {
            assert_eq!(repaired_input(&schema), Err("tool_schema_broken"), "{schema}");
        }
    }

    #[test]
    fn refuses_malformed_members() {
        let malformed =
            [json!({"description": 1}), json!({"annotations": []}), json!({"title": {}})];
        for definition in malformed {
            assert_eq!(repaired(definition), Err("tool_malformed"));
        }
        let large = json!({"description": "x".repeat(LARGEST)});
        assert_eq!(repaired(large), Err("tool_too_large"));
    }

    #[test]
    fn keeps_a_sound_definition_as_it_is() {
        let sound = json!({
            "name": "a",
            "title": "A",
            "description": "…",
            "annotations": {"readOnlyHint": true, "x-own": 1},
            "inputSchema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "$defs": {"b": {"$anchor": "b", "type": "object"}},
                "properties": {"x": {"$ref": "#/$defs/b"}, "y": {"$ref": "#b"}, "z": true},
                "additionalProperties": false,
                "allOf": [{"if": {}, "then": {"minProperties": 1}}],
            },
            "outputSchema": {"type": "object", "properties": {"x": {"type": "integer"}}},
            "x-unknown": {"kept": true},
        });
        assert_eq!(repaired(sound.clone()).unwrap(), sound);
    }

    #[test]
    fn leaves_out_an_output_schema_that_is_broken() {
        let broken = [
            json!("broken"),
            json!({"type": "object", "properties": {"x": 1}}),
            json!({"type": "object", "properties": {"x": {"$ref": "#/a"}}}),
        ];
        for output in broken {
            let repaired = repaired(json!({"name": "a", "outputSchema": output})).unwrap();
            assert_eq!(repaired, json!({"name": "a", "inputSchema": {"type": "object"}}));
        }
        let of_text = json!({"type": "string"});
        let repaired = repaired(json!({"name": "a", "outputSchema": of_text})).unwrap();
        assert_eq!(repaired["outputSchema"], of_text, "right in the modern era");
    }

    #[test]
    fn leaves_out_what_is_not_governed() {
        let definition = json!({
            "name": "a",
            "inputSchema": {"type": "object"},
            "execution": {"taskSupport": "optional"},
            "_meta": {"ui": {"resourceUri": "ui://a"}, "ui/resourceUri": "ui://a"},
        });
        let expected = json!({"name": "a", "inputSchema": {"type": "object"}});
        assert_eq!(repaired(definition).unwrap(), expected);
    }
}

//! Lists of objects: as JSON in an environment variable, and what is wrong with an entry.

use config::{Value, ValueKind};
use sentinel_core::json::{self, Limits};
use serde_json::Value as Json;

/// Reads the value of a variable that holds a list of objects.
///
/// # Errors
/// When it is not a JSON list, with the place but without the text, which may be a secret.
pub(super) fn read(variable: &str, text: &str) -> Result<Value, String> {
    let list = json::parse(text.as_bytes(), &Limits::REQUEST).ok().filter(Json::is_array);
    let list = list.ok_or_else(|| {
        format!("the variable `{variable}` must be a JSON list of objects, such as `[{{…}}]`")
    })?;
    Ok(value(&variable.to_owned(), list))
}

fn value(origin: &String, json: Json) -> Value {
    let kind = match json {
        Json::Null => ValueKind::Nil,
        Json::Bool(given) => ValueKind::Boolean(given),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), ..) => ValueKind::I64(whole),
            (_, Some(whole), _) => ValueKind::U64(whole),
            (.., real) => ValueKind::Float(real.unwrap_or_default()),
        },
        Json::String(text) => ValueKind::String(text),
        Json::Array(items) => {
            ValueKind::Array(items.into_iter().map(|item| value(origin, item)).collect())
        }
        Json::Object(members) => {
            let member = |(name, json)| (name, value(origin, json));
            ValueKind::Table(members.into_iter().map(member).collect())
        }
    };
    Value::new(Some(origin), kind)
}

/// What is wrong with the first entry that does not fit, in a list of objects as `field` of `schema`
/// describes them. No value is repeated: it may be a secret.
pub(super) fn misfit(field: &Json, schema: &Json, given: &Value) -> Option<String> {
    let items = field.pointer("/items/$ref")?.as_str()?;
    let entry = schema.pointer(items.trim_start_matches('#'))?;
    let ValueKind::Array(given) = &given.kind else { return None };
    let takes = names(entry, "properties").map(|name| format!("`{name}`"));
    let takes = takes.collect::<Vec<_>>().join(", ");
    let mut wrong = given.iter().zip(1..).filter_map(|(given, number)| {
        let what = wrong_with(entry, given)?;
        Some(format!("entry {number} {what}; an entry takes {takes}"))
    });
    wrong.next()
}

fn wrong_with(entry: &Json, given: &Value) -> Option<String> {
    let ValueKind::Table(members) = &given.kind else {
        return Some("is not an object".to_owned());
    };
    let known = |name: &str| entry.pointer("/properties").and_then(|all| all.get(name));
    if let Some(unknown) = members.keys().find(|name| known(name).is_none()) {
        return Some(format!("has a member `{unknown}` that is not known"));
    }
    let required = entry.get("required").and_then(Json::as_array).into_iter().flatten();
    let mut missing = required.filter_map(Json::as_str).filter(|name| !members.contains_key(*name));
    if let Some(missing) = missing.next() {
        return Some(format!("has no `{missing}`"));
    }
    let mut misfits = members.iter().filter(|(name, value)| {
        let wants_text = known(name).and_then(|of| of.get("type")) == Some(&"string".into());
        wants_text
            && matches!(value.kind, ValueKind::Table(_) | ValueKind::Array(_) | ValueKind::Nil)
    });
    misfits.next().map(|(name, _)| format!("has a `{name}` that is not text"))
}

fn names<'a>(entry: &'a Json, of: &str) -> impl Iterator<Item = &'a str> {
    let members = entry.get(of).and_then(Json::as_object);
    members.into_iter().flatten().map(|(name, _)| name.as_str())
}

//! Functions of texts.

use regorus::Value;

use super::function::{Outcome, Unsupported, string};
use crate::interpreter::guard::json;

/// `strings.count`: occurrences that do not overlap; of the empty text, one more than characters.
pub(super) fn count(args: &[Value]) -> Outcome {
    let (Some(text), Some(part)) = (string(args.first()), string(args.get(1))) else {
        return Err(Unsupported::argument("strings.count"));
    };
    let count = if part.is_empty() { text.chars().count() + 1 } else { text.matches(part).count() };
    Ok(Value::from(count))
}

/// `strings.replace_n`: at each place the first of the sorted patterns that is there, and then on
/// behind it; what was put is not replaced again.
pub(super) fn replace_n(args: &[Value]) -> Outcome {
    let (Some(Value::Object(patterns)), Some(text)) = (args.first(), string(args.get(1))) else {
        return Err(Unsupported::argument("strings.replace_n"));
    };
    let mut pairs = Vec::new();
    for (old, new) in patterns.iter() {
        let (Value::String(old), Value::String(new)) = (old, new) else {
            return Err(Unsupported::argument("strings.replace_n"));
        };
        pairs.push((old.as_ref(), new.as_ref()));
    }
    pairs.sort_unstable();
    if pairs.iter().any(|(old, _)| old.is_empty()) {
        return Err(Unsupported::new("strings.replace_n", "an empty pattern is not supported"));
    }
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = pairs.iter().find_map(|(old, new)| Some((rest.strip_prefix(old)?, new)));
        if let Some((behind, new)) = found {
            replaced.push_str(new);
            rest = behind;
        } else {
            replaced.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    Ok(Value::from(replaced))
}

/// `json.is_valid`: false of what is not a text.
pub(super) fn json_is_valid(args: &[Value]) -> Outcome {
    let Some(text) = string(args.first()) else { return Ok(Value::from(false)) };
    json(text).map_err(|error| Unsupported::new("json.is_valid", error.to_string()))?;
    let valid = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    Ok(Value::from(valid))
}

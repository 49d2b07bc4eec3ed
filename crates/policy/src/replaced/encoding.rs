//! JSON as Go writes it, and the texts of queries as Go reads them.

use std::collections::BTreeMap;

use regorus::Value;

use super::number::{Number, number};
use super::{Outcome, Unsupported, string};

/// `json.marshal`: `<`, `>` and `&` are escaped, too.
pub(super) fn marshal(args: &[Value]) -> Outcome {
    let Some(value) = args.first() else { return Err(Unsupported::argument("json.marshal")) };
    let unsupported = || {
        let why = "how OPA writes a number, or a key that is not a text, is not certain";
        Unsupported::new("json.marshal", why)
    };
    if !is_certain(value) {
        return Err(unsupported());
    }
    let text = serde_json::to_string(value).map_err(|_| unsupported())?;
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => escaped.push(c),
        }
    }
    Ok(Value::from(escaped))
}

/// Whether OPA writes it as it is written here: of numbers, it keeps the digits that it was given.
fn is_certain(value: &Value) -> bool {
    match value {
        Value::Number(_) => match number(value) {
            Some(Number::Int(_) | Number::Big(_)) => true,
            Some(Number::Float(float)) => (1e-4..1e15).contains(&float.abs()),
            _ => false,
        },
        Value::Array(items) => items.iter().all(is_certain),
        Value::Set(items) => items.iter().all(is_certain),
        Value::Object(fields) => {
            fields.iter().all(|(key, value)| string(Some(key)).is_some() && is_certain(value))
        }
        _ => true,
    }
}

/// `None` when a `%` is not followed by two digits.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut found = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        found.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits =
                    [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
                let [high, low] = digits;
                u8::try_from(high? * 16 + low?).ok()?
            }
            other => other,
        });
    }
    Some(found)
}

fn text(bytes: Vec<u8>, name: &'static str) -> Result<Value, Unsupported> {
    let text = String::from_utf8(bytes);
    text.map(Value::from).map_err(|_| Unsupported::new(name, "the result is not utf-8"))
}

/// `urlquery.decode`.
pub(super) fn decode_query(args: &[Value]) -> Outcome {
    let Some(bytes) = string(args.first()).and_then(unescaped) else {
        return Err(Unsupported::argument("urlquery.decode"));
    };
    text(bytes, "urlquery.decode")
}

/// `urlquery.decode_object`: each name with the list of its values.
pub(super) fn decode_query_object(args: &[Value]) -> Outcome {
    let Some(query) = string(args.first()) else {
        return Err(Unsupported::argument("urlquery.decode_object"));
    };
    let mut found: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (Some(name), Some(value)) = (unescaped(name), unescaped(value)) else {
            return Err(Unsupported::argument("urlquery.decode_object"));
        };
        if part.contains(';') {
            return Err(Unsupported::argument("urlquery.decode_object"));
        }
        let name = text(name, "urlquery.decode_object")?;
        found.entry(name).or_default().push(text(value, "urlquery.decode_object")?);
    }
    let fields = found.into_iter().map(|(name, values)| (name, Value::from(values)));
    Ok(Value::from(fields.collect::<BTreeMap<_, _>>()))
}

//! JSON as Go writes it, and the texts of queries as Go reads them.

use std::collections::BTreeMap;

use regorus::Value;

use super::function::{Outcome, Unsupported, string};
use super::number::{Number, number};

/// Bytes of an indented text, of which each line may be as long as its level times the indentation.
const MAX_INDENTED: usize = 4 * 1024 * 1024;

/// `json.marshal`.
pub(super) fn marshal(args: &[Value]) -> Outcome {
    written("json.marshal", args.first()).map(Value::from)
}

/// `json.marshal_with_options`.
pub(super) fn marshal_with_options(args: &[Value]) -> Outcome {
    let name = "json.marshal_with_options";
    let Some(Value::Object(options)) = args.get(1) else { return Err(Unsupported::argument(name)) };
    let (mut prefix, mut indent, mut pretty) = ("", "\t", None);
    for (option, value) in options.iter() {
        match (string(Some(option)), value) {
            (Some("prefix"), Value::String(text)) => prefix = text,
            (Some("indent"), Value::String(text)) => indent = text,
            (Some("pretty"), Value::Bool(is)) => pretty = Some(*is),
            _ => return Err(Unsupported::argument(name)),
        }
    }
    let implied =
        ["prefix", "indent"].iter().any(|name| options.get(&Value::from(*name)).is_some());
    let text = written(name, args.first())?;
    if !pretty.unwrap_or(implied) {
        return Ok(Value::from(text));
    }
    let indented = indented(&text, prefix, indent);
    indented.map(Value::from).ok_or_else(|| Unsupported::new(name, "the text is too long"))
}

/// JSON on lines, each behind the prefix.
fn indented(json: &str, prefix: &str, indent: &str) -> Option<String> {
    let mut found = prefix.to_owned();
    let line = |found: &mut String, level: usize| {
        found.push('\n');
        found.push_str(prefix);
        (0..level).for_each(|_| found.push_str(indent));
    };
    let (mut level, mut in_text, mut escaped, mut opened) = (0_usize, false, false, false);
    for c in json.chars() {
        if in_text {
            found.push(c);
            in_text = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            continue;
        }
        if opened && !matches!(c, ']' | '}') {
            level += 1;
            line(&mut found, level);
        }
        match c {
            ']' | '}' if !opened => {
                level = level.saturating_sub(1);
                line(&mut found, level);
                found.push(c);
            }
            ',' => {
                found.push(c);
                line(&mut found, level);
            }
            ':' => found.push_str(": "),
            _ => found.push(c),
        }
        opened = matches!(c, '[' | '{');
        in_text = c == '"';
        if found.len() > MAX_INDENTED {
            return None;
        }
    }
    Some(found)
}

/// As Go writes JSON: `<`, `>` and `&` are escaped, too.
fn written(name: &'static str, value: Option<&Value>) -> Result<String, Unsupported> {
    let Some(value) = value else { return Err(Unsupported::argument(name)) };
    let unsupported = || {
        let why = "how OPA writes a number, or a key that is not a text, is not certain";
        Unsupported::new(name, why)
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
    Ok(escaped)
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

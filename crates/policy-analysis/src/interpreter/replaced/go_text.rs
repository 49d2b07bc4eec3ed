//! Values as OPA writes them in Rego, and texts as Go quotes them.

use regorus::Value;

use super::number::{Number, number};

/// `None` when the text is not certain: of numbers, OPA keeps the digits that were written.
pub(super) fn rego(value: &Value) -> Option<String> {
    let mut text = String::new();
    write(value, &mut text)?;
    Some(text)
}

fn write(value: &Value, text: &mut String) -> Option<()> {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(_) => match number(value)? {
            Number::Int(int) => text.push_str(&int.to_string()),
            Number::Big(digits) => text.push_str(&digits),
            Number::Float(float) => text.push_str(&plain(float)?),
            Number::Whole(_) => return None,
        },
        Value::String(string) => text.push_str(&quoted(string)?),
        Value::Array(items) => list("[", items.iter(), "]", text)?,
        Value::Set(items) if items.iter().next().is_none() => text.push_str("set()"),
        Value::Set(items) => list("{", items.iter(), "}", text)?,
        Value::Object(fields) => {
            text.push('{');
            for (index, (key, value)) in fields.iter_sorted().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write(key, text)?;
                text.push_str(": ");
                write(value, text)?;
            }
            text.push('}');
        }
        Value::Undefined => return None,
    }
    Some(())
}

fn list<'v>(
    open: &str,
    items: impl Iterator<Item = &'v Value>,
    close: &str,
    text: &mut String,
) -> Option<()> {
    text.push_str(open);
    for (index, item) in items.enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        write(item, text)?;
    }
    text.push_str(close);
    Some(())
}

/// A fraction of usual size, which is written without an exponent.
fn plain(float: f64) -> Option<String> {
    (1e-4..1e15).contains(&float.abs()).then(|| float.to_string())
}

/// As `strconv.Quote`; `None` when it is not certain whether Go prints or escapes a character.
pub(super) fn quoted(text: &str) -> Option<String> {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            ' '..='~' => quoted.push(c),
            '\0'..='\u{7f}' => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{80}'..='\u{a0}' | '\u{ad}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ if c.is_alphanumeric() || c.escape_debug().len() == 1 => quoted.push(c),
            _ => return None,
        }
    }
    quoted.push('"');
    Some(quoted)
}

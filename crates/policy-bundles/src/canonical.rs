//! What a signature says of a file: the hash of its bytes or, of data and manifests, of their
//! value, so that it does not depend on white space and the order of keys.
//!
//! The form is OPA's: keys sorted, nothing between, numbers as they are written in JSON.

use std::collections::BTreeMap;

use sentinel_core::json;
use sentinel_policy_analysis::interpreter::InterpreterError;
use sentinel_policy_analysis::{DATA_LIMITS, MANIFEST};
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::digest::DynDigest;
use sha2::{Sha256, Sha384, Sha512, Sha512_256};

use crate::error::BundleError;

/// The hash that we sign.
pub(crate) const SHA256: &str = "SHA-256";

/// The hash of a file, in hex.
pub(crate) fn hash(path: &str, contents: &[u8], algorithm: &str) -> Result<String, BundleError> {
    let mut digest: Box<dyn DynDigest> = match algorithm {
        SHA256 => Box::new(Sha256::default()),
        "SHA-384" => Box::new(Sha384::default()),
        "SHA-512" => Box::new(Sha512::default()),
        "SHA-512-256" => Box::new(Sha512_256::default()),
        _ => {
            let detail = format!("`{path}` is hashed by `{algorithm}`, which is not trusted");
            return Err(BundleError::Signature(detail));
        }
    };
    let mut add = |bytes: &[u8]| digest.update(bytes);
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        "data.json" | MANIFEST => {
            let text = strict(contents).map_err(|error| BundleError::file(path, error))?;
            add_json(text, &mut add).map_err(|error| BundleError::file(path, error))?;
        }
        "data.yaml" | "data.yml" => match strict(contents) {
            Ok(text) => add_json(text, &mut add).map_err(|e| BundleError::file(path, e))?,
            Err(_) => {
                let value = yaml(contents).map_err(|error| BundleError::file(path, error))?;
                add_value(&value, &mut add);
            }
        },
        _ => add(contents),
    }
    Ok(hex::encode(digest.finalize()))
}

/// The text, when it is JSON on which no two parsers differ.
fn strict(contents: &[u8]) -> Result<&str, json::JsonError> {
    json::parse_as::<IgnoredAny>(contents, &DATA_LIMITS)?;
    // JSON that parses is UTF-8.
    Ok(std::str::from_utf8(contents).unwrap_or_default())
}

fn yaml(contents: &[u8]) -> Result<Value, InterpreterError> {
    let text = std::str::from_utf8(contents).map_err(|error| InterpreterError::new(&error))?;
    let value = regorus::Value::from_yaml_str(text).map_err(|e| InterpreterError::new(&e))?;
    serde_json::to_value(&value).map_err(|error| InterpreterError::new(&error))
}

/// Numbers stay as they are written, which a parsed value would not keep.
fn add_json(text: &str, add: &mut impl FnMut(&[u8])) -> serde_json::Result<()> {
    let text = text.trim_ascii();
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            for (index, (key, value)) in members.iter().enumerate() {
                add(if index == 0 { b"{" } else { b"," });
                add_string(key, add);
                add(b":");
                add_json(value.get(), add)?;
            }
            add(if members.is_empty() { b"{}" } else { b"}" });
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            for (index, value) in items.iter().enumerate() {
                add(if index == 0 { b"[" } else { b"," });
                add_json(value.get(), add)?;
            }
            add(if items.is_empty() { b"[]" } else { b"]" });
        }
        Some(b'"') => add_string(&serde_json::from_str::<String>(text)?, add),
        _ => add(text.as_bytes()),
    }
    Ok(())
}

/// Of YAML, whose numbers OPA turns into those of Go first.
fn add_value(value: &Value, add: &mut impl FnMut(&[u8])) {
    match value {
        Value::Null => add(b"null"),
        Value::Bool(true) => add(b"true"),
        Value::Bool(false) => add(b"false"),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => add(go_float(float).as_bytes()),
            None => add(number.to_string().as_bytes()),
        },
        Value::String(text) => add_string(text, add),
        Value::Array(items) => {
            add(b"[");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    add(b",");
                }
                add_value(item, add);
            }
            add(b"]");
        }
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            add(b"{");
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    add(b",");
                }
                add_string(key, add);
                add(b":");
                add_value(value, add);
            }
            add(b"}");
        }
    }
}

/// The shortest digits, with an exponent only where Go writes one.
fn go_float(float: f64) -> String {
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{float:e}");
        return if size >= 1e21 { text.replace('e', "e+") } else { text };
    }
    format!("{float}")
}

fn add_string(text: &str, add: &mut impl FnMut(&[u8])) {
    // A string always serializes.
    let quoted = serde_json::to_string(text).unwrap_or_default();
    // Go escapes these two for the sake of JavaScript.
    let quoted = quoted.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    add(quoted.as_bytes());
}

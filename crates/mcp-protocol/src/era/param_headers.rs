//! Arguments that a tool wants repeated in headers: `x-mcp-header` in its `inputSchema` names a
//! header `Mcp-Param-*` for a property.

use std::collections::BTreeSet;

use http::HeaderMap;
use serde_json::Value;

use super::headers::{decoded, put, single};
use super::{encoding, header};
use crate::jsonrpc::{Object, RpcError};

const ANNOTATION: &str = "x-mcp-header";
/// Integers beyond this are read differently by readers that know floats only.
const SAFE_INTEGER: i64 = (1 << 53) - 1;
const MAX_HEADERS: usize = 32;
const MAX_DEPTH: usize = 16;

/// One argument that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// Lower case, with the prefix.
    name: String,
    /// Keys that lead from the arguments to the value.
    path: Vec<String>,
}

/// All of them, of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamHeaders(Vec<ParamHeader>);

impl ParamHeaders {
    /// Reads the annotations of an `inputSchema`.
    ///
    /// # Errors
    /// Why the annotations, and with them the definition of the tool, are invalid.
    pub fn of_schema(schema: &Object) -> Result<Self, &'static str> {
        let mut found = Vec::new();
        collect(schema, &mut Vec::new(), &mut found)?;
        let names: BTreeSet<&str> = found.iter().map(|header| header.name.as_str()).collect();
        if names.len() != found.len() {
            return Err("two properties have the same x-mcp-header");
        }
        if annotations(schema) != found.len() {
            return Err("an x-mcp-header is on something else than a property of an object");
        }
        if found.len() > MAX_HEADERS {
            return Err("more than 32 properties have an x-mcp-header");
        }
        Ok(Self(found))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the headers of a `tools/call` against its arguments.
    ///
    /// # Errors
    /// `-32020`, when a header is missing, superfluous, malformed or differs.
    pub fn check(&self, headers: &HeaderMap, arguments: &Object) -> Result<(), RpcError> {
        for param in &self.0 {
            let stated = single(headers, &param.name)?.map(decoded).transpose()?;
            match (stated, param.value(arguments)) {
                (None, None) => {}
                (Some(stated), Some(value)) if says(&stated, value) => {}
                (None, Some(_)) => return Err(param.mismatch("is missing")),
                (Some(_), _) => return Err(param.mismatch("contradicts the arguments")),
            }
        }
        Ok(())
    }

    /// Writes the headers for a `tools/call` to a modern server.
    ///
    /// # Errors
    /// When an integer is beyond what the specification allows in a header.
    pub fn write(&self, headers: &mut HeaderMap, arguments: &Object) -> Result<(), RpcError> {
        for param in &self.0 {
            let Some(value) = param.value(arguments) else { continue };
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(flag) => flag.to_string(),
                value => safe_integer(value)
                    .ok_or_else(|| param.mismatch("cannot carry this number"))?
                    .to_string(),
            };
            put(headers, &param.name, &encoding::encode(&text))?;
        }
        Ok(())
    }
}

impl ParamHeader {
    /// The value that the header repeats. Absent and null values have no header; arrays and objects
    /// do not fit the schema and have none either.
    fn value<'a>(&self, arguments: &'a Object) -> Option<&'a Value> {
        let (first, rest) = self.path.split_first()?;
        let start = arguments.get(first);
        let value = rest.iter().fold(start, |value, key| value?.as_object()?.get(key))?;
        (value.is_string() || value.is_boolean() || value.is_number()).then_some(value)
    }

    fn mismatch(&self, what: &str) -> RpcError {
        RpcError::header_mismatch(format!("the header {} {what}", self.name))
    }
}

/// Whether a header states the value. Numbers are compared by value, since `42` and `42.0` are the
/// same argument.
fn says(stated: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => stated == text,
        Value::Bool(flag) => stated == if *flag { "true" } else { "false" },
        value => {
            let stated = serde_json::from_str::<Value>(stated).ok();
            let stated = stated.as_ref().and_then(safe_integer);
            stated.is_some() && stated == safe_integer(value)
        }
    }
}

fn safe_integer(value: &Value) -> Option<i64> {
    let number = value.as_i64().or_else(|| whole(value.as_f64()?))?;
    (-SAFE_INTEGER..=SAFE_INTEGER).contains(&number).then_some(number)
}

/// A float that is an integer, such as `42.0`.
fn whole(float: f64) -> Option<i64> {
    if float.fract() != 0.0 || float.abs() >= 9_007_199_254_740_992.0 {
        return None;
    }
    // Below 2^53 the decimal form of a whole float has no exponent and no fraction.
    format!("{float:.0}").parse().ok()
}

fn collect(
    schema: &Object,
    path: &mut Vec<String>,
    found: &mut Vec<ParamHeader>,
) -> Result<(), &'static str> {
    if path.len() > MAX_DEPTH {
        return Ok(());
    }
    let Some(Value::Object(properties)) = schema.get("properties") else { return Ok(()) };
    for (key, property) in properties {
        let Value::Object(property) = property else { continue };
        path.push(key.clone());
        if let Some(annotation) = property.get(ANNOTATION) {
            found
                .push(ParamHeader { name: header_name(annotation, property)?, path: path.clone() });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

fn header_name(annotation: &Value, property: &Object) -> Result<String, &'static str> {
    let name = annotation.as_str().ok_or("an x-mcp-header is not a string")?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token) {
        return Err("an x-mcp-header is not a valid name of a header");
    }
    match property.get("type").and_then(Value::as_str) {
        Some("string" | "integer" | "boolean") => {
            Ok(format!("{}{}", header::PARAM_PREFIX, name.to_ascii_lowercase()))
        }
        _ => Err("an x-mcp-header is on a property that is not a string, integer or boolean"),
    }
}

/// How many annotations there are at all. Below a `properties` the key is an argument's name, and
/// in the values of `const`, `default`, `enum` and `examples` it is data.
fn annotations(schema: &Object) -> usize {
    let nested = schema.iter().map(|(key, value)| match (key.as_str(), value) {
        ("const" | "default" | "enum" | "examples", _) => 0,
        ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(named)) => {
            named.values().map(in_value).sum()
        }
        (_, value) => in_value(value),
    });
    usize::from(schema.contains_key(ANNOTATION)) + nested.sum::<usize>()
}

fn in_value(value: &Value) -> usize {
    match value {
        Value::Object(schema) => annotations(schema),
        Value::Array(items) => items.iter().map(in_value).sum(),
        _ => 0,
    }
}

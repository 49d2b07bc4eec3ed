//! From bytes to one message, or to the error that its sender is told.

use std::fmt;

use sentinel_core::json::{self, JsonError, Limits};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Id, Message, Notification, Object, Request, Response, RpcError};

/// The limits of one message.
pub const LIMITS: Limits = Limits {
    max_bytes: 4 * 1024 * 1024,
    max_depth: 64,
    max_nodes: 200_000,
    // Images and files are single strings.
    max_string_bytes: 4 * 1024 * 1024,
    max_key_bytes: 1024,
};

/// The longest id, and progress token, in bytes.
pub const MAX_ID_BYTES: usize = 1024;
/// The longest name of a method, in bytes.
pub const MAX_METHOD_BYTES: usize = 128;

const MEMBERS: [&str; 6] = ["error", "id", "jsonrpc", "method", "params", "result"];

/// A message that was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct Malformed {
    /// The id of the message where it could be read and is not ambiguous.
    pub id: Option<Id>,
    pub error: RpcError,
    /// Whether it may have been a request: a front responds with the error only to a request, and
    /// never to what appears to be a response or a notification.
    pub expects_response: bool,
}

/// Reads one message.
///
/// # Errors
/// When it is not one well-formed message within `limits`, or readers could differ about it.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Message, Malformed> {
    match json::parse(bytes, limits) {
        Ok(Value::Object(members)) => envelope(members),
        Ok(Value::Array(_)) => Err(refuse(None, "batches are not supported; send one message")),
        Ok(_) => Err(refuse(None, "a message must be a json object")),
        Err(error) => Err(unreadable(bytes, limits, &error)),
    }
}

fn envelope(mut members: Object) -> Result<Message, Malformed> {
    let called = members.contains_key("method");
    let id = members.remove("id");
    let readable = id.as_ref().and_then(Id::from_value);
    let fail = |what: &str| Malformed {
        id: readable.clone(),
        error: RpcError::invalid_request(what),
        // Without a method it is a response, or nothing at all; an `id` of any kind makes the rest
        // a request.
        expects_response: called && id.is_some(),
    };
    if members.keys().any(|key| !MEMBERS.contains(&key.as_str())) {
        return Err(fail("the envelope has a member that json-rpc does not define"));
    }
    if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(fail("`jsonrpc` must be \"2.0\""));
    }
    let body = if called { called_body(members) } else { response_body(members) };
    match (body.map_err(fail)?, &id, &readable) {
        (Body::Called(method, params), None, _) => {
            Ok(Message::Notification(Notification { method, params }))
        }
        (Body::Called(method, params), Some(_), Some(id)) => {
            Ok(Message::Request(Request { id: id.clone(), method, params }))
        }
        (Body::Response(outcome), Some(_), Some(id)) => {
            Ok(Message::Response(Response { id: Some(id.clone()), outcome }))
        }
        (Body::Response(Err(error)), None | Some(Value::Null), _) => {
            Ok(Message::Response(Response { id: None, outcome: Err(error) }))
        }
        _ => Err(fail("`id` must be a string of at most 1024 bytes or an integer")),
    }
}

enum Body {
    Called(String, Object),
    Response(Result<Object, RpcError>),
}

fn called_body(mut members: Object) -> Result<Body, &'static str> {
    if members.contains_key("result") || members.contains_key("error") {
        return Err("a message has either a `method` or an outcome");
    }
    let method = match members.remove("method") {
        Some(Value::String(method)) if is_method(&method) => method,
        _ => return Err("`method` must be 1 to 128 visible ascii characters"),
    };
    match members.remove("params") {
        None => Ok(Body::Called(method, Object::new())),
        Some(Value::Object(params)) => Ok(Body::Called(method, params)),
        Some(_) => Err("`params` must be an object"),
    }
}

fn is_method(method: &str) -> bool {
    (1..=MAX_METHOD_BYTES).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_graphic())
}

fn response_body(mut members: Object) -> Result<Body, &'static str> {
    if members.contains_key("params") {
        return Err("`params` without a `method`");
    }
    match (members.remove("result"), members.remove("error")) {
        (Some(Value::Object(result)), None) => Ok(Body::Response(Ok(result))),
        (None, Some(Value::Object(error))) => Ok(Body::Response(Err(error_body(error)?))),
        (None, None) => Err("a message has a `method`, a `result` or an `error`"),
        (Some(_), Some(_)) => Err("`result` and `error` exclude each other"),
        _ => Err("`result` and `error` must be objects"),
    }
}

/// Members that JSON-RPC does not define are dropped: no decision depends on an error.
fn error_body(mut error: Object) -> Result<RpcError, &'static str> {
    let code = error.get("code").and_then(Value::as_i64);
    match (code, error.remove("message")) {
        (Some(code), Some(Value::String(message))) => {
            Ok(RpcError { code, message, data: error.remove("data") })
        }
        _ => Err("an error has an integer `code` and a string `message`"),
    }
}

fn refuse(id: Option<Id>, message: &str) -> Malformed {
    Malformed { id, error: RpcError::invalid_request(message), expects_response: true }
}

/// The error for bytes that the strict parser refused. When they are JSON all the same, such as an
/// object with a duplicate key, the id is read, so that the client learns which request failed.
fn unreadable(bytes: &[u8], limits: &Limits, error: &JsonError) -> Malformed {
    let is_json = !matches!(error, JsonError::Malformed { .. } | JsonError::TooLarge { .. });
    let outline = (is_json && bytes.len() <= limits.max_bytes)
        .then(|| outline(bytes))
        .flatten()
        .unwrap_or(Outline { id: None, expects_response: true });
    let error = if matches!(error, JsonError::Malformed { .. }) {
        RpcError::parse_error(error.to_string())
    } else {
        RpcError::invalid_request(error.to_string())
    };
    Malformed { id: outline.id, error, expects_response: outline.expects_response }
}

/// What can be said of a message that was refused.
struct Outline {
    id: Option<Id>,
    expects_response: bool,
}

fn outline(bytes: &[u8]) -> Option<Outline> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let outline = parser.deserialize_map(OutlineVisitor).ok()?;
    parser.end().ok()?;
    Some(outline)
}

struct OutlineVisitor;

impl<'de> Visitor<'de> for OutlineVisitor {
    type Value = Outline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Outline, A::Error> {
        let (mut ids, mut methods, mut id) = (0_usize, 0_usize, None);
        while let Some(key) = members.next_key::<String>()? {
            match key.as_str() {
                "id" => {
                    ids += 1;
                    id = members.next_value::<ShortId>()?.0;
                }
                key => {
                    methods += usize::from(key == "method");
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        // Of two ids neither is the id.
        Ok(Outline { id: id.filter(|_| ids == 1), expects_response: ids > 0 && methods > 0 })
    }
}

/// An id, or something else, of which nothing is built.
struct ShortId(Option<Id>);

impl<'de> Deserialize<'de> for ShortId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        let short = raw.get().len() <= 8 * MAX_ID_BYTES;
        let value = short.then(|| serde_json::from_str::<Value>(raw.get()).ok()).flatten();
        Ok(Self(value.as_ref().and_then(Id::from_value)))
    }
}

//! The JSON-RPC envelope, read strictly: one message, no batch, an id that is a string or an
//! integer, parameters and results that are objects.
//!
//! What policy decides on is what the server receives, so bytes are read once, by [`parse`], and
//! what is forwarded is written from what was read: two parsers may read the same bytes
//! differently, but there is only one way to read [`Message::to_bytes`].

use serde_json::{Map, Value};

pub(crate) use self::error::excerpt;
pub use self::error::{RpcError, codes};
pub use self::parse::{LIMITS, MAX_ID_BYTES, MAX_METHOD_BYTES, Malformed, parse};

mod error;
mod parse;
#[cfg(test)]
mod tests;
mod write;

/// Named parameters, or the members of a result.
pub type Object = Map<String, Value>;

/// Identifies a request on one connection, as its sender wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    Integer(i64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub id: Id,
    pub method: String,
    pub params: Object,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    pub method: String,
    pub params: Object,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// `None` only in an error about a message whose id could not be read.
    pub id: Option<Id>,
    pub outcome: Result<Object, RpcError>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Request(Request),
    Notification(Notification),
    Response(Response),
}

impl Id {
    /// The id as it stands in a message.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Integer(number) => Value::from(*number),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }

    /// Reads an id, or a progress token, which has the same form. `None` for everything that is
    /// neither a string of at most [`MAX_ID_BYTES`] nor an integer.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_i64().map(Self::Integer),
            Value::String(text) if text.len() <= MAX_ID_BYTES => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}

impl Response {
    #[must_use]
    pub fn result(id: Id, result: Object) -> Self {
        Self { id: Some(id), outcome: Ok(result) }
    }

    #[must_use]
    pub fn error(id: Option<Id>, error: RpcError) -> Self {
        Self { id, outcome: Err(error) }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Notification> for Message {
    fn from(notification: Notification) -> Self {
        Self::Notification(notification)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

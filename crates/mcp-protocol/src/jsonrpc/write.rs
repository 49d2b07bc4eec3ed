//! The one form in which messages are written: compact, keys sorted, nothing copied.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Id, Message, Notification, Object, Request, Response, RpcError};

impl Message {
    /// The canonical bytes, on one line. Reading them with [`parse`](super::parse) gives the same
    /// message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

impl Request {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

impl Notification {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

impl Response {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

/// Writing JSON values to memory does not fail: their keys are strings, their numbers are finite.
fn to_bytes(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl Serialize for RpcError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", &self.code)?;
        if let Some(data) = &self.data {
            map.serialize_entry("data", data)?;
        }
        map.serialize_entry("message", &self.message)?;
        map.end()
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        called(serializer, Some(&self.id), &self.method, &self.params)
    }
}

impl Serialize for Notification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        called(serializer, None, &self.method, &self.params)
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Err(error) = &self.outcome {
            map.serialize_entry("error", error)?;
        }
        // An error about a message without a readable id has the id `null`, as JSON-RPC demands.
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("jsonrpc", "2.0")?;
        if let Ok(result) = &self.outcome {
            map.serialize_entry("result", result)?;
        }
        map.end()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Request(request) => request.serialize(serializer),
            Self::Notification(notification) => notification.serialize(serializer),
            Self::Response(response) => response.serialize(serializer),
        }
    }
}

/// Writes a request or a notification. Empty parameters are left out: some servers refuse an empty
/// object where they expect none, and all read an absent one as empty.
fn called<S: Serializer>(
    serializer: S,
    id: Option<&Id>,
    method: &str,
    params: &Object,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if let Some(id) = id {
        map.serialize_entry("id", id)?;
    }
    map.serialize_entry("jsonrpc", "2.0")?;
    map.serialize_entry("method", method)?;
    if !params.is_empty() {
        map.serialize_entry("params", params)?;
    }
    map.end()
}

//! The JSON-RPC envelope, read strictly: one message, no batch, an id that is a string or an
//! integer, parameters and results that are objects.

use serde_json::{Map, Value};

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

/// An error object. The gateway emits only codes that JSON-RPC and MCP define; a denial by policy
/// is a result, never an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

//! Which call a request makes.

use http::{Method, request};
use sentinel_core::json::{self, Limits};
use sentinel_core::name::ToolName;
use serde_json::{Map, Value};

/// Bytes of the longest body that is read.
pub(crate) const MAX_BODY: usize = 1 << 20;
const LIMITS: Limits =
    Limits { max_bytes: MAX_BODY, max_string_bytes: MAX_BODY, ..Limits::REQUEST };

/// How a server's requests make calls.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Calls {
    /// Each request is a call of this tool. Its body is the JSON object of the arguments, or empty.
    Tool(ToolName),
    /// The server speaks MCP over HTTP: `tools/call` is a call, with this text in front of the name
    /// that the client uses. Other messages pass.
    Mcp {
        /// `files__` where the gateway registered the tools of the upstream `files`; else empty.
        prefix: String,
    },
}

/// What a request is.
#[derive(Debug)]
pub(crate) enum Read {
    Call(Call),
    /// Nothing that is governed.
    Passes,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) tool: ToolName,
    pub(crate) arguments: Map<String, Value>,
    /// The `id` of the message, of an MCP request.
    pub(crate) id: Option<Value>,
}

/// Why a request is refused before any permit is looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the body is not strict JSON: {0}")]
    Json(#[from] json::JsonError),
    #[error("the query of a call has to be empty: its arguments are in the body")]
    Query,
    #[error("a batch of messages is refused: send each by itself")]
    Batch,
    #[error("the message is not a call that can be read: {0}")]
    Message(&'static str),
}

impl Calls {
    pub(crate) fn read(&self, head: &request::Parts, body: &[u8]) -> Result<Read, Unreadable> {
        match self {
            Self::Tool(tool) => {
                // What is in the query would reach the tool undecided.
                if head.uri.query().is_some_and(|query| !query.is_empty()) {
                    return Err(Unreadable::Query);
                }
                let arguments = if body.is_empty() { Map::new() } else { object(body)? };
                Ok(Read::Call(Call { tool: tool.clone(), arguments, id: None }))
            }
            Self::Mcp { prefix } if head.method == Method::POST => message(prefix, body),
            // Opens or ends a stream.
            Self::Mcp { .. } => Ok(Read::Passes),
        }
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Unreadable> {
    Ok(json::parse_object_as(body, &LIMITS)?)
}

fn message(prefix: &str, body: &[u8]) -> Result<Read, Unreadable> {
    let mut message = match json::parse(body, &LIMITS)? {
        Value::Object(message) => message,
        Value::Array(_) => return Err(Unreadable::Batch),
        _ => return Err(Unreadable::Message("it is not an object")),
    };
    match message.get("method") {
        Some(Value::String(method)) if method == "tools/call" => {}
        Some(Value::String(_)) | None => return Ok(Read::Passes),
        Some(_) => return Err(Unreadable::Message("`method` is not a text")),
    }
    let Some(Value::Object(mut params)) = message.remove("params") else {
        return Err(Unreadable::Message("it has no `params`"));
    };
    let Some(Value::String(name)) = params.remove("name") else {
        return Err(Unreadable::Message("it names no tool"));
    };
    let arguments = match params.remove("arguments") {
        None => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err(Unreadable::Message("its `arguments` are not an object")),
    };
    let name = format!("{prefix}{name}").parse();
    let tool = name.map_err(|_| Unreadable::Message("the name of its tool is not valid"))?;
    Ok(Read::Call(Call { tool, arguments, id: message.remove("id") }))
}

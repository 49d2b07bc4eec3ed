//! Errors of the protocol, and the codes that the gateway may emit.

use serde_json::{Value, json};

/// The codes that JSON-RPC and MCP define. The gateway emits no others: codes of its own would be
/// in a range that the specification reserves.
pub mod codes {
    pub const PARSE_ERROR: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL_ERROR: i64 = -32603;
    /// A header contradicts the body, or a required one is missing (2026-07-28).
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The request needs a capability that the client did not declare (2026-07-28).
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// The version of the protocol is not supported (2026-07-28).
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}

/// The most characters of a method name, a header or a version that an error repeats.
const MAX_ECHO: usize = 64;

/// An error object. The gateway emits only codes that JSON-RPC and MCP define; a denial by policy
/// is a result, never an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    #[must_use]
    pub fn parse_error(message: impl Into<String>) -> Self {
        Self::new(codes::PARSE_ERROR, message)
    }

    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(codes::INVALID_REQUEST, message)
    }

    /// The method does not exist, or the gateway does not govern it; `reason` says which.
    #[must_use]
    pub fn method_not_found(method: &str, reason: &str) -> Self {
        let method = excerpt(method);
        Self::new(codes::METHOD_NOT_FOUND, format!("method `{method}` is not available: {reason}"))
    }

    #[must_use]
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(codes::INVALID_PARAMS, message)
    }

    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(codes::INTERNAL_ERROR, message)
    }

    #[must_use]
    pub fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(codes::HEADER_MISMATCH, message)
    }

    /// `required` has the form of `ClientCapabilities`.
    #[must_use]
    pub fn missing_capability(what: &str, required: &Value) -> Self {
        Self {
            code: codes::MISSING_CLIENT_CAPABILITY,
            message: format!("the client did not declare the capability `{what}`"),
            data: Some(json!({ "requiredCapabilities": required })),
        }
    }

    #[must_use]
    pub fn unsupported_version(requested: &str, supported: &[&str]) -> Self {
        let requested = excerpt(requested);
        Self {
            code: codes::UNSUPPORTED_VERSION,
            message: format!("protocol version `{requested}` is not supported"),
            data: Some(json!({ "requested": requested, "supported": supported })),
        }
    }
}

/// The start of a text from outside, as far as it is plain ASCII: an error must not carry characters
/// that deceive a reader of a log.
pub(crate) fn excerpt(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let mut out: String = text.chars().take(MAX_ECHO).map(plain).collect();
    if text.chars().nth(MAX_ECHO).is_some() {
        out.push('…');
    }
    out
}

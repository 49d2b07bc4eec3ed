//! What the caller gets in place of the tool's response.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use sentinel_api::Uncovered;
use sentinel_client::Error;
use serde_json::{Value, json};

/// Why a call does not get through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the request cannot be read as a call: {0}")]
    Unreadable(String),
    #[error("the body has more than {} bytes", crate::call::MAX_BODY)]
    TooLong,
    #[error("the call carries no permit: call the tool through Sentinel")]
    NoPermit,
    #[error("the tool is not registered with Sentinel")]
    UnknownTool,
    #[error("the permit was refused: {detail}")]
    Permit { code: String, detail: String },
    #[error("the permit cannot be checked at the moment")]
    Unavailable,
}

impl Refusal {
    /// What the control plane said of a permit; unavailable for everything that is not a refusal.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Refused(problem) if matches!(problem.status, 403 | 404 | 409) => Self::Permit {
                code: problem.code.clone().unwrap_or_else(|| "permit_invalid".to_owned()),
                detail: problem.detail.clone(),
            },
            _ => Self::Unavailable,
        }
    }

    /// Whether the control plane no longer knows the tool by the identifier that was named.
    pub(crate) fn is_unknown_tool(&self) -> bool {
        matches!(self, Self::Permit { code, .. } if code == "unknown_tool")
    }

    /// How the refusal is reported; `None` when it says nothing about the permit.
    pub(crate) fn reported(&self) -> Option<Uncovered> {
        match self {
            Self::NoPermit => Some(Uncovered::NoPermit),
            Self::Permit { code, .. } => Some(match code.as_str() {
                "permit_used" => Uncovered::PermitUsed,
                "permit_invalid" | "unknown_tool" => Uncovered::PermitInvalid,
                _ => Uncovered::PermitRefused,
            }),
            Self::UnknownTool => Some(Uncovered::PermitInvalid),
            Self::Unreadable(_) | Self::TooLong | Self::Unavailable => None,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Unreadable(_) => "invalid_call",
            Self::TooLong => "body_too_large",
            Self::NoPermit => "no_permit",
            Self::UnknownTool => "unknown_tool",
            Self::Permit { code, .. } => code,
            Self::Unavailable => "control_plane_unavailable",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoPermit | Self::UnknownTool | Self::Permit { .. } => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The response; to an MCP message with an `id` it is a result that says it failed, which is
    /// what every client survives and shows to its model.
    pub(crate) fn response<B: From<Bytes>>(&self, id: Option<Value>) -> Response<B> {
        let (status, kind, body) = match id {
            Some(id) => (StatusCode::OK, "application/json", self.result(&id)),
            None => (self.status(), "application/problem+json", self.problem()),
        };
        let mut response = Response::new(B::from(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn result(&self, id: &Value) -> Value {
        let text = format!(
            "Denied: {self}. Nothing was carried out. Do not retry. (code {})",
            self.code()
        );
        let content = json!([{ "type": "text", "text": text }]);
        json!({ "jsonrpc": "2.0", "id": id, "result": { "isError": true, "content": content } })
    }

    fn problem(&self) -> Value {
        let code = self.code();
        json!({
            "type": format!("https://sentinel-mcp.dev/problems/{code}"),
            "title": "The call was refused",
            "status": self.status().as_u16(),
            "detail": self.to_string(),
            "code": code,
        })
    }
}

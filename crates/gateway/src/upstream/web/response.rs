//! Reads the head and the body of a response to a message.

use http::header::CONTENT_TYPE;
use reqwest::{Response as Reply, StatusCode};
use sentinel_core::json::Limits as MessageLimits;

use crate::upstream::wire::{Effect, Fault};
use sentinel_mcp_protocol::jsonrpc::{self, Message, Response};

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Events,
    Other,
}

impl Form {
    pub(super) fn of(reply: &Reply) -> Self {
        let value = reply.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/json" => Self::Json,
            "text/event-stream" => Self::Events,
            _ => Self::Other,
        }
    }
}

/// Reads a body that is one response.
pub(super) async fn one_response(reply: Reply, limits: &MessageLimits) -> Result<Response, Fault> {
    let bytes = body(reply, limits.max_bytes).await?;
    match jsonrpc::parse(&bytes, limits) {
        Ok(Message::Response(response)) => Ok(response),
        Ok(_) => Err(Fault::protocol("the server responded with something else", true)),
        Err(_) => Err(Fault::protocol("the response of the server is not well-formed", true)),
    }
}

async fn body(mut reply: Reply, most: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    loop {
        match reply.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > most => {
                return Err(Fault::protocol("the response of the server is too large", true));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(_) => {
                let detail = "the connection broke within the response of the server";
                return Err(Fault::new("upstream_unavailable", detail, true, Effect::None));
            }
        }
    }
}

/// What a status other than success means.
pub(super) fn status_fault(status: StatusCode) -> Fault {
    let code = status.as_u16();
    match code {
        401 | 403 | 407 => {
            let detail = format!("the server refused the credentials of the gateway ({code})");
            Fault::new("upstream_unavailable", detail, false, Effect::None)
        }
        300..400 => {
            Fault::protocol(format!("the server redirects ({code}), which is not followed"), false)
        }
        429 => Fault::new("upstream_busy", "the server has too many requests", false, Effect::None),
        400..500 => {
            let detail = format!("the server refused the request ({code})");
            Fault::new("upstream_protocol", detail, false, Effect::Refused)
        }
        502..505 => Fault::broken(format!("the server is not available ({code})"), true),
        _ => Fault::protocol(format!("the server failed ({code})"), true),
    }
}

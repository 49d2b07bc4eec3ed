//! An MCP server over streamable HTTP that does as little as it can, so that what is measured is
//! what stands in front of it. It speaks both eras, and has a tool that returns its argument.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::post,
};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{ECHO, LEGACY, MODERN};
use crate::server::Server;

/// Where it serves.
pub(crate) const PATH: &str = "/mcp";

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Milliseconds before each response
    #[arg(long, default_value_t = 0)]
    pub(crate) delay_ms: u64,
    /// Tools that are listed beside `echo`
    #[arg(long, default_value_t = 0)]
    pub(crate) tools: usize,
    /// Speaks the era before 2026-07-28 only
    #[arg(long)]
    pub(crate) legacy: bool,
}

/// Starts one as a child process.
pub(crate) fn start(options: &Options) -> anyhow::Result<(Server, SocketAddr)> {
    let (delay, tools) = (options.delay_ms.to_string(), options.tools.to_string());
    let mut args = vec!["mcp-upstream", "--delay-ms", &delay, "--tools", &tools];
    if options.legacy {
        args.push("--legacy");
    }
    super::start(&args)
}

pub(crate) fn serve(options: &Options) -> anyhow::Result<()> {
    let upstream = Arc::new(Upstream::new(options)?);
    super::serve(Router::new().route(PATH, post(respond)).with_state(upstream))
}

struct Upstream {
    delay: Duration,
    legacy: bool,
    discovered: Box<RawValue>,
    initialized: Box<RawValue>,
    listed: Box<RawValue>,
}

#[derive(Deserialize)]
struct Request<'a> {
    /// A notification has none.
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    arguments: Arguments<'a>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    text: &'a RawValue,
}

impl Upstream {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let info = json!({ "name": "bench", "version": "1" });
        let hints = json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private" });
        let with_hints = |mut result: Value| {
            if let (Some(result), Some(hints)) = (result.as_object_mut(), hints.as_object()) {
                result.extend(hints.clone());
            }
            serde_json::value::to_raw_value(&result)
        };
        let extra = (0..options.tools).map(|number| tool(&format!("echo-{number}")));
        let tools: Vec<_> = [tool(ECHO)].into_iter().chain(extra).collect();
        Ok(Self {
            delay: Duration::from_millis(options.delay_ms),
            legacy: options.legacy,
            discovered: with_hints(json!({
                "supportedVersions": [MODERN],
                "capabilities": { "tools": {} },
                "_meta": { "io.modelcontextprotocol/serverInfo": info },
            }))?,
            initialized: serde_json::value::to_raw_value(&json!({
                "protocolVersion": LEGACY,
                "capabilities": { "tools": {} },
                "serverInfo": info,
            }))?,
            listed: with_hints(json!({ "tools": tools }))?,
        })
    }

    /// The result of a request, or `None` when it has no such method.
    fn result(&self, request: &Request<'_>, modern: bool) -> Option<String> {
        Some(match request.method {
            "tools/call" => echo(request.params?, modern)?,
            "tools/list" => self.listed.get().to_owned(),
            "server/discover" if !self.legacy => self.discovered.get().to_owned(),
            "initialize" => self.initialized.get().to_owned(),
            "ping" => "{}".to_owned(),
            _ => return None,
        })
    }
}

/// It only reads: a call that may act is held back when it is repeated, which is not measured here.
fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": "Returns its text.",
        "inputSchema": {
            "type": "object",
            "properties": { "text": { "type": "string" } },
            "required": ["text"],
        },
        "annotations": { "readOnlyHint": true },
    })
}

fn echo(params: &RawValue, modern: bool) -> Option<String> {
    let call: Call<'_> = serde_json::from_str(params.get()).ok()?;
    let text = call.arguments.text.get();
    let kind = if modern { r#","resultType":"complete""# } else { "" };
    Some(format!(r#"{{"content":[{{"type":"text","text":{text}}}],"isError":false{kind}}}"#))
}

async fn respond(
    State(upstream): State<Arc<Upstream>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(request) = serde_json::from_slice::<Request<'_>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(id) = request.id else { return StatusCode::ACCEPTED.into_response() };
    if upstream.delay > Duration::ZERO {
        tokio::time::sleep(upstream.delay).await;
    }
    let modern = headers.get("mcp-protocol-version").is_some_and(|version| version == MODERN);
    let (status, outcome) = match upstream.result(&request, modern) {
        Some(result) => (StatusCode::OK, format!(r#""result":{result}"#)),
        None => (
            StatusCode::NOT_FOUND,
            r#""error":{"code":-32601,"message":"no such method"}"#.to_owned(),
        ),
    };
    let message = format!(r#"{{"jsonrpc":"2.0","id":{},{outcome}}}"#, id.get());
    (status, [(CONTENT_TYPE, "application/json")], message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(options: &Options, request: &str) -> Option<Value> {
        let upstream = Upstream::new(options).unwrap();
        let request: Request<'_> = serde_json::from_str(request).unwrap();
        upstream.result(&request, true).map(|result| serde_json::from_str(&result).unwrap())
    }

    #[test]
    fn it_echoes_and_lists() {
        let options = Options { tools: 2, ..Options::default() };
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a \"b\""}}}"#;
        assert_eq!(result(&options, call).unwrap()["content"][0]["text"], "a \"b\"");
        let list = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
        assert_eq!(result(&options, list).unwrap()["tools"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn it_may_know_no_modern_clients() {
        let discover = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;
        assert!(result(&Options::default(), discover).is_some());
        assert!(result(&Options { legacy: true, ..Options::default() }, discover).is_none());
    }
}

//! A server on a listener, whose responses the test writes itself.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use sentinel_gateway::upstream::{EraChoice, Secret, Spec, Transport, Upstream, connect};
use sentinel_service::networks::Networks;
use serde_json::{Value, json};
use url::Url;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The method of the message, or of the request when there is none.
    pub(crate) fn what(&self) -> String {
        let what = self.body["method"].as_str();
        what.map_or_else(|| self.method.to_string(), str::to_owned)
    }
}

type Script = dyn Fn(&Seen) -> Response + Send + Sync;

/// A listener that records what arrives.
#[derive(Clone)]
pub(crate) struct Web {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Script>,
}

impl Web {
    /// Responds to each request by `script`.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
        let web = Self { url, seen: Arc::default(), script: Arc::new(script) };
        let router = Router::new().fallback(handle).with_state(web.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        web
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn all(&self, what: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.what() == what).collect()
    }

    pub(crate) fn spec(&self, era: EraChoice) -> Spec {
        let secret = Secret::from("Bearer of-the-gateway".to_owned());
        let headers = vec![("Authorization".to_owned(), secret)];
        let mut spec = Spec::new("web", Transport::Http { url: self.url.clone(), headers });
        spec.networks = Networks::PublicAndPrivate;
        spec.era = era;
        spec
    }

    pub(crate) fn connect(&self, era: EraChoice) -> Arc<dyn Upstream> {
        connect(self.spec(era))
    }
}

async fn handle(
    State(web): State<Web>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let seen = Seen { method, uri, headers, body };
    web.seen.lock().unwrap().push(seen.clone());
    (web.script)(&seen)
}

pub(crate) fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

pub(crate) fn json_with(code: u16, headers: &[(&str, &str)], body: &Value) -> Response {
    let mut response = Response::builder().status(code).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_string())).unwrap()
}

/// A JSON response with the id of the request.
pub(crate) fn answer(seen: &Seen, result: &Value) -> Response {
    json_with(200, &[], &json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": result}))
}

pub(crate) fn error(seen: &Seen, code: u16, rpc: i64) -> Response {
    let error = json!({"code": rpc, "message": "no"});
    json_with(code, &[], &json!({"jsonrpc": "2.0", "id": seen.body["id"], "error": error}))
}

/// A stream of events that ends.
pub(crate) fn events(text: impl Into<String>) -> Response {
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(Body::from(text.into())).unwrap()
}

/// One event.
pub(crate) fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

pub(crate) fn result_event(seen: &Seen, result: &Value) -> String {
    event(&json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": result}))
}

pub(crate) fn content(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

/// The handshake of a legacy server with a session; `None` for everything else.
pub(crate) fn legacy(seen: &Seen, session: &str) -> Option<Response> {
    match seen.what().as_str() {
        "server/discover" => Some(error(seen, 400, -32600)),
        "initialize" => {
            let result = json!({
                "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "web"},
            });
            let body = json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": result});
            Some(json_with(200, &[("mcp-session-id", session)], &body))
        }
        "notifications/initialized" | "notifications/cancelled" => Some(status(202)),
        "GET" if seen.header("last-event-id").is_none() => Some(status(405)),
        "DELETE" => Some(status(200)),
        _ if seen.body["method"].is_null() && seen.method == Method::POST => Some(status(202)),
        _ => None,
    }
}

/// The handshake of a modern server.
pub(crate) fn modern(seen: &Seen) -> Option<Response> {
    (seen.what() == "server/discover").then(|| {
        let result = json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0,
            "cacheScope": "private", "capabilities": {"tools": {}},
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "web"}},
        });
        answer(seen, &result)
    })
}

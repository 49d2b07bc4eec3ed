use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{App, Key};

pub(crate) const BOTH: &str = "application/json, text/event-stream";
const LIMIT: Duration = Duration::from_secs(20);

/// A client that writes its requests by hand.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    headers: HeaderMap,
}

impl Client {
    pub(crate) fn new(app: &App, key: &Key, path: &str) -> Self {
        let url = format!("{}{path}", app.base);
        let client = Self { http: app.http.clone(), url, headers: HeaderMap::new() };
        client.with("authorization", &format!("Bearer {}", key.0)).with("accept", BOTH)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(crate) fn at(mut self, app: &App, path: &str) -> Self {
        self.url = format!("{}{path}", app.base);
        self
    }

    pub(crate) fn request(&self, method: Method) -> RequestBuilder {
        self.http.request(method, &self.url).headers(self.headers.clone())
    }

    /// Begins a session of the newest legacy version. The client goes on with it.
    pub(crate) async fn initialized(self, capabilities: Value) -> Self {
        self.initialized_as("2025-11-25", capabilities).await
    }

    pub(crate) async fn initialized_as(self, version: &str, capabilities: Value) -> Self {
        let params = json!({
            "protocolVersion": version, "capabilities": capabilities,
            "clientInfo": {"name": "test", "version": "1"},
        });
        let answer = self.post(&request(1, "initialize", params)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["result"]["protocolVersion"], version, "{}", answer.body);
        let session = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
        self.with("mcp-session-id", &session).with("mcp-protocol-version", version)
    }

    pub(crate) async fn post(&self, body: &Value) -> Answer {
        self.post_raw(body.to_string()).await
    }

    pub(crate) async fn post_raw(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST).body(body);
        let request = match self.headers.contains_key("content-type") {
            true => request,
            false => request.header("content-type", "application/json"),
        };
        Answer::of(request).await
    }

    /// Sends a message whose response is a stream.
    pub(crate) async fn stream(&self, body: &Value) -> Events {
        let request = self.request(Method::POST).header("content-type", "application/json");
        Events::of(request.body(body.to_string())).await
    }

    pub(crate) async fn listen(&self, last: Option<&str>) -> Events {
        let mut request = self.request(Method::GET).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Events::of(request).await
    }

    pub(crate) async fn send(&self, method: Method) -> Answer {
        Answer::of(self.request(method)).await
    }

    /// Calls a tool as a legacy client.
    pub(crate) async fn call(&self, id: u64, tool: &str, arguments: Value) -> Answer {
        self.post(&call(id, tool, arguments)).await
    }
}

pub(crate) fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

pub(crate) fn call(id: u64, tool: &str, arguments: Value) -> Value {
    let name = format!("files__{tool}");
    request(id, "tools/call", json!({"name": name, "arguments": arguments}))
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `null` when it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        let response = tokio::time::timeout(LIMIT, request.send()).await.unwrap().unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = tokio::time::timeout(LIMIT, response.text()).await.unwrap().unwrap();
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }
    }

    pub(crate) fn code(&self) -> i64 {
        self.body["error"]["code"].as_i64().unwrap_or_default()
    }

    /// The stable code of a request that was refused.
    pub(crate) fn refused(&self) -> &str {
        self.body["error"]["data"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        self.body["result"]["content"][0]["text"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_error(&self) -> bool {
        self.body["result"]["isError"] == true
    }
}

/// One event, as it was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) comment: bool,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.data.as_deref().unwrap()).unwrap()
    }
}

/// A stream of events. Dropping it closes the connection.
pub(crate) struct Events {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: String,
    ready: VecDeque<Event>,
}

impl Events {
    async fn of(request: RequestBuilder) -> Self {
        let response = tokio::time::timeout(LIMIT, request.send()).await.unwrap().unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let media = headers.get("content-type").cloned();
        if media.as_ref().is_none_or(|media| media != "text/event-stream") {
            panic!("{status} {media:?} {}", response.text().await.unwrap());
        }
        assert_eq!(headers["x-accel-buffering"], "no");
        let body = response.bytes_stream().boxed();
        Self { body, buffer: String::new(), ready: VecDeque::new() }
    }

    /// The next event or comment; `None` at the end of the stream.
    pub(crate) async fn next_raw(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let chunk = tokio::time::timeout(LIMIT, self.body.next()).await.expect("silence")?;
            // A connection that is cut is the end, too.
            let Ok(chunk) = chunk else { return None };
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some(end) = self.buffer.find("\n\n") {
                let block: String = self.buffer.drain(..end + 2).collect();
                self.ready.push_back(parse(&block));
            }
        }
    }

    /// The next event with data that is a message.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.next_raw().await?;
            if event.data.as_deref().is_some_and(|data| !data.is_empty()) {
                return Some(event);
            }
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Value {
        self.next().await.expect("the stream has ended").json()
    }

    /// All messages until the end.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push(event.json());
        }
        rest
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("id", id) => event.id = Some(id.to_owned()),
            ("retry", retry) => event.retry = Some(retry.to_owned()),
            ("data", data) => event.data = Some(data.to_owned()),
            (comment, _) if comment.starts_with(':') => event.comment = true,
            _ => {}
        }
    }
    event
}

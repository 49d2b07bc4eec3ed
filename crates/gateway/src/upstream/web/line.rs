//! What the requests and the tasks of one streamable connection share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::response::{Form, status_fault};
use super::stream::Events;
use super::tools::ToolHeaders;
use crate::upstream::board::{is_question, refuse};
use crate::upstream::wire::{Effect, Fault};
use sentinel_mcp_protocol::era::{self, Era, Version, header};
use sentinel_mcp_protocol::jsonrpc::{Message, Notification, Object, Request};

/// How long a message that is not waited for may take.
pub(super) const ASIDE: Duration = Duration::from_secs(3);
/// Such messages under way at one time.
pub(super) const MAX_ASIDE: usize = 16;
/// The longest id of a session.
const MAX_SESSION: usize = 1024;

#[derive(Debug)]
pub(super) struct Line {
    pub(super) client: Arc<Client>,
    pub(super) tools: Arc<ToolHeaders>,
    news: broadcast::Sender<Notification>,
    version: OnceLock<Version>,
    session: OnceLock<HeaderValue>,
    up: AtomicBool,
    dropped: AtomicU64,
    aside: Arc<Semaphore>,
    closed: CancellationToken,
}

impl Line {
    pub(super) fn new(
        client: Arc<Client>,
        tools: Arc<ToolHeaders>,
        news: broadcast::Sender<Notification>,
    ) -> Self {
        Self {
            client,
            tools,
            news,
            version: OnceLock::new(),
            session: OnceLock::new(),
            up: AtomicBool::new(true),
            dropped: AtomicU64::new(0),
            aside: Arc::new(Semaphore::new(MAX_ASIDE)),
            closed: CancellationToken::new(),
        }
    }

    pub(super) fn adopt(&self, version: Version) {
        // There is one handshake.
        let _ = self.version.set(version);
    }

    pub(super) fn is_modern(&self) -> bool {
        self.version.get().is_some_and(|version| version.era() == Era::Modern)
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// No further requests are sent, and the listener ends.
    pub(super) fn down(&self) {
        self.up.store(false, Ordering::Relaxed);
        self.closed.cancel();
    }

    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn drop_one(&self, what: &'static str) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(what, "dropped what a server said");
    }

    pub(super) fn tell(&self, news: Notification) {
        // Without a subscriber there is nothing to tell.
        drop(self.news.send(news));
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.get().is_some()
    }

    /// Keeps the id of the session that a server begins.
    pub(super) fn begin_session(&self, headers: &HeaderMap) {
        let Some(id) = headers.get(header::SESSION_ID) else { return };
        if !id.is_empty() && id.len() <= MAX_SESSION {
            let mut id = id.clone();
            id.set_sensitive(true);
            // There is one handshake.
            let _ = self.session.set(id);
        }
    }

    /// Writes the headers of the protocol for a request. They repeat the body that is sent, whatever
    /// the headers of the client said.
    pub(super) fn address(&self, headers: &mut HeaderMap, request: &Request) -> Result<(), Fault> {
        let Request { method, params, .. } = request;
        if !era::is_modern(method, params) {
            self.add_session(headers);
            return Ok(());
        }
        let unfit = |_| Fault::protocol("the request cannot be repeated in headers", false);
        era::write_headers(headers, Version::NEWEST_MODERN, method, params).map_err(unfit)?;
        let name = params.get("name").and_then(Value::as_str).filter(|_| method == "tools/call");
        if let Some(repeated) = name.and_then(|name| self.tools.of(name)) {
            let none = Object::new();
            let arguments = params.get("arguments").and_then(Value::as_object).unwrap_or(&none);
            repeated.write(headers, arguments).map_err(unfit)?;
        }
        Ok(())
    }

    /// Writes the headers of a legacy session.
    fn add_session(&self, headers: &mut HeaderMap) {
        if let Some(version) = self.version.get() {
            let version = HeaderValue::from_static(version.as_str());
            headers.insert(header::PROTOCOL_VERSION, version);
        }
        if let Some(session) = self.session.get() {
            headers.insert(header::SESSION_ID, session.clone());
        }
    }

    /// Opens a stream of what the server says of its own accord, or one that goes on after `last`.
    pub(super) async fn open(&self, last: Option<&str>) -> Result<Events, Fault> {
        let mut request = self.client.get();
        self.add_session(request.headers_mut());
        if let Some(last) = last {
            let last = HeaderValue::from_str(last);
            let last = last.map_err(|_| Fault::protocol("an event id is not valid", true))?;
            request.headers_mut().insert(header::LAST_EVENT_ID, last);
        }
        self.events(request).await
    }

    /// Sends a request whose response must be a stream.
    pub(super) async fn events(&self, request: reqwest::Request) -> Result<Events, Fault> {
        let reply = self.client.send(request, None).await?;
        if !reply.status().is_success() {
            return Err(status_fault(reply.status()));
        }
        if Form::of(&reply) == Form::Events {
            Ok(Events::new(reply, self.client.messages.max_bytes))
        } else {
            let detail = "the server responded with something else than a stream";
            Err(Fault::new("upstream_protocol", detail, false, Effect::Refused))
        }
    }

    /// Sends a message that has no response.
    pub(super) async fn say(&self, message: Message) -> Result<(), Fault> {
        if self.is_modern() {
            // There is no such message in the modern era.
            return Ok(());
        }
        let mut request = self.client.post(self.client.url(), message.to_bytes(), None);
        self.add_session(request.headers_mut());
        let late = |_| Fault::new("upstream_timeout", "it took too long", true, Effect::None);
        let sent = tokio::time::timeout(ASIDE, self.client.send(request, None)).await;
        let status = sent.map_err(late)??.status();
        if status.is_success() { Ok(()) } else { Err(status_fault(status)) }
    }

    /// As [`say`](Self::say), without waiting for it. Bounded in number and time.
    pub(super) fn say_aside(self: &Arc<Self>, message: Message) {
        let Ok(permit) = Arc::clone(&self.aside).try_acquire_owned() else {
            self.drop_one("a message to the server: too many are under way");
            return;
        };
        let line = Arc::clone(self);
        tokio::spawn(async move {
            drop(line.say(message).await);
            drop(permit);
        });
    }

    /// Responds to a request of the server that no client is asked.
    pub(super) fn respond(self: &Arc<Self>, request: Request) {
        let response = if request.method == "ping" {
            sentinel_mcp_protocol::jsonrpc::Response {
                id: Some(request.id),
                outcome: Ok(Object::new()),
            }
        } else if is_question(&request.method) {
            refuse(request.id, -32603, "the request does not belong to a call of a client")
        } else {
            refuse(request.id, -32601, "the gateway does not serve this method")
        };
        self.say_aside(response.into());
    }

    /// Tells the server that the session has ended.
    pub(super) async fn end_session(&self) {
        if self.has_session() {
            let mut request = self.client.request(Method::DELETE, self.client.url());
            self.add_session(request.headers_mut());
            drop(tokio::time::timeout(ASIDE, self.client.send(request, None)).await);
        }
    }
}

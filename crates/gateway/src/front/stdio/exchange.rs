//! The client's side of one request.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::asks::{Answer, Asks};
use super::calls::{Call, Calls};
use super::output::Output;
use super::suspended::{Fingerprint, Suspended};
use crate::exchange::Exchange;
use sentinel_mcp_protocol::era::{Era, meta};
use sentinel_mcp_protocol::jsonrpc::{Notification, Object, Request, Response, RpcError};
use sentinel_mcp_protocol::method::{Notice, Sender, notice};

/// What all requests of one client share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) output: Output,
    pub(super) calls: Calls,
    pub(super) asks: Asks,
    pub(super) suspended: Suspended,
    pub(super) patience: Duration,
    /// Cancelled when the client sends nothing more: it answers no question, and its streams end.
    pub(super) closing: CancellationToken,
}

/// One request, while it is served.
#[derive(Debug)]
pub(super) struct Serving {
    shared: Arc<Shared>,
    call: Arc<Call>,
    era: Era,
    request: Fingerprint,
    capabilities: Object,
    /// The token that the client gave for progress.
    progress: Option<Value>,
    /// The lowest level of log messages that the client wants.
    level: Option<usize>,
    /// One question at a time: a modern request can only be answered with one.
    asking: tokio::sync::Mutex<()>,
}

impl Serving {
    pub(super) fn new(
        shared: Arc<Shared>,
        call: Arc<Call>,
        era: Era,
        capabilities: &Object,
        request: &Request,
    ) -> Self {
        let member = |name| request.params.get("_meta").and_then(|members| members.get(name));
        Self {
            shared,
            call,
            era,
            request: Fingerprint::of(request),
            capabilities: capabilities.clone(),
            progress: member(meta::PROGRESS_TOKEN).cloned(),
            level: member(meta::LOG_LEVEL).and_then(Value::as_str).and_then(level),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Responds to the request, unless the client waits no longer.
    pub(super) async fn respond(&self, outcome: Result<Object, RpcError>) {
        if let Some(id) = self.shared.calls.answer(&self.call) {
            self.shared.output.send(Response { id: Some(id), outcome }).await;
        }
    }

    /// Whether the client wants a notification.
    fn wants(&self, notification: &Notification) -> bool {
        let member = |name| notification.params.get(name);
        match notice(Sender::Server, &notification.method) {
            Some(Notice::Progress) => {
                self.progress.is_some() && member(meta::PROGRESS_TOKEN) == self.progress.as_ref()
            }
            Some(Notice::Log) => {
                let stated = member("level").and_then(Value::as_str).and_then(level);
                matches!((stated, self.level), (Some(stated), Some(least)) if stated >= least)
            }
            Some(Notice::ElicitationComplete) => true,
            _ => false,
        }
    }

    async fn ask_in_session(&self, method: &str, params: Object) -> Answer {
        let (question, answer) = self.shared.asks.open();
        let (id, method) = (question.id(), method.to_owned());
        self.shared.output.send(Request { id: id.clone(), method, params }).await;
        let answer = self.wait(answer).await;
        if answer.is_err() {
            // The client may still show the question to a person.
            let mut params = Object::new();
            params.insert("requestId".to_owned(), id.to_value());
            let method = "notifications/cancelled".to_owned();
            self.shared.output.offer(Notification { method, params });
        }
        answer.and_then(|answer| answer)
    }

    async fn suspend(&self, method: &str, params: Object) -> Answer {
        let kept = self.shared.suspended.keep(&self.request, &self.call, method, &params);
        let (_kept, question, answer) = kept;
        self.respond(Ok(question)).await;
        self.wait(answer).await.and_then(|answer| answer)
    }

    /// Waits for the response to a question, but not for ever.
    async fn wait(&self, answer: oneshot::Receiver<Answer>) -> Result<Answer, RpcError> {
        tokio::select! {
            answer = answer => answer.map_err(|_| RpcError::internal("the client has gone")),
            () = self.shared.closing.cancelled() => Err(RpcError::internal("the client has gone")),
            () = self.call.cancelled() => Err(RpcError::internal("the client waits no longer")),
            () = tokio::time::sleep(self.shared.patience) => {
                Err(RpcError::internal("the client did not respond in time"))
            }
        }
    }
}

#[async_trait]
impl Exchange for Serving {
    async fn notify(&self, notification: Notification) {
        if self.wants(&notification) && !self.call.is_cancelled() {
            self.shared.output.offer(notification);
        }
    }

    fn can_ask(&self) -> bool {
        self.era == Era::Legacy
    }

    fn capabilities(&self) -> Object {
        self.capabilities.clone()
    }

    async fn ask(&self, method: &str, params: Object) -> Answer {
        if let Some(missing) = missing_capability(method, &self.capabilities) {
            let required = serde_json::json!({ missing: {} });
            return Err(RpcError::missing_capability(missing, &required));
        }
        let _one_at_a_time = self.asking.lock().await;
        match self.era {
            Era::Legacy => self.ask_in_session(method, params).await,
            Era::Modern => self.suspend(method, params).await,
        }
    }

    async fn cancelled(&self) {
        self.call.cancelled().await;
    }
}

/// The capability that a question needs and the client did not declare.
fn missing_capability(method: &str, declared: &Object) -> Option<&'static str> {
    let needed = match method {
        "sampling/createMessage" => "sampling",
        "elicitation/create" => "elicitation",
        "roots/list" => "roots",
        _ => return Some("unknown"),
    };
    (!declared.contains_key(needed)).then_some(needed)
}

fn level(name: &str) -> Option<usize> {
    meta::LOG_LEVELS.iter().position(|level| *level == name)
}

//! What carries messages to a server and back.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Failure;
use super::dialect::Dialect;
use super::ticket::Ticket;
use crate::exchange::Exchange;
use sentinel_mcp_protocol::jsonrpc::{Notification, Object, Request, RpcError};

/// One way to one process, or one session. It ends when it is closed, dropped, or broken.
#[async_trait]
pub(super) trait Wire: Send + Sync + std::fmt::Debug {
    /// Sends a request and waits for its response, passing on to `exchange` what the server says in
    /// between. May be dropped at any time; then [`abandon`](Self::abandon) follows.
    async fn call(&self, call: &Call, exchange: &dyn Exchange) -> Result<Answer, Fault>;

    /// Cancels a request whose response is not waited for any more. Does not wait: it is called when
    /// the request is dropped.
    fn abandon(&self, call: &Call, why: Stop);

    async fn notify(&self, notification: Notification) -> Result<(), Fault>;

    /// The handshake is over: from now on messages have this form.
    fn adopt(&self, dialect: Dialect);

    /// Listens to what the server says of its own accord. `request` is the one by which a server of
    /// the modern era is asked for it; it replaces an earlier one.
    async fn listen(&self, request: Option<Request>);

    /// Whether requests can be sent.
    fn is_up(&self) -> bool;

    /// What was dropped, for the status.
    fn dropped(&self) -> u64;

    /// The last lines of standard error.
    fn stderr(&self) -> Vec<String> {
        Vec::new()
    }

    async fn close(&self);
}

/// What a server responded.
pub(super) type Answer = Result<Object, RpcError>;

/// One request, in the form of the server's era.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    /// The id of the request as the number that it is.
    pub(super) id: i64,
    /// The progress token that the other side of the gateway knows; the server sees the id.
    pub(super) progress: Option<Value>,
    pub(super) ticket: Arc<Ticket>,
}

/// Why a request is abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is not waited for any more.
    Cancelled,
    /// It must not go on: a kill covers it, for example.
    Withdrawn,
}

impl Stop {
    /// For the server.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Cancelled => "the client does not wait any more",
            Self::Withdrawn => "the call was stopped",
        }
    }
}

/// Why there is no response, and what follows for the connection.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) failure: Failure,
    pub(super) effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Only this request failed.
    None,
    /// The server refused the request as such, before carrying it out: it may be of another era.
    Refused,
    /// The server no longer knows the session.
    Expired,
    /// The server cannot be reached this way any more.
    Broken,
}

impl Fault {
    pub(super) fn new(
        code: &'static str,
        detail: impl Into<String>,
        may_have_run: bool,
        effect: Effect,
    ) -> Self {
        Self { failure: Failure { code, detail: detail.into(), may_have_run }, effect }
    }

    /// Only this request failed.
    pub(super) fn only(failure: Failure) -> Self {
        Self { failure, effect: Effect::None }
    }

    /// The server cannot be reached, or has gone.
    pub(super) fn broken(detail: impl Into<String>, may_have_run: bool) -> Self {
        Self::new("upstream_unavailable", detail, may_have_run, Effect::Broken)
    }

    /// The server said something that the protocol does not allow.
    pub(super) fn protocol(detail: impl Into<String>, may_have_run: bool) -> Self {
        Self::new("upstream_protocol", detail, may_have_run, Effect::None)
    }
}

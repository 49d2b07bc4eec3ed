//! The client's side of one request, while it is being served.

use async_trait::async_trait;

use sentinel_mcp_protocol::jsonrpc::{Notification, Object, RpcError};

/// What may be said to the client that waits for an answer, without knowing its era.
#[async_trait]
pub trait Exchange: Send + Sync + std::fmt::Debug {
    /// Sends a notification that belongs to this request: progress, or a message of the log. The
    /// front maps the progress token, and drops what the client did not ask for. Never fails: a
    /// client that has gone is seen by [`cancelled`](Self::cancelled).
    async fn notify(&self, notification: Notification);

    /// What the client declared that it can do, as far as it is governed. A server of the modern era
    /// is told with each request.
    fn capabilities(&self) -> Object {
        Object::new()
    }

    /// Whether the client can be asked something before the answer. A modern client cannot: there
    /// the question is the answer, see [`Reply::InputRequired`](crate::upstream::Reply).
    fn can_ask(&self) -> bool;

    /// Asks the client (`sampling/createMessage`, `elicitation/create`, `roots/list`) and waits for
    /// its response.
    ///
    /// # Errors
    /// What the client responded, or that it cannot be asked or has gone.
    async fn ask(&self, method: &str, params: Object) -> Result<Object, RpcError>;

    /// Completes when the client no longer waits: it cancelled the request, or disconnected from a
    /// stream that cannot be resumed.
    async fn cancelled(&self);
}

/// The exchange of a request for which no client waits, or of which it is told nothing before the
/// response: what the server says meanwhile is dropped, and what it asks is refused.
#[derive(Debug)]
pub(crate) struct Unattended;

#[async_trait]
impl Exchange for Unattended {
    async fn notify(&self, _: Notification) {}

    fn can_ask(&self) -> bool {
        false
    }

    async fn ask(&self, method: &str, _: Object) -> Result<Object, RpcError> {
        Err(RpcError::method_not_found(method, "no client can be asked now"))
    }

    async fn cancelled(&self) {
        std::future::pending().await
    }
}

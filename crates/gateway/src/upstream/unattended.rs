//! Requests of the gateway itself, for which no client waits.

use std::sync::Arc;

use async_trait::async_trait;

use super::ticket::Ticket;
use super::wire::Call;
use crate::authority::Grant;
use crate::exchange::Exchange;
use crate::jsonrpc::{Id, Notification, Object, Request, RpcError};

/// The exchange of such a request: what the server says before its response is dropped, and what it
/// asks is refused.
#[derive(Debug)]
pub(super) struct Unattended;

#[async_trait]
impl Exchange for Unattended {
    async fn notify(&self, _notification: Notification) {}

    fn can_ask(&self) -> bool {
        false
    }

    async fn ask(&self, _method: &str, _params: Object) -> Result<Object, RpcError> {
        let message = "no client waits for this request".to_owned();
        Err(RpcError { code: -32603, message, data: None })
    }

    async fn cancelled(&self) {
        std::future::pending().await
    }
}

/// A request that needs no decision.
pub(super) fn unattended_call(request: Request) -> Call {
    let id = match request.id {
        Id::Integer(id) => id,
        // Requests of the gateway have numbers.
        Id::Text(_) => 0,
    };
    Call { request, id, progress: None, ticket: Arc::new(Ticket::new(Grant::lifecycle())) }
}

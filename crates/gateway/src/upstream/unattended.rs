//! Requests of the gateway itself, for which no client waits.

use std::sync::Arc;

use super::ticket::Ticket;
use super::wire::Call;
use crate::authority::Grant;
use sentinel_mcp_protocol::jsonrpc::{Id, Request};

/// A request that needs no decision.
pub(super) fn unattended_call(request: Request) -> Call {
    let id = match request.id {
        Id::Integer(id) => id,
        // Requests of the gateway have numbers.
        Id::Text(_) => 0,
    };
    Call { request, id, progress: None, ticket: Arc::new(Ticket::new(Grant::lifecycle())) }
}

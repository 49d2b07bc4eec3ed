//! MCP servers behind the gateway.
//!
//! [`connect`] gives the upstream of a [`Spec`]; nothing is started before it is first used. A
//! `connection` dials again when the server has gone, limits what is under way, and translates between
//! the modern shapes of the gateway and the era of the server. Below it a `wire` carries messages: to
//! a `child`, or over the `web`, by streamable HTTP or by
//! HTTP with server-sent events.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::authority::Grant;
use crate::exchange::Exchange;
use sentinel_mcp_protocol::jsonrpc::{Notification, Object, RpcError};

mod board;
mod breaker;
mod child;
mod connection;
mod dialect;
mod handshake;
mod link;
mod spec;
mod status;
mod subscriptions;
mod ticket;
mod unattended;
mod web;
mod wire;

pub use connection::connect;
pub use spec::{EraChoice, Limits, Secret, Spec, Transport};
pub use status::{State, Status};

/// One MCP server. Requests of any number of clients may be under way at one time.
#[async_trait]
pub trait Upstream: Send + Sync + std::fmt::Debug {
    /// The configured name, by which its tools are prefixed.
    fn name(&self) -> &str;

    /// What the server can do, asking it if that is not known yet.
    ///
    /// # Errors
    /// When the server cannot be reached.
    async fn server(&self) -> Result<Arc<Server>, Failure>;

    /// Sends one request and waits for its reply, passing on to `exchange` what the server says in
    /// between. When the exchange is cancelled or the grant is withdrawn, the request is cancelled
    /// upstream in the way of the server's era.
    ///
    /// # Errors
    /// When there is no reply; [`Failure::may_have_run`] says whether the request may have been
    /// carried out all the same.
    async fn request(&self, outbound: Outbound, exchange: &dyn Exchange) -> Result<Reply, Failure>;

    /// Sends a notification that belongs to no request.
    ///
    /// # Errors
    /// When the server cannot be reached.
    async fn notify(&self, notification: Notification) -> Result<(), Failure>;

    /// What the server says of its own accord: changed lists, updated resources.
    fn news(&self) -> broadcast::Receiver<Notification>;

    /// Ends the connection, and the process group of a child.
    async fn close(&self);

    /// How the server is doing, for operators.
    fn status(&self) -> Status {
        Status::default()
    }
}

/// What a server said of itself when it was connected.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// `serverInfo`.
    pub info: Object,
    pub capabilities: Object,
    pub instructions: Option<String>,
}

/// A request on its way to a server.
#[derive(Debug)]
pub struct Outbound {
    pub method: String,
    /// As decided; `_meta` of the protocol is written by the connection.
    pub params: Object,
    /// Proof that the request may be sent.
    pub grant: Grant,
}

#[derive(Debug)]
pub enum Reply {
    Result(Object),
    /// A modern server wants answers first: `inputRequests` and `requestState` are in the object.
    InputRequired(Object),
    Error(RpcError),
}

/// Why there is no reply.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// Stable, for clients and metrics: `upstream_unavailable`, `upstream_timeout`,
    /// `upstream_protocol`, `upstream_busy`, `cancelled`, `withdrawn`.
    pub code: &'static str,
    /// Of our own words: nothing that a server said is repeated.
    pub detail: String,
    /// Whether the request may have reached the server.
    pub may_have_run: bool,
}

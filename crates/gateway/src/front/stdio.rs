//! The front on standard input and output: one client, which is the process that started us.
//!
//! Each line is one message. A request that carries the members of the modern era is served by
//! itself; all others belong to the session that `initialize` opens. Requests run side by side, and
//! their responses are written as they become ready.
//!
//! Nothing but messages is written to the output. When the input ends, requests under way get a
//! while to finish; after that each is answered all the same, and the server is ended.

mod asks;
mod calls;
mod connection;
mod exchange;
mod listen;
mod output;
mod session;
mod suspended;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::client::Route;
use connection::Connection;
use sentinel_mcp_protocol::era::Era;

/// What one client is served with.
pub struct Options {
    pub authority: Arc<dyn Authority>,
    /// Called once, with the era of the client's first request, so that the server can be spoken to
    /// in the same one.
    pub route: Box<dyn FnOnce(Era) -> Arc<Route> + Send>,
    /// Stops serving as the end of the input does.
    pub stop: CancellationToken,
    pub limits: Limits,
}

/// What one client may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests under way at one time, questions that wait for the client included.
    pub requests: usize,
    /// The longest that the client may take to respond to a question.
    pub question: Duration,
    /// How long requests under way may go on after the end of the input.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 256, question: Duration::from_secs(300), grace: Duration::from_secs(5) }
    }
}

/// Serves the client at `input` and `output` until the input ends or `stop` is cancelled, then ends
/// the servers of the route.
///
/// # Errors
/// When the input cannot be read any more. What cannot be written means that the client has gone.
pub async fn serve<R, W>(options: Options, input: R, output: W) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    Connection::new(options, output).run(input).await
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("limits", &self.limits).finish_non_exhaustive()
    }
}

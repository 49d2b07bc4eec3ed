//! How the connections of upstreams are doing, as far as this replica has any.

use jiff::Timestamp;
use sentinel_core::id::UpstreamId;

/// Knows the connections: the gateway of this process.
pub trait StatusSource: Send + Sync + std::fmt::Debug {
    /// How an upstream is doing; `None` when this process has no connection to it.
    fn status(&self, upstream: UpstreamId) -> Option<UpstreamStatus>;

    /// What is wrong with the tools that it lists, as of the latest list.
    fn defects(&self, _upstream: UpstreamId) -> Vec<ToolDefect> {
        Vec::new()
    }
}

/// How the connection to an upstream is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// `idle`, `connecting`, `up`, `down`, `paused` or `closed`.
    pub state: &'static str,
    pub since: Timestamp,
    /// Why the last connection failed or broke, without anything that the server said.
    pub last_error: Option<String>,
    /// Connections that were established before this one.
    pub restarts: u64,
    /// The revision of the protocol that is spoken.
    pub revision: Option<String>,
    /// Milliseconds that the last handshake or list took.
    pub latency_ms: Option<u64>,
    /// Requests under way.
    pub in_flight: u64,
}

/// What is wrong with the definition of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolDefect {
    /// As the server calls it, or as the registry would.
    pub tool: String,
    /// Stable: `tool_repaired` for one that is shown all the same.
    pub reason: &'static str,
    pub detail: String,
}

impl ToolDefect {
    /// Of a tool that was repaired, and is shown.
    pub const REPAIRED: &'static str = "tool_repaired";
}

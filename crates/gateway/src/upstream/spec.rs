//! What is known of a server before it is reached.

use std::fmt;
use std::time::Duration;

use sentinel_core::json::Limits as MessageLimits;
use sentinel_service::networks::Networks;
use serde_json::json;
use url::Url;

use sentinel_mcp_protocol::jsonrpc::{LIMITS, Object};

/// How a server is reached, and within what limits.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The configured name, by which its tools are prefixed.
    pub name: String,
    pub transport: Transport,
    pub era: EraChoice,
    pub limits: Limits,
    /// What is declared to a server of the legacy era, once for all clients. Only what is governed:
    /// sampling and elicitation, not the folders of a client.
    pub capabilities: Object,
    /// Whether the standard error of a child goes to ours, besides being kept for the status.
    pub show_stderr: bool,
    /// Which addresses may be dialled.
    pub networks: Networks,
}

#[derive(Debug, Clone)]
pub enum Transport {
    /// A child process. It sees the variables `env`, and of ours only those that say who and where
    /// it is, such as `PATH` and `HOME`.
    Stdio { command: Vec<String>, env: Vec<(String, Secret)> },
    /// Streamable HTTP. `headers` carry the credentials; they are sent to this address only.
    Http { url: Url, headers: Vec<(String, Secret)> },
    /// HTTP with server-sent events, as in the revision 2024-11-05.
    Sse { url: Url, headers: Vec<(String, Secret)> },
}

/// Which era of the protocol is spoken with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EraChoice {
    /// The modern one if the server knows it, otherwise the legacy one.
    #[default]
    Auto,
    /// The legacy one if the server knows it, otherwise the modern one: for a client of that era.
    PreferLegacy,
    Legacy,
    Modern,
}

#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest a call takes, whatever progress it reports.
    pub call: Duration,
    /// The longest a list takes, and any other request that needs no decision.
    pub list: Duration,
    /// From the start of a child, or the first dial, to the end of the handshake.
    pub start: Duration,
    /// How long a server that is asked for the modern era may be silent before it counts as legacy.
    pub discover: Duration,
    /// How long a child may go on after its standard input was closed, and again after SIGTERM.
    pub grace: Duration,
    /// Calls under way at one time; others wait for `wait`.
    pub calls: usize,
    /// Lists under way at one time. They do not wait behind calls.
    pub lists: usize,
    /// The longest wait for a place among the calls or lists under way.
    pub wait: Duration,
    /// Bytes of one message of the server: a line, an event or a body.
    pub message: usize,
    /// Failed connections in a row after which the server is left alone for a while.
    pub failures: u32,
    /// The first and the longest pause.
    pub pause: (Duration, Duration),
}

impl Limits {
    /// Of what the server says.
    pub(super) fn of_message(&self) -> MessageLimits {
        // Images and files are single strings.
        MessageLimits { max_bytes: self.message, max_string_bytes: self.message, ..LIMITS }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(300),
            list: Duration::from_secs(30),
            start: Duration::from_secs(60),
            discover: Duration::from_secs(15),
            grace: Duration::from_secs(2),
            calls: 256,
            lists: 32,
            wait: Duration::from_secs(5),
            message: LIMITS.max_bytes,
            failures: 3,
            pause: (Duration::from_millis(500), Duration::from_secs(60)),
        }
    }
}

impl Spec {
    #[must_use]
    pub fn new(name: impl Into<String>, transport: Transport) -> Self {
        let mut capabilities = Object::new();
        capabilities.insert("sampling".to_owned(), json!({}));
        capabilities.insert("elicitation".to_owned(), json!({ "form": {}, "url": {} }));
        Self {
            name: name.into(),
            transport,
            era: EraChoice::Auto,
            limits: Limits::default(),
            capabilities,
            show_stderr: false,
            networks: Networks::Public,
        }
    }
}

/// A value that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

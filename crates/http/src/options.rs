//! How the HTTP interface is offered, besides what holds for every way in.

use std::time::Duration;

use sentinel_provenance::log::{TrustedAuthority, TrustedLog};
use sentinel_telemetry::Source;

/// How the interface is offered.
#[derive(Debug, Clone)]
pub struct Options {
    /// Time between two heartbeats of an event stream.
    pub heartbeat: Duration,
    /// Whether the transparency log and its trusted root can be read without a key.
    pub public_log: bool,
    /// Other logs and authorities that verifiers of our bundles have to trust.
    pub also_trusted: AlsoTrusted,
    /// What `/metrics` reports besides what is counted here.
    pub sources: Vec<Source>,
}

/// Other logs and authorities whose entries and timestamps are in our bundles.
#[derive(Debug, Clone, Default)]
pub struct AlsoTrusted {
    pub logs: Vec<TrustedLog>,
    pub authorities: Vec<TrustedAuthority>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            public_log: false,
            also_trusted: AlsoTrusted::default(),
            sources: Vec::new(),
        }
    }
}

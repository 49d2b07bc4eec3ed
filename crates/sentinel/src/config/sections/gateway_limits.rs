//! How much the MCP gateway takes on, and how long it waits for upstreams.

use std::time::Duration;

use schemars::JsonSchema;
use sentinel_gateway::front::http::{Most, Settings as Front};
use sentinel_gateway::server::{Lists, Options};
use sentinel_gateway::upstream::Limits;
use serde::{Deserialize, Serialize};

use crate::config::problems::Problems;
use crate::config::section::Section;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct GatewayLimits {
    /// Seconds that a call to an upstream may take, whatever progress it reports. After that the
    /// client is told that the outcome is unknown.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) gateway_call_timeout_seconds: u64,
    /// Seconds that an upstream may take for a list with all its pages.
    #[schemars(range(min = 1, max = 600))]
    pub(crate) gateway_list_timeout_seconds: u64,
    /// Seconds from the start of a command, or from the first dial, to the end of the handshake.
    #[schemars(range(min = 1, max = 600))]
    pub(crate) gateway_start_timeout_seconds: u64,
    /// Calls under way at one time at one upstream; others wait.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) gateway_upstream_calls: usize,
    /// Lists under way at one time at one upstream. They do not wait behind calls.
    #[schemars(range(min = 1, max = 4096))]
    pub(crate) gateway_upstream_lists: usize,
    /// Seconds that a call or a list waits for its turn at an upstream, before it fails with
    /// `upstream_busy`.
    #[schemars(range(max = 300))]
    pub(crate) gateway_upstream_wait_seconds: u64,
    /// Bytes of one message of an upstream: a line of a command, an event of a stream, or a body.
    /// What is larger is not passed on.
    #[schemars(range(min = 65_536, max = 67_108_864))]
    pub(crate) gateway_upstream_message_bytes: usize,
    /// Seconds that a list of an upstream is used before it is read again.
    #[schemars(range(max = 3600))]
    pub(crate) gateway_list_cache_seconds: u64,
    /// Seconds that a client may keep a list (`ttlMs`).
    #[schemars(range(max = 300))]
    pub(crate) gateway_list_ttl_seconds: u64,
    /// Requests of MCP clients that are served at one time.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) gateway_calls: usize,
    /// Requests of one key or agent that are served at one time.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) gateway_calls_per_principal: usize,
    /// Sessions that a server holds in memory. Others are read from their ids again.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) gateway_sessions: usize,
    /// Sessions of one key that a server holds in memory.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) gateway_sessions_per_principal: usize,
}

impl Default for GatewayLimits {
    /// As the gateway has them.
    fn default() -> Self {
        let Options { front, limits, lists, .. } = Options::default();
        Self {
            gateway_call_timeout_seconds: limits.call.as_secs(),
            gateway_list_timeout_seconds: limits.list.as_secs(),
            gateway_start_timeout_seconds: limits.start.as_secs(),
            gateway_upstream_calls: limits.calls,
            gateway_upstream_lists: limits.lists,
            gateway_upstream_wait_seconds: limits.wait.as_secs(),
            gateway_upstream_message_bytes: limits.message,
            gateway_list_cache_seconds: lists.fresh.as_secs(),
            gateway_list_ttl_seconds: lists.client_ttl.as_secs(),
            gateway_calls: front.calls.all,
            gateway_calls_per_principal: front.calls.of_principal,
            gateway_sessions: front.sessions.all,
            gateway_sessions_per_principal: front.sessions.of_principal,
        }
    }
}

impl Section for GatewayLimits {
    /// What is not said here is as usual.
    type Built = Options;

    fn build(&self, _problems: &mut Problems) -> Option<Options> {
        let usual = Options::default();
        Some(Options {
            limits: Limits {
                call: Duration::from_secs(self.gateway_call_timeout_seconds),
                list: Duration::from_secs(self.gateway_list_timeout_seconds),
                start: Duration::from_secs(self.gateway_start_timeout_seconds),
                calls: self.gateway_upstream_calls,
                lists: self.gateway_upstream_lists,
                wait: Duration::from_secs(self.gateway_upstream_wait_seconds),
                message: self.gateway_upstream_message_bytes,
                ..usual.limits
            },
            lists: Lists {
                fresh: Duration::from_secs(self.gateway_list_cache_seconds),
                client_ttl: Duration::from_secs(self.gateway_list_ttl_seconds),
                ..usual.lists
            },
            front: Front {
                calls: Most {
                    all: self.gateway_calls,
                    of_principal: self.gateway_calls_per_principal,
                },
                sessions: Most {
                    all: self.gateway_sessions,
                    of_principal: self.gateway_sessions_per_principal,
                },
                ..usual.front
            },
            enforce: usual.enforce,
        })
    }
}

//! How much a server takes on, and how it stops.

use std::time::Duration;

use schemars::JsonSchema;
use sentinel_ingress::Network;
use sentinel_service::group::Delay;
use serde::{Deserialize, Serialize};

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct LimitsSection {
    /// Checks under way, and manifests that wait to be written, before more are refused with 503
    /// `overloaded`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_waiting: usize,
    /// Microseconds that decisions wait, under load, for others to be committed with them. Without
    /// it: half of what the last commit took, and a millisecond at most.
    #[schemars(range(max = 100_000))]
    pub(crate) commit_delay_us: Option<u64>,
    /// Connections held at one time, for each of `listen` and `ext_authz_listen`. When there are as
    /// many, those without a request give way to new ones; when all are busy, new ones are served
    /// for operators and administrators only, 64 at a time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections: usize,
    /// Connections from one address, those of `trusted_proxies` aside; as many as there are by
    /// default, since an address may be that of a proxy.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections_per_address: Option<usize>,
    /// Proxies in front of this server, as addresses or networks (`10.0.0.0/8`): of what they send,
    /// the last address in `X-Forwarded-For` that is not one of them counts as the client's. As an
    /// environment variable, separated by commas.
    pub(crate) trusted_proxies: Vec<String>,
    /// Requests without a valid key that an address may make in a second, and twenty times as many
    /// at once, before they are refused with 429; 0 for no limit. Requests with a valid key are not
    /// counted.
    #[schemars(range(max = 1_000_000))]
    pub(crate) max_unauthenticated_per_second: u32,
    /// Event streams and WebSockets open at one time. One in 16 is for operators and administrators
    /// only; one tenant has half of them at most, as has one address when `trusted_proxies` is set.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_event_streams: usize,
    /// Event streams and WebSockets of one key.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_event_streams_per_key: usize,
    /// Seconds that requests in flight get to finish after SIGTERM.
    #[schemars(range(max = 3600))]
    pub(crate) shutdown_grace_seconds: u64,
    /// Seconds between SIGTERM and the refusal of new connections, in which `/readyz` returns 503
    /// and everything else goes on: time for a load balancer to use other servers.
    #[schemars(range(max = 3600))]
    pub(crate) drain_seconds: u64,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            max_waiting: 2048,
            commit_delay_us: None,
            max_connections: 8192,
            max_connections_per_address: None,
            trusted_proxies: Vec::new(),
            max_unauthenticated_per_second: 50,
            max_event_streams: 1000,
            max_event_streams_per_key: 100,
            shutdown_grace_seconds: 10,
            drain_seconds: 3,
        }
    }
}

/// How much a server takes on.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Checks under way, and manifests that wait to be written.
    pub(crate) queue: usize,
    pub(crate) commit_delay: Delay,
    /// Of each listener.
    pub(crate) connections: sentinel_listener::Limits,
    /// Time after SIGTERM in which everything goes on but readiness.
    pub(crate) drain: Duration,
    pub(crate) event_streams: usize,
    /// Of one party.
    pub(crate) parties: sentinel_ingress::Limits,
}

impl Section for LimitsSection {
    type Built = Limits;

    fn build(&self, problems: &mut Problems) -> Option<Limits> {
        let trusted_proxies = problems.keep(self.trusted_proxies())?;
        Some(Limits {
            queue: self.max_waiting,
            commit_delay: self
                .commit_delay_us
                .map_or(Delay::Adaptive, |us| Delay::Fixed(Duration::from_micros(us))),
            connections: sentinel_listener::Limits {
                connections: self.max_connections,
                of_address: self.max_connections_per_address,
                trusted: trusted_proxies.clone().into(),
                operators_only: false,
                grace: Duration::from_secs(self.shutdown_grace_seconds),
            },
            drain: Duration::from_secs(self.drain_seconds),
            event_streams: self.max_event_streams,
            parties: sentinel_ingress::Limits {
                streams_of_key: self.max_event_streams_per_key,
                // So that no key can keep the others from being checked.
                requests_of_key: self.max_waiting.div_ceil(2),
                unauthenticated_per_second: self.max_unauthenticated_per_second,
                trusted_proxies,
            },
        })
    }
}

impl LimitsSection {
    fn trusted_proxies(&self) -> Result<Vec<Network>, Problem> {
        let network = |text: &String| {
            text.parse().map_err(|_| {
                Problem::new(
                    format!("`{text}` in `trusted_proxies` is neither an address nor a network"),
                    "write addresses as `10.0.0.7` and networks as `10.0.0.0/8`",
                )
            })
        };
        self.trusted_proxies.iter().map(network).collect()
    }
}

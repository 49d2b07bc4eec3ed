//! Polls the health checks of registered tools, in the background.
//!
//! The addresses come from the users who register tools, so a poll is a request that somebody else
//! aims. Only public addresses are dialled unless the configuration allows more. The check is made
//! on the address that is dialled (not on an earlier result of the resolver), and again on every
//! redirect.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use sentinel_core::clock::Clock;
use sentinel_core::page::Page;
use sentinel_core::ports::RegistryStore;
use sentinel_core::tool::{Health, HealthStatus, Tool};
use url::{Host, Url};

use crate::ServiceError;

/// Polls at one time.
const CONCURRENCY: usize = 16;
/// A poll takes at most this long, redirects included.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REDIRECTS: usize = 3;

/// Which networks may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Networks {
    /// Public addresses only.
    Public,
    /// Private, loopback and link-local addresses too, but never a cloud's metadata address.
    PublicAndPrivate,
}

impl Networks {
    /// Whether `address` may be dialled.
    #[must_use]
    pub fn allow(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if is_metadata(address) || address.is_unspecified() || address.is_multicast() {
            return false;
        }
        self == Self::PublicAndPrivate || is_public(address)
    }
}

/// Addresses at which clouds hand out credentials.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(
            v4.octets(),
            [169, 254, 169, 254] | [169, 254, 170, 2] | [100, 100, 100, 200] | [192, 0, 0, 192]
        ),
        IpAddr::V6(v6) => v6.segments() == [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254],
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            // Only global unicast, and of that no range that embeds an IPv4 address (6to4,
            // Teredo) or is for documentation.
            let [first, second, ..] = v6.segments();
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && (second == 0 || second == 0x0db8))
        }
    }
}

/// Resolves names to allowed addresses only. The connection is made to what this returns, so a
/// name that resolves differently the next time gains nothing.
#[derive(Debug)]
struct GuardedResolver(Networks);

#[derive(Debug, thiserror::Error)]
#[error("the address is in a network that is not allowed")]
struct Refused;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|to| networks.allow(to.ip())).collect();
            if allowed.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether the address literal in `url`, if it is one, may be dialled: literals never reach the
/// resolver.
fn literal_allowed(url: &Url, networks: Networks) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => networks.allow(v4.into()),
        Some(Host::Ipv6(v6)) => networks.allow(v6.into()),
        Some(Host::Domain(_)) => matches!(url.scheme(), "http" | "https"),
        None => false,
    }
}

/// Polls tools and stores what it finds.
#[derive(Debug)]
pub struct HealthChecker {
    store: Arc<dyn RegistryStore>,
    clock: Arc<dyn Clock>,
    client: reqwest::Client,
    networks: Networks,
}

impl HealthChecker {
    /// A checker that dials `networks`.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(
        store: Arc<dyn RegistryStore>,
        clock: Arc<dyn Clock>,
        networks: Networks,
    ) -> Result<Self, ServiceError> {
        let follow = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if literal_allowed(attempt.url(), networks) {
                attempt.follow()
            } else {
                attempt.error(Refused)
            }
        });
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(GuardedResolver(networks)))
            .redirect(follow)
            .no_proxy()
            .referer(false)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(0)
            .user_agent("sentinel-health")
            .build()
            .map_err(|error| ServiceError::Unavailable(error.to_string()))?;
        Ok(Self { store, clock, client, networks })
    }

    /// Polls every tool that has a health check, once every `interval`, until dropped.
    pub async fn run(self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "health checks could not be made");
            }
        }
    }

    /// Polls every tool that has a health check, once.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn round(&self) -> Result<(), ServiceError> {
        let mut page = Page::first(Page::MAX_LIMIT);
        loop {
            let found = self.store.tools(None, page.clone()).await?;
            let tools = found.items.into_iter().map(|(tool, _)| tool);
            let polled = tools.filter(|tool| tool.retired_at.is_none());
            let mut results = futures::stream::iter(polled.filter_map(|tool| self.poll(tool)))
                .buffer_unordered(CONCURRENCY);
            while let Some((id, health)) = results.next().await {
                self.store.record_health(id, health).await?;
            }
            match found.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    fn poll(
        &self,
        tool: Tool,
    ) -> Option<impl Future<Output = (sentinel_core::id::ToolId, Health)> + '_> {
        let url = tool.healthcheck?;
        Some(async move { (tool.id, self.check(url).await) })
    }

    /// One poll.
    pub async fn check(&self, url: Url) -> Health {
        let started = Instant::now();
        let (status, detail) = if literal_allowed(&url, self.networks) {
            match self.client.get(url).send().await {
                Ok(answer) if answer.status().is_success() => (HealthStatus::Healthy, None),
                Ok(answer) => (
                    HealthStatus::Unhealthy,
                    Some(format!("answered {}", answer.status().as_u16())),
                ),
                Err(error) => of_error(&error),
            }
        } else {
            (HealthStatus::Refused, Some(Refused.to_string()))
        };
        Health {
            status,
            checked_at: self.clock.now(),
            latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            detail,
        }
    }
}

/// Says what went wrong in general terms: an exact error would tell the user who registered the
/// tool which internal ports are open.
fn of_error(error: &reqwest::Error) -> (HealthStatus, Option<String>) {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<Refused>().is_some() {
            return (HealthStatus::Refused, Some(Refused.to_string()));
        }
        source = cause.source();
    }
    let detail = if error.is_timeout() {
        "no answer in time"
    } else if error.is_redirect() {
        "too many redirects"
    } else {
        "could not be reached"
    };
    (HealthStatus::Unhealthy, Some(detail.to_owned()))
}

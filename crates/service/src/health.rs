//! Polls the health checks of registered tools, in the background.
//!
//! The addresses come from the users who register tools, so a poll is a request that somebody else
//! aims. Only [networks](crate::networks) that the configuration allows are dialled; the check is
//! made again on every redirect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::redirect;
use sentinel_core::clock::Clock;
use sentinel_core::page::Page;
use sentinel_core::ports::RegistryStore;
use sentinel_core::tool::{Health, HealthStatus, Tool};
use url::Url;

use crate::ServiceError;
use crate::networks::{self, Refused};

pub use crate::networks::Networks;

/// Polls at one time.
const CONCURRENCY: usize = 16;
/// A poll takes at most this long, redirects included.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REDIRECTS: usize = 3;

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
            } else if networks.allow_literal(attempt.url()) {
                attempt.follow()
            } else {
                attempt.error(Refused)
            }
        });
        let client = networks::client(networks)
            .redirect(follow)
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
        let (status, detail) = if self.networks.allow_literal(&url) {
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
    if networks::was_refused(error) {
        return (HealthStatus::Refused, Some(Refused.to_string()));
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

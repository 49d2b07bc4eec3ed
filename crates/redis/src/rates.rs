//! Rate limits counted in Redis, for all replicas together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};
use sentinel_core::rate::{RateDemand, RateError, RateLimiter, RateRule, RateVerdict};
use tokio::sync::Notify;

use crate::connect::{Backoff, RedisError, RedisTarget, Task, check_prefix};

/// What happens to calls with rate limits while Redis does not answer.
#[derive(Debug, Clone)]
pub enum OnRedisLoss {
    /// They are denied.
    Deny,
    /// Each of `replicas` grants its share of every limit, counted by `local`. Counts of before
    /// and after the loss are not known there, so a subject may get one burst more each time.
    LocalShare { replicas: u32, local: Arc<dyn RateLimiter> },
}

/// How rates are counted.
#[derive(Debug, Clone)]
pub struct RateSettings {
    /// What all keys begin with; deployments that share a Redis need one each.
    pub prefix: String,
    /// The longest that a check waits for Redis.
    pub timeout: Duration,
    pub on_loss: OnRedisLoss,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self {
            prefix: "sentinel".to_owned(),
            timeout: Duration::from_millis(50),
            on_loss: OnRedisLoss::Deny,
        }
    }
}

/// Counts since the start of this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateCounters {
    /// Checks with limits that were decided without Redis.
    pub without_redis: u64,
    /// Times that Redis was lost.
    pub losses: u64,
}

/// A rate limiter that all replicas share.
///
/// One script takes from all limits of a check or from none, by Redis' clock: a replica's clock
/// does not matter. All keys of a tenant are in one slot of a cluster. Redis must not evict keys
/// (`maxmemory-policy noeviction`): a key that is gone is a limit that starts over.
///
/// When Redis fails or is slow once, no check asks it again until it has responded to the task that
/// reconnects; until then checks with limits cost nothing and go as [`OnRedisLoss`] says.
#[derive(Debug)]
pub struct RedisRates {
    shared: Arc<Shared>,
    script: Script,
    prefix: String,
    timeout: Duration,
    on_loss: OnRedisLoss,
    _keeper: Task,
}

#[derive(Debug, Default)]
struct Shared {
    /// Absent while Redis counts as lost.
    connection: ArcSwapOption<MultiplexedConnection>,
    lost: Notify,
    without_redis: AtomicU64,
    losses: AtomicU64,
}

impl RedisRates {
    /// Starts the task that keeps the connection; call it within a tokio runtime. Redis need not
    /// be there yet.
    ///
    /// # Errors
    /// When the prefix is not one.
    pub fn start(target: &RedisTarget, settings: RateSettings) -> Result<Self, RedisError> {
        check_prefix(&settings.prefix)?;
        let RateSettings { prefix, timeout, on_loss } = settings;
        let shared = Arc::new(Shared::default());
        let script = Script::new(include_str!("take.lua"));
        let keeper = keep(target.clone(), Arc::clone(&shared), script.clone(), timeout);
        Ok(Self { shared, script, prefix, timeout, on_loss, _keeper: Task::spawn(keeper) })
    }

    #[must_use]
    pub fn counters(&self) -> RateCounters {
        RateCounters {
            without_redis: self.shared.without_redis.load(Ordering::Relaxed),
            losses: self.shared.losses.load(Ordering::Relaxed),
        }
    }

    /// Whether limits are counted in Redis just now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.connection.load().is_some()
    }

    async fn ask(
        &self,
        connection: &MultiplexedConnection,
        demands: &[RateDemand],
    ) -> RedisResult<(usize, u64)> {
        let mut connection = connection.clone();
        let mut call = self.script.prepare_invoke();
        for demand in demands {
            let limit = &demand.rule.limit;
            call.key(self.key(demand)).arg(limit.interval()).arg(limit.capacity());
        }
        call.invoke_async(&mut connection).await
    }

    fn key(&self, demand: &RateDemand) -> String {
        let RateRule { scope, limit } = demand.rule;
        let (prefix, tenant, scope) = (&self.prefix, demand.tenant_id, scope.as_str());
        let (n, period, burst) = (limit.limit(), limit.period().as_secs(), limit.burst());
        let tool = demand.tool_id.map_or("-".to_owned(), |tool| tool.to_string());
        // Last, and marked, since an agent's name may hold any character.
        let agent = demand.agent.as_ref().map_or("-".to_owned(), |agent| format!("={agent}"));
        format!("{prefix}:rate:{{{tenant}}}:{scope}:{n}:{period}:{burst}:{tool}:{agent}")
    }

    async fn without_redis(&self, demands: &[RateDemand]) -> Result<RateVerdict, RateError> {
        self.shared.without_redis.fetch_add(1, Ordering::Relaxed);
        match &self.on_loss {
            OnRedisLoss::Deny => Err(RateError::Unavailable("redis does not respond".to_owned())),
            OnRedisLoss::LocalShare { replicas, local } => {
                let shares: Vec<_> = demands.iter().map(|demand| demand.share(*replicas)).collect();
                local.take(&shares).await
            }
        }
    }
}

#[async_trait]
impl RateLimiter for RedisRates {
    async fn take(&self, demands: &[RateDemand]) -> Result<RateVerdict, RateError> {
        if demands.is_empty() {
            return Ok(RateVerdict::Granted);
        }
        let Some(connection) = self.shared.connection.load_full() else {
            return self.without_redis(demands).await;
        };
        let cause = match tokio::time::timeout(self.timeout, self.ask(&connection, demands)).await {
            Ok(Ok((0, _))) => return Ok(RateVerdict::Granted),
            Ok(Ok((which, wait))) => match demands.get(which - 1) {
                Some(demand) => {
                    let retry_after = Duration::from_nanos(wait);
                    return Ok(RateVerdict::Limited { rule: demand.rule, retry_after });
                }
                None => "it returned a limit that was not asked for".to_owned(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it did not answer within {} ms", self.timeout.as_millis()),
        };
        self.shared.lose(&connection, &cause);
        self.without_redis(demands).await
    }
}

impl Shared {
    /// Gives `failed` up, unless another has taken its place already.
    fn lose(&self, failed: &Arc<MultiplexedConnection>, cause: &str) {
        let previous = self.connection.compare_and_swap(failed, None);
        if previous.as_ref().is_some_and(|previous| Arc::ptr_eq(previous, failed)) {
            self.losses.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(cause, "redis was lost; rate limits are counted without it");
            self.lost.notify_one();
        }
    }
}

/// A connection that lasted this long was good; the next loss does not announce more.
const LASTING: Duration = Duration::from_secs(10);

/// Connects, and again whenever the connection is lost. A connection is offered to checks only
/// once Redis has responded on it.
async fn keep(target: RedisTarget, shared: Arc<Shared>, script: Script, timeout: Duration) {
    let mut backoff = Backoff::new();
    let mut away = false;
    loop {
        let connected = async {
            let mut connection = target.connect(timeout).await?;
            script.load_async(&mut connection).await?;
            Ok::<_, redis::RedisError>(connection)
        };
        match connected.await {
            Ok(connection) => {
                if away {
                    tracing::info!("redis is back; rate limits are counted there");
                }
                let since = Instant::now();
                shared.connection.store(Some(Arc::new(connection)));
                shared.lost.notified().await;
                away = true;
                if since.elapsed() > LASTING {
                    backoff.reset();
                    continue;
                }
            }
            Err(error) => {
                if !away {
                    tracing::warn!(%error, "redis cannot be reached; rate limits are counted without it");
                }
                away = true;
            }
        }
        backoff.wait().await;
    }
}

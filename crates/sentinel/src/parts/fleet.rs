//! What a server shares with the others of its deployment.

use std::sync::Arc;

use sentinel_core::rate::RateLimiter;
use sentinel_redis::{
    EventSettings, OnRedisLoss, RateSettings, RedisError, RedisEvents, RedisRates, RedisTarget,
};
use sentinel_service::Shared;
use sentinel_service::bus::InProcessBus;
use sentinel_service::rate::{LocalRates, SharedRates, UncountedRates};
use sentinel_telemetry::Source;

use crate::parts::backend::Backend;
use crate::parts::carrier::Carrier;
use crate::parts::metrics;

/// How servers reach each other. Nothing is connected yet.
#[derive(Debug, Clone)]
pub(crate) enum Fleet {
    /// By a Redis, which also counts rate limits for all of them.
    Redis(Box<Redis>),
    /// By their database, if others can use it; each server grants its share of a rate limit.
    Database {
        /// How many servers there are; `None` when that is not known.
        replicas: Option<u32>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Redis {
    target: RedisTarget,
    prefix: String,
    /// Whether events of decisions and manifests are carried, or only control events.
    decisions: bool,
    without: WithoutRedis,
}

/// What becomes of calls with rate limits while Redis does not answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WithoutRedis {
    /// They are denied.
    Deny,
    /// Each server grants its share.
    Share { replicas: u32 },
}

impl Fleet {
    /// Servers without a Redis.
    pub(crate) const fn without_redis(replicas: Option<u32>) -> Self {
        Self::Database { replicas }
    }

    /// Servers that share the Redis at `url`.
    ///
    /// # Errors
    /// When that is not an address of a Redis.
    pub(crate) fn by_redis(
        url: &str,
        prefix: &str,
        decisions: bool,
        without: WithoutRedis,
    ) -> Result<Self, RedisError> {
        let target = RedisTarget::new(url, None)?;
        Ok(Self::Redis(Box::new(Redis { target, prefix: prefix.to_owned(), decisions, without })))
    }

    /// Starts to carry events and to count rates. A Redis need not answer yet.
    ///
    /// # Errors
    /// When the prefix of the keys in Redis cannot be used.
    pub(crate) fn join(&self, backend: &dyn Backend) -> Result<Joined, RedisError> {
        match self {
            Self::Redis(redis) => redis.join(),
            Self::Database { replicas } => Ok(by_database(backend, *replicas)),
        }
    }
}

impl Redis {
    /// Checks that Redis answers.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) async fn ping(&self) -> Result<(), RedisError> {
        self.target.ping().await
    }

    fn join(&self) -> Result<Joined, RedisError> {
        let events = Arc::new(InProcessBus::default());
        let settings = EventSettings {
            prefix: self.prefix.clone(),
            decisions: self.decisions,
            ..EventSettings::default()
        };
        let carrier = Arc::new(RedisEvents::start(&self.target, settings, events.foreign())?);
        let on_loss = match self.without {
            WithoutRedis::Deny => OnRedisLoss::Deny,
            WithoutRedis::Share { replicas } => {
                OnRedisLoss::LocalShare { replicas, local: Arc::new(LocalRates::default()) }
            }
        };
        let settings =
            RateSettings { prefix: self.prefix.clone(), on_loss, ..RateSettings::default() };
        let rates = Arc::new(RedisRates::start(&self.target, settings)?);
        let source = metrics::of_redis_rates(Arc::clone(&rates));
        Ok(Joined::by(carrier, events, rates, vec![source]))
    }
}

/// Without Redis, the database carries control events, and each server counts its share of rate
/// limits.
fn by_database(backend: &dyn Backend, replicas: Option<u32>) -> Joined {
    let events = Arc::new(InProcessBus::default());
    let Some(carrier) = backend.carry_events(events.foreign()) else { return Joined::default() };
    let rates: Arc<dyn RateLimiter> = match replicas {
        Some(replicas) => Arc::new(SharedRates::new(replicas)),
        None => {
            tracing::warn!(
                "calls with rate limits that policy states are denied: each server counts alone, \
                 and `replicas` does not say how many there are"
            );
            Arc::new(UncountedRates)
        }
    };
    Joined::by(carrier, events, rates, Vec::new())
}

/// The parts of a server that reach the others; by default there are no others.
#[derive(Default)]
pub(crate) struct Joined {
    pub(crate) shared: Shared,
    pub(crate) carrier: Option<Arc<dyn Carrier>>,
    /// What they count.
    pub(crate) sources: Vec<Source>,
}

impl Joined {
    fn by(
        carrier: Arc<dyn Carrier>,
        events: Arc<InProcessBus>,
        rates: Arc<dyn RateLimiter>,
        mut sources: Vec<Source>,
    ) -> Self {
        sources.push(Arc::clone(&carrier).source());
        let shared = Shared { events, others: Some(carrier.clone()), rates: Some(rates) };
        Self { shared, carrier: Some(carrier), sources }
    }
}

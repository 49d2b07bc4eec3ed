//! What this server shares with others through Redis.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::rate::{RateLimit, RateLimitError, RateRule, parse_period};
use sentinel_redis::{EventSettings, OnRedisLoss, RateSettings};
use sentinel_redis::{RedisError, RedisEvents, RedisRates, RedisTarget};
use sentinel_service::Shared;
use sentinel_service::bus::InProcessBus;
use sentinel_service::rate::LocalRates;

use crate::config::{self, Config};

/// A Redis to share, not connected.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    target: RedisTarget,
    prefix: String,
    decisions: bool,
    on_loss: config::OnRedisLoss,
    replicas: u32,
}

impl Fleet {
    /// The Redis that the configuration names, when it names one.
    ///
    /// # Errors
    /// When the address is not one.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, RedisError> {
        let Some(url) = &config.redis_url else { return Ok(None) };
        Ok(Some(Self {
            target: RedisTarget::new(url, None)?,
            prefix: config.redis_prefix.clone(),
            decisions: config.redis_decision_events,
            on_loss: config.on_redis_loss,
            replicas: config.replicas.unwrap_or(1),
        }))
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) async fn ping(&self) -> Result<(), RedisError> {
        self.target.ping().await
    }

    /// Starts to carry events and to count rates. Redis need not be there yet.
    ///
    /// # Errors
    /// When the prefix is not one.
    pub(crate) fn join(&self) -> Result<Joined, RedisError> {
        let events = Arc::new(InProcessBus::default());
        let settings = EventSettings {
            prefix: self.prefix.clone(),
            decisions: self.decisions,
            ..EventSettings::default()
        };
        let carrier = Arc::new(RedisEvents::start(&self.target, settings, events.foreign())?);
        let on_loss = match self.on_loss {
            config::OnRedisLoss::Deny => OnRedisLoss::Deny,
            config::OnRedisLoss::LocalShare => OnRedisLoss::LocalShare {
                replicas: self.replicas,
                local: Arc::new(LocalRates::default()),
            },
        };
        let settings =
            RateSettings { prefix: self.prefix.clone(), on_loss, ..RateSettings::default() };
        let rates = Arc::new(RedisRates::start(&self.target, settings)?);
        let shared = Shared { events, others: Some(carrier.clone()), rates: Some(rates.clone()) };
        Ok(Joined { shared, carrier, rates })
    }
}

/// The parts of a server that reach the others.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) shared: Shared,
    pub(crate) carrier: Arc<RedisEvents>,
    pub(crate) rates: Arc<RedisRates>,
}

/// Time that the last events get to leave a server that stops.
pub(crate) const FLUSH: Duration = Duration::from_secs(1);

/// Reads a rate limit of the configuration: `scope:limit/period` or `scope:limit/period:burst`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn rate_rule(text: &str) -> Result<RateRule, RateLimitError> {
    let mut parts = text.split(':');
    let scope = parts.next().unwrap_or_default().parse()?;
    let rate = parts.next().unwrap_or_default();
    let (limit, period) = rate.split_once('/').ok_or(RateLimitError::Limit)?;
    let limit = limit.parse().map_err(|_| RateLimitError::Limit)?;
    let burst = parts.next().map(str::parse).transpose().map_err(|_| RateLimitError::Burst)?;
    if parts.next().is_some() {
        return Err(RateLimitError::UnknownField);
    }
    Ok(RateRule { scope, limit: RateLimit::new(limit, parse_period(period)?, burst)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_read_as_written() {
        let second = Duration::from_secs(1);
        let rule = rate_rule("agent:100/1s").unwrap();
        assert_eq!(rule.limit, RateLimit::new(100, second, None).unwrap());
        let rule = rate_rule("agent_tool:5000/1m:200").unwrap();
        assert_eq!(rule.limit, RateLimit::new(5000, second * 60, Some(200)).unwrap());
        for bad in [
            "",
            "agent",
            "agent:",
            "agent:5",
            "all:5/1s",
            "agent:-1/1s",
            "agent:5/1s:0",
            "agent:5/1s:1:1",
        ] {
            assert!(rate_rule(bad).is_err(), "{bad}");
        }
    }
}

//! What a server shares with others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;
use crate::parts::fleet::{Fleet, WithoutRedis};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Redis {
    /// A Redis that all servers share, `redis://host:6379` or `rediss://…` with TLS: carries events
    /// between them and counts rate limits for all of them. No guarantee depends on it.
    pub(crate) redis_url: Option<String>,
    /// What all keys in Redis begin with; deployments that share one need one each.
    pub(crate) redis_prefix: String,
    /// Whether events of decisions and manifests travel between servers through Redis, or only
    /// kills, restores and changes of the registry.
    pub(crate) redis_decision_events: bool,
    /// What becomes of calls with rate limits while Redis does not answer.
    pub(crate) on_redis_loss: OnRedisLoss,
    /// How many servers there are, for their shares of a rate limit while none counts for all of
    /// them: Redis does not answer, or there is none. Required for rate limits on PostgreSQL
    /// without `redis_url`, and for `on_redis_loss: local_share`.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) replicas: Option<u32>,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            redis_url: None,
            redis_prefix: "sentinel".to_owned(),
            redis_decision_events: true,
            on_redis_loss: OnRedisLoss::default(),
            replicas: None,
        }
    }
}

/// What becomes of calls with rate limits that cannot be counted for all servers. They are never
/// unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnRedisLoss {
    /// They are denied, with code `rate_limiter_unavailable`.
    #[default]
    Deny,
    /// Each server grants its share: the limit divided by `replicas`.
    LocalShare,
}

impl Section for Redis {
    type Built = Fleet;

    fn build(&self, problems: &mut Problems) -> Option<Fleet> {
        problems.keep(self.fleet())
    }
}

impl Redis {
    /// What is shared with other servers.
    ///
    /// # Errors
    /// When `redis_url` is not an address of a Redis.
    pub(crate) fn fleet(&self) -> Result<Fleet, Problem> {
        let Some(url) = &self.redis_url else { return Ok(Fleet::without_redis(self.replicas)) };
        let without = match self.on_redis_loss {
            OnRedisLoss::Deny => WithoutRedis::Deny,
            OnRedisLoss::LocalShare => WithoutRedis::Share { replicas: self.replicas.unwrap_or(1) },
        };
        let fleet = Fleet::by_redis(url, &self.redis_prefix, self.redis_decision_events, without);
        fleet.map_err(|error| {
            Problem::new(
                format!("`redis_url` cannot be used: {error}"),
                "set `redis_url: redis://127.0.0.1:6379`, or `rediss://host:6379` with TLS",
            )
        })
    }
}

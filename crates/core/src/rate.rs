//! Rate limits: how fast calls may follow each other. A quota counts the allows of a calendar
//! window exactly and durably; a rate limit smooths, is kept in memory or in Redis, and its state
//! may be lost (which grants at most one more burst).
//!
//! The arithmetic is GCRA: each subject of a limit has a debt in time, every granted call adds one
//! interval to it, time pays it back, and a call is granted while the debt stays within the burst.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{TenantId, ToolId};
use crate::name::AgentName;
use crate::policy::Obligation;

/// What the calls of a limit have in common; always within one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateScope {
    /// All calls of the tenant.
    Tenant,
    /// Calls of one agent. All calls that name no agent count as those of one agent.
    Agent,
    /// Calls of one tool.
    Tool,
    /// Calls of one tool by one agent.
    AgentTool,
}

impl RateScope {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::AgentTool => "agent_tool",
        }
    }
}

impl std::str::FromStr for RateScope {
    type Err = RateLimitError;

    fn from_str(text: &str) -> Result<Self, RateLimitError> {
        [Self::Tenant, Self::Agent, Self::Tool, Self::AgentTool]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(RateLimitError::Scope)
    }
}

const SECOND: u64 = 1_000_000_000;
/// No period is longer than a day: what is counted over days is a quota.
const MAX_PERIOD_SECONDS: u64 = 86_400;
/// Faster than any replica decides, and slow enough that rounding the interval up to whole
/// nanoseconds costs at most a thousandth of the rate.
const MAX_PER_SECOND: u64 = 1_000_000;
/// Nanoseconds that a burst may span: 30 days. Debts then fit the 53 bits that are exact in a
/// double, as Redis' Lua counts with.
const MAX_CAPACITY: u64 = 30 * 86_400 * SECOND;

/// At most `burst` calls at once, and `limit` calls per `period` in the long run: never more than
/// `burst + elapsed * limit / period` in any stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    limit: u64,
    period_seconds: u64,
    burst: u64,
    interval: u64,
}

impl RateLimit {
    /// A limit of `limit` calls per `period` (whole seconds, at most a day), of which `burst` may
    /// come at once; as many as the limit when not given.
    ///
    /// # Errors
    /// When a number is zero or out of range.
    pub fn new(limit: u64, period: Duration, burst: Option<u64>) -> Result<Self, RateLimitError> {
        let period_seconds = period.as_secs();
        if period.subsec_nanos() != 0 || !(1..=MAX_PERIOD_SECONDS).contains(&period_seconds) {
            return Err(RateLimitError::Period);
        }
        if !(1..=MAX_PER_SECOND * period_seconds).contains(&limit) {
            return Err(RateLimitError::Limit);
        }
        let burst = burst.unwrap_or(limit);
        let interval = (period_seconds * SECOND).div_ceil(limit);
        let capacity = burst.checked_mul(interval).filter(|capacity| *capacity <= MAX_CAPACITY);
        if burst == 0 || capacity.is_none() {
            return Err(RateLimitError::Burst);
        }
        Ok(Self { limit, period_seconds, burst, interval })
    }

    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    #[must_use]
    pub const fn period(&self) -> Duration {
        Duration::from_secs(self.period_seconds)
    }

    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// Nanoseconds that one call adds to the debt.
    #[must_use]
    pub const fn interval(&self) -> u64 {
        self.interval
    }

    /// Nanoseconds that the debt may reach.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.burst * self.interval
    }

    /// What one of `replicas` may grant by itself when they cannot count together. The rates of
    /// all shares add up to the whole; a burst smaller than the number of replicas is rounded up
    /// to one call each, since less than one call would be none for ever.
    #[must_use]
    pub fn share(&self, replicas: u32) -> Self {
        let replicas = u64::from(replicas.max(1));
        let burst = (self.burst / replicas).max(1);
        Self { burst, interval: self.interval.saturating_mul(replicas), ..*self }
    }
}

impl std::fmt::Display for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.period_seconds;
        let (count, unit) = match seconds {
            _ if seconds.is_multiple_of(86_400) => (seconds / 86_400, 'd'),
            _ if seconds.is_multiple_of(3600) => (seconds / 3600, 'h'),
            _ if seconds.is_multiple_of(60) => (seconds / 60, 'm'),
            _ => (seconds, 's'),
        };
        write!(f, "{} per {count}{unit}", self.limit)?;
        if self.burst == self.limit { Ok(()) } else { write!(f, " (burst {})", self.burst) }
    }
}

/// Reads a period: `1s`, `30s`, `5m`, `1h`, `1d`.
///
/// # Errors
/// When it is written otherwise, or longer than a day.
pub fn parse_period(text: &str) -> Result<Duration, RateLimitError> {
    let digits = text.get(..text.len().saturating_sub(1)).unwrap_or("");
    let plain = !digits.is_empty()
        && digits.len() <= 5
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        _ => return Err(RateLimitError::Period),
    };
    let count: u64 = digits.parse().map_err(|_| RateLimitError::Period)?;
    let seconds = count * unit;
    if plain && seconds <= MAX_PERIOD_SECONDS {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(RateLimitError::Period)
    }
}

/// A limit and the calls that it counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateRule {
    pub scope: RateScope,
    pub limit: RateLimit,
}

impl RateRule {
    /// Type of the obligation that states a rate limit.
    pub const OBLIGATION: &'static str = "rate_limit";

    /// Reads `{"type": "rate_limit", "scope", "limit", "period", "burst"?}`; `None` when the
    /// obligation is of another type. A field that is not known is an error: ignoring it could be
    /// allowing more than policy did.
    ///
    /// # Errors
    /// When it is malformed; the call must be denied.
    pub fn of_obligation(obligation: &Obligation) -> Result<Option<Self>, RateLimitError> {
        if obligation.kind != Self::OBLIGATION {
            return Ok(None);
        }
        let known = |name: &String| matches!(name.as_str(), "scope" | "limit" | "period" | "burst");
        if !obligation.fields.keys().all(known) {
            return Err(RateLimitError::UnknownField);
        }
        let field = |name: &str| obligation.fields.get(name);
        let scope = field("scope").and_then(Value::as_str).ok_or(RateLimitError::Scope)?.parse()?;
        let limit = field("limit").and_then(Value::as_u64).ok_or(RateLimitError::Limit)?;
        let period = field("period").and_then(Value::as_str).ok_or(RateLimitError::Period)?;
        let burst = match field("burst") {
            None => None,
            Some(burst) => Some(burst.as_u64().ok_or(RateLimitError::Burst)?),
        };
        let limit = RateLimit::new(limit, parse_period(period)?, burst)?;
        Ok(Some(Self { scope, limit }))
    }

    /// What a call of `tool` by `agent` takes from this rule.
    #[must_use]
    pub fn demand(
        &self,
        tenant_id: TenantId,
        tool_id: ToolId,
        agent: Option<&AgentName>,
    ) -> RateDemand {
        let of_tool = matches!(self.scope, RateScope::Tool | RateScope::AgentTool);
        let of_agent = matches!(self.scope, RateScope::Agent | RateScope::AgentTool);
        RateDemand {
            tenant_id,
            tool_id: of_tool.then_some(tool_id),
            // Folded, since a bound key may write its agent in any letter case: each way of
            // writing it must not have a limit of its own.
            agent: agent.filter(|_| of_agent).map(AgentName::folded),
            rule: *self,
        }
    }
}

/// One call's demand on one limit. Demands that are equal count together, and two limits of one
/// subject are counted apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateDemand {
    pub tenant_id: TenantId,
    /// Set when the scope names a tool.
    pub tool_id: Option<ToolId>,
    /// Set when the scope names an agent and the call has one.
    pub agent: Option<AgentName>,
    pub rule: RateRule,
}

impl RateDemand {
    /// What one of `replicas` counts by itself when they cannot count together.
    #[must_use]
    pub fn share(&self, replicas: u32) -> Self {
        let rule = RateRule { limit: self.rule.limit.share(replicas), ..self.rule };
        Self { rule, ..self.clone() }
    }
}

/// The debt of one subject of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateState {
    /// When the debt was last told, in microseconds of the counting clock.
    pub at: u64,
    /// Nanoseconds.
    pub debt: u64,
}

impl RateState {
    /// The state at `now` (microseconds). A clock that went backwards counts as stopped: it pays
    /// nothing back until it has caught up.
    #[must_use]
    pub fn at(self, now: u64) -> Self {
        let at = self.at.max(now);
        let paid = (at - self.at).saturating_mul(1000);
        Self { at, debt: self.debt.saturating_sub(paid) }
    }

    /// Takes one call from the limit at `now` (microseconds).
    ///
    /// # Errors
    /// How long it takes until a call fits, when none does now.
    pub fn take(self, limit: &RateLimit, now: u64) -> Result<Self, Duration> {
        let Self { at, debt } = self.at(now);
        let wanted = debt.saturating_add(limit.interval());
        if wanted > limit.capacity() {
            return Err(Duration::from_nanos(wanted - limit.capacity()));
        }
        Ok(Self { at, debt: wanted })
    }
}

/// What a limiter returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateVerdict {
    /// Every limit had room, and one call was taken from each.
    Granted,
    /// Nothing was taken: this limit, of those without room the one that has none the longest,
    /// has room again after `retry_after`.
    Limited { rule: RateRule, retry_after: Duration },
}

/// Why it is not known whether a call fits. The call is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// What counts for all replicas does not respond.
    #[error("the rate limiter is unavailable: {0}")]
    Unavailable(String),
    /// As many subjects are being counted as fit; see the limiter for why none is forgotten.
    #[error("too many agents and tools of the tenant have called lately to count another")]
    Full,
    /// There may be several servers that share nothing to count in, and their number is not known.
    #[error(
        "a rate limit applies, and each server counts alone: set `replicas`, the number of servers, \
         or `redis_url`, where they count together"
    )]
    Uncounted,
}

/// Counts calls against rate limits: within this process, or in Redis for all replicas.
#[async_trait]
pub trait RateLimiter: Send + Sync + std::fmt::Debug {
    /// Takes one call from every one of `demands`, or from none. All are of one tenant, and no two
    /// are equal.
    ///
    /// # Errors
    /// When that cannot be told; the caller denies.
    async fn take(&self, demands: &[RateDemand]) -> Result<RateVerdict, RateError>;
}

/// Why a rate limit was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateLimitError {
    #[error("the `scope` of a rate limit must be `tenant`, `agent`, `tool` or `agent_tool`")]
    Scope,
    #[error("the `limit` of a rate limit must be an integer from 1 to 1,000,000 per second")]
    Limit,
    #[error("the `period` of a rate limit must be like `1s`, `30s`, `5m` or `1h`, at most `1d`")]
    Period,
    #[error("the `burst` of a rate limit must be an integer from 1 to 30 days' worth of calls")]
    Burst,
    #[error("a rate limit has no fields but `scope`, `limit`, `period` and `burst`")]
    UnknownField,
}

#[cfg(test)]
mod tests;

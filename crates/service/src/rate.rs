//! Rate limits: which apply to a call, and the limiter that counts within this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sentinel_core::decision::{ReasonCode, Verdict};
use sentinel_core::id::TenantId;
use sentinel_core::name::AgentName;
use sentinel_core::rate::{
    RateDemand, RateError, RateLimitError, RateLimiter, RateRule, RateState, RateVerdict,
};
use sentinel_core::tool::Tool;

/// Holds allows to the rate limits that apply to them.
#[derive(Debug)]
pub(crate) struct RateGuard {
    pub(crate) limiter: Arc<dyn RateLimiter>,
    /// Limits of every call.
    pub(crate) rules: Vec<RateRule>,
    pub(crate) counts: RateCounts,
}

/// How calls with limits were decided.
#[derive(Debug, Default)]
pub(crate) struct RateCounts {
    granted: AtomicU64,
    limited: AtomicU64,
    unavailable: AtomicU64,
}

/// Calls with rate limits since the start of this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateDecisions {
    pub granted: u64,
    pub limited: u64,
    /// Denied because no limiter could count them.
    pub unavailable: u64,
}

impl RateGuard {
    /// What an allow still has to take: the limits of configuration and of policy's obligations,
    /// each once, without those in `taken`. A deny takes nothing.
    ///
    /// # Errors
    /// When an obligation is malformed: the call must be denied.
    pub(crate) fn demands(
        &self,
        verdict: &Verdict,
        tool: &Tool,
        agent: Option<&AgentName>,
        taken: &[RateDemand],
    ) -> Result<Vec<RateDemand>, RateLimitError> {
        let mut demands = Vec::new();
        if !verdict.allow {
            return Ok(demands);
        }
        let mut add = |rule: &RateRule| {
            let demand = rule.demand(tool.tenant_id, tool.id, agent);
            if !demands.contains(&demand) && !taken.contains(&demand) {
                demands.push(demand);
            }
        };
        self.rules.iter().for_each(&mut add);
        for obligation in &verdict.obligations {
            if let Some(rule) = RateRule::of_obligation(obligation)? {
                add(&rule);
            }
        }
        Ok(demands)
    }

    /// Takes `demands`, or turns the allow into a deny.
    pub(crate) async fn take(
        &self,
        verdict: Verdict,
        demands: Vec<RateDemand>,
        taken: &mut Vec<RateDemand>,
    ) -> Verdict {
        let taking = self.limiter.take(&demands).await;
        if !demands.is_empty() {
            self.counts.count(&taking);
        }
        match taking {
            Ok(RateVerdict::Granted) => {
                taken.extend(demands);
                verdict
            }
            Ok(RateVerdict::Limited { rule, retry_after }) => {
                denied(verdict, ReasonCode::RateLimited, limited_wording(rule, retry_after))
            }
            // The cause is for the log, where the limiter writes it: it may name hosts.
            Err(RateError::Unavailable(_)) => denied(
                verdict,
                ReasonCode::RateLimiterUnavailable,
                "a rate limit applies, and the rate limiter is unavailable".to_owned(),
            ),
            Err(error @ (RateError::Full | RateError::Uncounted)) => {
                denied(verdict, ReasonCode::RateLimiterUnavailable, error.to_string())
            }
        }
    }

    /// The deny of an allow with an obligation that cannot be read.
    pub(crate) fn malformed(verdict: Verdict, error: RateLimitError) -> Verdict {
        let reason = format!("the policy's answer is malformed: {error}");
        denied(verdict, ReasonCode::PolicyMalformed, reason)
    }
}

impl RateCounts {
    fn count(&self, taking: &Result<RateVerdict, RateError>) {
        let counter = match taking {
            Ok(RateVerdict::Granted) => &self.granted,
            Ok(RateVerdict::Limited { .. }) => &self.limited,
            Err(_) => &self.unavailable,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> RateDecisions {
        RateDecisions {
            granted: self.granted.load(Ordering::Relaxed),
            limited: self.limited.load(Ordering::Relaxed),
            unavailable: self.unavailable.load(Ordering::Relaxed),
        }
    }
}

fn denied(verdict: Verdict, code: ReasonCode, reason: String) -> Verdict {
    Verdict { allow: false, code, reason, ..verdict }
}

fn limited_wording(rule: RateRule, retry_after: Duration) -> String {
    let RateRule { scope, limit } = rule;
    // Rounded up, so that waiting as long is enough.
    let millis = retry_after.as_nanos().div_ceil(1_000_000);
    let scope = scope.as_str();
    let (seconds, rest) = (millis / 1000, millis % 1000);
    format!("the rate limit of {limit} by {scope} is used up; try again in {seconds}.{rest:03} s")
}

/// Counts within this process, by its monotonic clock.
///
/// A tenant's subjects are bounded, and at the bound a new one is refused rather than another
/// forgotten: forgetting would let a caller that invents agent names remove the counts that limit
/// it. Subjects whose debt is paid are forgotten first, which changes nothing. The bound is for
/// each tenant, so that one that invents names harms itself only.
#[derive(Debug)]
pub struct LocalRates {
    shards: [Mutex<Shard>; SHARDS],
    started: Instant,
    subjects: usize,
}

/// Counts within this process for one of several replicas that share nothing to count in: each
/// grants its share, so that together they never grant more than the whole.
#[derive(Debug)]
pub struct SharedRates {
    replicas: u32,
    local: LocalRates,
}

impl SharedRates {
    /// The limiter of one of `replicas`.
    #[must_use]
    pub fn new(replicas: u32) -> Self {
        Self { replicas: replicas.max(1), local: LocalRates::default() }
    }
}

#[async_trait]
impl RateLimiter for SharedRates {
    async fn take(&self, demands: &[RateDemand]) -> Result<RateVerdict, RateError> {
        if demands.is_empty() {
            return Ok(RateVerdict::Granted);
        }
        let shares: Vec<_> = demands.iter().map(|demand| demand.share(self.replicas)).collect();
        let verdict = self.local.take(&shares).await?;
        let RateVerdict::Limited { rule, retry_after } = verdict else { return Ok(verdict) };
        // The limit is reported as it was stated.
        let which = shares.iter().position(|share| share.rule == rule);
        let rule = which.and_then(|which| demands.get(which)).map_or(rule, |demand| demand.rule);
        Ok(RateVerdict::Limited { rule, retry_after })
    }
}

/// Counts nothing: for several replicas, perhaps, that share nothing to count in, when it is not
/// known how many they are. What cannot be counted is denied.
#[derive(Debug, Default)]
pub struct UncountedRates;

#[async_trait]
impl RateLimiter for UncountedRates {
    async fn take(&self, demands: &[RateDemand]) -> Result<RateVerdict, RateError> {
        if demands.is_empty() {
            return Ok(RateVerdict::Granted);
        }
        Err(RateError::Uncounted)
    }
}

const SHARDS: usize = 16;
/// Subjects of one tenant that are counted at a time, a few megabytes.
const SUBJECTS: usize = 16_384;
/// Fewer new subjects than this are never worth a sweep.
const SWEEP: usize = 1024;

/// All demands of a check are of one tenant, hence of one shard: taking all or none needs one lock.
#[derive(Debug, Default)]
struct Shard {
    tenants: HashMap<TenantId, Subjects>,
    /// New subjects since the last sweep, and those that it left.
    added: usize,
    left: usize,
}

#[derive(Debug, Default)]
struct Subjects {
    states: HashMap<RateDemand, RateState>,
    /// No state is idle before this time: looking for one would be in vain.
    none_idle_before: u64,
}

impl Default for LocalRates {
    fn default() -> Self {
        Self::bounded(SUBJECTS)
    }
}

impl LocalRates {
    /// A limiter that counts at most `subjects` of each tenant at a time.
    #[must_use]
    pub fn bounded(subjects: usize) -> Self {
        Self { shards: Default::default(), started: Instant::now(), subjects }
    }

    /// Takes at `now`, microseconds after the start.
    fn take_at(&self, demands: &[RateDemand], now: u64) -> Result<RateVerdict, RateError> {
        let Some(tenant) = demands.first().map(|demand| demand.tenant_id) else {
            return Ok(RateVerdict::Granted);
        };
        let index = tenant.0.as_u128() % SHARDS as u128;
        let shard = usize::try_from(index).ok().and_then(|index| self.shards.get(index));
        let Some(shard) = shard else { return Err(RateError::Full) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let subjects = shard.tenants.entry(tenant).or_default();
        let known = subjects.states.len();
        let verdict = subjects.take(demands, now, self.subjects);
        let added = subjects.states.len().saturating_sub(known);
        shard.added += added;
        if shard.added > SWEEP.max(shard.left) {
            shard.sweep(now);
        }
        verdict
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[async_trait]
impl RateLimiter for LocalRates {
    async fn take(&self, demands: &[RateDemand]) -> Result<RateVerdict, RateError> {
        self.take_at(demands, self.now())
    }
}

impl Shard {
    /// Forgets what is idle, so that memory follows what is in use; each new subject pays for one.
    fn sweep(&mut self, now: u64) {
        self.tenants.retain(|_, subjects| {
            subjects.sweep(now);
            !subjects.states.is_empty()
        });
        self.left = self.tenants.values().map(|subjects| subjects.states.len()).sum();
        self.added = 0;
    }
}

impl Subjects {
    fn take(
        &mut self,
        demands: &[RateDemand],
        now: u64,
        bound: usize,
    ) -> Result<RateVerdict, RateError> {
        let mut next = Vec::with_capacity(demands.len());
        let mut longest: Option<(Duration, RateRule)> = None;
        let mut new = 0;
        for demand in demands {
            let known = self.states.get(demand);
            new += usize::from(known.is_none());
            match known.copied().unwrap_or_default().take(&demand.rule.limit, now) {
                Ok(state) => next.push(state),
                Err(wait) if longest.is_none_or(|(other, _)| wait > other) => {
                    longest = Some((wait, demand.rule));
                }
                Err(_) => {}
            }
        }
        if let Some((retry_after, rule)) = longest {
            return Ok(RateVerdict::Limited { rule, retry_after });
        }
        if new > 0 && self.states.len() + new > bound {
            self.sweep(now);
            if self.states.len() + new > bound {
                return Err(RateError::Full);
            }
        }
        for (demand, state) in demands.iter().zip(next) {
            self.none_idle_before = self.none_idle_before.min(idle_from(state));
            self.states.insert(demand.clone(), state);
        }
        Ok(RateVerdict::Granted)
    }

    fn sweep(&mut self, now: u64) {
        if now < self.none_idle_before {
            return;
        }
        self.states.retain(|_, state| idle_from(*state) > now);
        let earliest = self.states.values().map(|state| idle_from(*state)).min();
        self.none_idle_before = earliest.unwrap_or(u64::MAX);
    }
}

/// When the debt is paid: from then on the state says no more than none would.
const fn idle_from(state: RateState) -> u64 {
    state.at.saturating_add(state.debt.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_core::id::ToolId;
    use sentinel_core::rate::{RateLimit, RateScope};
    use uuid::Uuid;

    const SECOND: u64 = 1_000_000;

    fn demand(scope: RateScope, limit: u64, agent: &str) -> RateDemand {
        let limit = RateLimit::new(limit, Duration::from_secs(1), None).unwrap();
        let agent: AgentName = agent.parse().unwrap();
        let (tenant, tool) = (TenantId(Uuid::nil()), ToolId(Uuid::nil()));
        RateRule { scope, limit }.demand(tenant, tool, Some(&agent))
    }

    /// Three replicas and a limit of 30: what all of them grant in an instant is no more than 30.
    #[tokio::test]
    async fn replicas_that_share_nothing_grant_the_whole_together() {
        let replicas: Vec<_> = (0..3).map(|_| SharedRates::new(3)).collect();
        let demands = [demand(RateScope::Agent, 30, "a")];
        let mut granted = 0;
        for _ in 0..30 {
            for replica in &replicas {
                match replica.take(&demands).await.unwrap() {
                    RateVerdict::Granted => granted += 1,
                    RateVerdict::Limited { rule, .. } => assert_eq!(rule, demands[0].rule),
                }
            }
        }
        // A call more for each tenth of a second that this took.
        assert!((30..36).contains(&granted), "{granted} of 30");
        assert_eq!(replicas[0].take(&[]).await, Ok(RateVerdict::Granted));
    }

    #[tokio::test]
    async fn what_cannot_be_counted_is_not_granted() {
        let demands = [demand(RateScope::Agent, 30, "a")];
        assert_eq!(UncountedRates.take(&demands).await, Err(RateError::Uncounted));
        assert_eq!(UncountedRates.take(&[]).await, Ok(RateVerdict::Granted));
    }

    fn granted(rates: &LocalRates, demands: &[RateDemand], now: u64) -> bool {
        rates.take_at(demands, now).unwrap() == RateVerdict::Granted
    }

    #[test]
    fn all_limits_are_taken_from_or_none() {
        let rates = LocalRates::default();
        let (wide, narrow) = (demand(RateScope::Tenant, 3, "a"), demand(RateScope::Agent, 1, "a"));
        let both = [wide.clone(), narrow.clone()];
        assert!(granted(&rates, &both, 0));
        let limited =
            RateVerdict::Limited { rule: narrow.rule, retry_after: Duration::from_secs(1) };
        assert_eq!(rates.take_at(&both, 0), Ok(limited));
        assert!(granted(&rates, std::slice::from_ref(&wide), 0));
        assert!(granted(&rates, std::slice::from_ref(&wide), 0));
        assert!(!granted(&rates, &[wide], 0));
    }

    #[test]
    fn at_the_bound_a_new_subject_is_refused_until_another_is_idle() {
        let rates = LocalRates::bounded(2);
        let of = |agent| [demand(RateScope::Agent, 1, agent)];
        assert!(granted(&rates, &of("a"), 0));
        assert!(granted(&rates, &of("b"), SECOND / 2));
        assert_eq!(rates.take_at(&of("c"), SECOND / 2), Err(RateError::Full));
        assert!(!granted(&rates, &of("a"), SECOND / 2), "what is counted stays counted");
        assert!(granted(&rates, &of("c"), SECOND), "`a` is idle by now");
        assert_eq!(rates.take_at(&of("d"), SECOND), Err(RateError::Full));
    }

    #[test]
    fn what_is_idle_is_forgotten() {
        let rates = LocalRates::default();
        for index in 0..20_000_u64 {
            let agent = format!("agent-{index}");
            assert!(granted(&rates, &[demand(RateScope::Agent, 1, &agent)], index * SECOND));
        }
        let kept: usize = rates
            .shards
            .iter()
            .flat_map(|shard| {
                let shard = shard.lock().unwrap();
                shard.tenants.values().map(|subjects| subjects.states.len()).collect::<Vec<_>>()
            })
            .sum();
        assert!(kept <= SWEEP + 2, "{kept} subjects are kept");
    }
}

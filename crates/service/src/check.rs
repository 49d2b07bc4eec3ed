//! The one enforcement path. Whatever asks whether a call may happen asks [`Checker::check`].

use std::sync::Arc;
use std::time::Instant;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::clock::Clock;
use sentinel_core::commit::{Outcome, Pending};
use sentinel_core::control::ControlState;
use sentinel_core::decision::{ReasonCode, Subject, UsageSeen, Verdict, decide, precheck, resolve};
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::policy::{PolicyEngine, PolicyError, PolicyInput};
use sentinel_core::quota::{CounterKey, Window};
use sentinel_core::rate::RateDemand;
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::Tool;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::ServiceError;
use crate::attest::Attestor;
use crate::control::Control;
use crate::group::Group;
use crate::permit::{Permit, PermitSeal};
use crate::rate::{RateDecisions, RateGuard};
use crate::usage::UsageCache;

/// How often a check whose ground changed under it is decided anew before it is given up. Each
/// time needs another change of the same tool, tenant or key within milliseconds.
const ATTEMPTS: usize = 5;

/// Decides calls, durably.
#[derive(Debug)]
pub struct Checker {
    pub(crate) control: Arc<Control>,
    pub(crate) policy: Arc<dyn PolicyEngine>,
    pub(crate) usage: Arc<UsageCache>,
    pub(crate) rates: RateGuard,
    pub(crate) commits: Group<Pending, Outcome>,
    pub(crate) seal: PermitSeal,
    pub(crate) clock: Arc<dyn Clock>,
    /// One for each check under way: to refuse the rest at once keeps the wait of these short.
    pub(crate) places: Semaphore,
    pub(crate) attestor: Attestor,
}

/// A decision that is on disk.
#[derive(Debug)]
pub struct Checked {
    pub decision: Arc<DecisionRecord>,
    /// Present exactly when the decision allows.
    pub permit: Option<Permit>,
    /// The signed statement of the decision, where decisions are signed.
    pub manifest_id: Option<ManifestId>,
}

impl Checker {
    /// How calls with rate limits fared.
    #[must_use]
    pub fn rate_decisions(&self) -> RateDecisions {
        self.rates.counts.read()
    }

    /// Decides, counts and records one call; answers only when that is durable.
    ///
    /// # Errors
    /// When nothing could be recorded, or the call id was used for another call. An error never
    /// allows.
    pub async fn check(&self, request: CheckRequest) -> Result<Checked, ServiceError> {
        let arrived = Instant::now();
        let _place = self.places.try_acquire().map_err(|_| ServiceError::Overloaded)?;
        // What is decided anew takes from a rate limit once all the same.
        let mut taken = Vec::new();
        for _ in 0..ATTEMPTS {
            if request.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(ServiceError::DeadlineExceeded);
            }
            let pending = self.decide(&request, arrived, &mut taken).await;
            match self.commits.submit(pending).await? {
                Outcome::Recorded(decision) => return self.answer(decision, false).await,
                Outcome::Replayed(decision) => return self.answer(decision, true).await,
                Outcome::CallIdConflict => return Err(call_id_conflict()),
                Outcome::Superseded => {}
            }
        }
        Err(ServiceError::Overloaded)
    }

    async fn answer(
        &self,
        decision: Arc<DecisionRecord>,
        replayed: bool,
    ) -> Result<Checked, ServiceError> {
        let manifest_id = self.attestor.attest(&decision, replayed).await?;
        let permit = PermitSeal::permit(&decision);
        Ok(Checked { decision, permit, manifest_id })
    }

    /// Whether decisions can still be written.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.commits.is_running()
    }

    /// The permit as the token that goes over the wire.
    #[must_use]
    pub fn token(&self, permit: &Permit) -> String {
        self.seal.seal(permit)
    }

    async fn decide(
        &self,
        request: &CheckRequest,
        arrived: Instant,
        taken: &mut Vec<RateDemand>,
    ) -> Pending {
        let control = self.control.current();
        let subject = resolve(request, &control);
        let (id, now) = (DecisionId(Uuid::now_v7()), self.clock.now());
        let verdict = match precheck(request, &subject, &control) {
            Some(deny) => deny,
            None => match (&subject.tenant, &subject.tool) {
                (Some(tenant), Some(tool)) => {
                    let verdict = self.evaluate(request, &control, tenant, tool, (id, now)).await;
                    self.limit_rate(verdict, tool, &subject, taken).await
                }
                _ => decide(Err(PolicyError::Undefined), no_usage(request)),
            },
        };
        let counter = verdict.allow.then(|| counter_of(&subject, &verdict, now)).flatten();
        if verdict.allow && counter.is_none() {
            let failed =
                PolicyError::Failed("the quota's window is outside the calendar".to_owned());
            let deny = decide(Err(failed), no_usage(request));
            return pending(request, &control, subject, deny, None, (id, now, arrived));
        }
        pending(request, &control, subject, verdict, counter, (id, now, arrived))
    }

    /// Takes an allow from the rate limits that apply; the path without limits awaits nothing.
    async fn limit_rate(
        &self,
        verdict: Verdict,
        tool: &Tool,
        subject: &Subject,
        taken: &mut Vec<RateDemand>,
    ) -> Verdict {
        match self.rates.demands(&verdict, tool, subject.agent.as_ref(), taken) {
            Ok(demands) if demands.is_empty() => verdict,
            Ok(demands) => self.rates.take(verdict, demands, taken).await,
            Err(error) => RateGuard::malformed(verdict, error),
        }
    }

    async fn evaluate(
        &self,
        request: &CheckRequest,
        control: &ControlState,
        tenant: &Tenant,
        tool: &Arc<Tool>,
        (decision_id, now): (DecisionId, jiff::Timestamp),
    ) -> Verdict {
        let (window, counted) = match self.usage.of(tool.id, now) {
            Ok(known) => known,
            Err(error) => {
                return decide(Err(PolicyError::Failed(error.to_string())), no_usage(request));
            }
        };
        let usage = UsageSeen { counted, window, reported: request.usage };
        let input = PolicyInput {
            tenant: &tenant.slug,
            tool: &tool.name,
            action: &request.action,
            purpose: request.purpose.as_ref(),
            usage: usage.for_policy(),
            context: &request.context,
            agent: request.principal.agent().or(request.agent.as_ref()),
            arguments: request.arguments.value(),
            principal: &request.principal,
            tool_record: tool,
            time: now,
            state: control.policy(),
            decision_id,
        };
        let verdict = decide(self.policy.evaluate(input).await, usage);
        if let Some(quota) = verdict.quota {
            self.usage.state_window(tool.id, quota.window);
        }
        verdict
    }
}

const fn no_usage(request: &CheckRequest) -> UsageSeen {
    UsageSeen { counted: 0, window: Window::DAY, reported: request.usage }
}

fn counter_of(subject: &Subject, verdict: &Verdict, now: jiff::Timestamp) -> Option<CounterKey> {
    let tool = subject.tool.as_ref()?;
    let window = verdict.quota.map_or(Window::DAY, |quota| quota.window);
    let span = window.span(now).ok()?;
    Some(CounterKey { tenant_id: tool.tenant_id, tool_id: tool.id, window, span })
}

fn pending(
    request: &CheckRequest,
    control: &ControlState,
    subject: Subject,
    verdict: Verdict,
    counter: Option<CounterKey>,
    (id, now, arrived): (DecisionId, jiff::Timestamp, Instant),
) -> Pending {
    // A caller bound to another tenant leaves no trace in that tenant's records.
    let own = subject.tenant.as_ref().filter(|tenant| request.principal.may_access(tenant.id));
    let record = DecisionRecord {
        id,
        sequence: 0,
        epoch: control.epoch(),
        tenant: request.tenant.clone(),
        tenant_id: own.map(|tenant| tenant.id),
        tool: request.tool.clone(),
        tool_id: subject.tool.as_ref().map(|tool| tool.id),
        allow: verdict.allow,
        code: verdict.code,
        reason: verdict.reason,
        reasons: verdict.reasons,
        quota: verdict.quota,
        // An allow learns what remains when it is counted.
        quota_remaining: (verdict.code == ReasonCode::QuotaExceeded).then_some(0),
        policy_revision: verdict.revision,
        principal: request.principal.id(),
        agent: subject.agent.clone(),
        action: request.action.clone(),
        purpose: request.purpose.clone(),
        argument_hash: request.arguments.hash(),
        call_id: request.call_id.clone(),
        event_metadata: metadata(request, &verdict.obligations),
        created_at: now,
        duration_us: u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX),
    };
    let principal = request.principal.clone();
    let (epoch, deadline) = (control.epoch(), request.deadline);
    let policy = Arc::clone(control.policy());
    Pending { record, principal, subject, counter, epoch, policy, deadline }
}

fn metadata(
    request: &CheckRequest,
    obligations: &[sentinel_core::policy::Obligation],
) -> serde_json::Map<String, Value> {
    let mut metadata = serde_json::Map::new();
    metadata.insert("request_id".to_owned(), Value::from(&*request.request_id));
    if request.usage > 0 {
        metadata.insert("usage".to_owned(), Value::from(request.usage));
    }
    if !request.context.is_empty() {
        metadata.insert("context".to_owned(), Value::Object(request.context.clone()));
    }
    if !obligations.is_empty() {
        metadata.insert("obligations".to_owned(), json!(obligations));
    }
    metadata
}

fn call_id_conflict() -> ServiceError {
    ServiceError::conflict(
        "call_id_conflict",
        "the call id was used for another call in the last 24 hours; give each call its own",
    )
}

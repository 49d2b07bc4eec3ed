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
use sentinel_core::policy::{Obligation, PolicyError};
use sentinel_core::principal::Principal;
use sentinel_core::quota::{CounterKey, Window};
use sentinel_core::rate::RateDemand;
use sentinel_core::tool::Tool;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::ServiceError;
use crate::attest::Attestor;
use crate::control::Control;
use crate::group::Group;
use crate::judge::{Case, Judge};
use crate::permit::{Permit, PermitSeal};
use crate::rate::{RateDecisions, RateGuard};

/// How often a check whose ground changed under it is decided anew before it is given up. Each
/// time needs another change of the same tool, tenant or key within milliseconds.
pub(crate) const ATTEMPTS: usize = 5;

/// Decides calls, durably.
#[derive(Debug)]
pub struct Checker {
    pub(crate) control: Arc<Control>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) rates: RateGuard,
    pub(crate) commits: Group<Pending, Outcome>,
    pub(crate) seal: PermitSeal,
    pub(crate) clock: Arc<dyn Clock>,
    /// One for each check under way: to refuse the rest at once keeps the wait of these short.
    pub(crate) places: Semaphore,
    pub(crate) attestor: Attestor,
    /// Whether a call that names no agent is denied, by the configuration.
    pub(crate) require_agent: bool,
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
        // The earlier allow that the call repeats, once a commit has found it.
        let mut repeats = None;
        for _ in 0..ATTEMPTS {
            if request.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(ServiceError::DeadlineExceeded);
            }
            let pending = self.decide(&request, repeats.as_deref(), arrived, &mut taken).await;
            match self.commits.submit(pending).await? {
                Outcome::Recorded(decision) => return self.answer(decision, false).await,
                Outcome::Replayed(decision) => return self.answer(decision, true).await,
                Outcome::CallIdConflict => return Err(call_id_conflict()),
                Outcome::Repeats(earlier) => repeats = Some(earlier),
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
        repeats: Option<&DecisionRecord>,
        arrived: Instant,
        taken: &mut Vec<RateDemand>,
    ) -> Pending {
        let control = self.control.current();
        let subject = resolve(request, &control);
        let (id, now) = (DecisionId(Uuid::now_v7()), self.clock.now());
        let verdict = match precheck(request, &subject, &control, now) {
            Some(deny) => deny,
            None if self.require_agent && subject.agent.is_none() => {
                Verdict::agent_required("the configuration of this server")
            }
            None => match (&subject.tenant, &subject.tool) {
                (Some(tenant), Some(tool)) => {
                    let case = Case {
                        request,
                        control: &control,
                        tenant,
                        tool,
                        decision_id: id,
                        now,
                        counted: repeats,
                    };
                    let verdict = with_agent(self.judge.judge(&case).await, &subject);
                    self.limit_rate(verdict, tool, &subject, taken).await
                }
                _ => decide(Err(PolicyError::Undefined), no_usage(request)),
            },
        };
        let counter = verdict.allow.then(|| counter_of(&subject, &verdict, now)).flatten();
        let repeats = repeats.map(|earlier| earlier.id);
        if verdict.allow && counter.is_none() {
            let failed =
                PolicyError::Failed("the quota's window is outside the calendar".to_owned());
            let deny = decide(Err(failed), no_usage(request));
            let pending = pending(request, &control, subject, deny, None, (id, now, arrived));
            return Pending { repeats, ..pending };
        }
        let pending = pending(request, &control, subject, verdict, counter, (id, now, arrived));
        Pending { repeats, ..pending }
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
}

/// An allow whose policy demands that the agent is named, unless it is not.
pub(crate) fn with_agent(verdict: Verdict, subject: &Subject) -> Verdict {
    let demanded = verdict.obligations.iter().any(Obligation::is_require_agent);
    if verdict.allow && demanded && subject.agent.is_none() {
        let revision = verdict.revision;
        return Verdict { revision, ..Verdict::agent_required("the policy") };
    }
    verdict
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

pub(crate) fn pending(
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
    Pending { record, principal, subject, counter, epoch, policy, deadline, repeats: None }
}

/// Which of its owner's keys asked, where the principal is the owner.
pub(crate) const KEY: &str = "key";

fn metadata(
    request: &CheckRequest,
    obligations: &[sentinel_core::policy::Obligation],
) -> serde_json::Map<String, Value> {
    let mut metadata = serde_json::Map::new();
    metadata.insert("request_id".to_owned(), Value::from(&*request.request_id));
    if let Principal::Key(key) = &request.principal
        && key.owner.is_some()
    {
        metadata.insert(KEY.to_owned(), Value::from(key.id.to_string()));
    }
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
        "the call id was used for another call in the last 24 hours (with other arguments, context, \
         usage, action or purpose); give each call its own",
    )
}

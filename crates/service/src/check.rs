//! The one enforcement path: every question whether a call may happen goes to [`Checker::check`].

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::clock::Clock;
use sentinel_core::commit::{Outcome, Pending};
use sentinel_core::control::ControlState;
use sentinel_core::decision::{
    ReasonCode, Resolved, Subject, UsageSeen, Verdict, decide, precheck, resolve,
};
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::policy::{Obligation, PolicyError};
use sentinel_core::quota::{CounterKey, Window};
use sentinel_core::rate::RateDemand;
use sentinel_core::tool::Tool;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::ServiceError;
use crate::attest::Attestor;
use crate::control::Control;
use crate::group::Group;
use crate::ids::new_id;
use crate::judge::{Case, Judge};
use crate::permit::{Permit, PermitSeal};
use crate::rate::{RateDecisions, RateGuard};

/// How often a check is decided again because what it depends on changed, before it is given up.
/// Each time takes another change of the same tool, tenant or key within milliseconds.
pub(crate) const ATTEMPTS: u32 = 5;

/// Decides calls, durably.
#[derive(Debug)]
pub struct Checker {
    pub(crate) control: Arc<Control>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) rates: RateGuard,
    pub(crate) commits: Group<Box<Pending>, Outcome>,
    pub(crate) seal: PermitSeal,
    pub(crate) clock: Arc<dyn Clock>,
    /// One for each check under way. Refusing the rest at once keeps the wait of these short.
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

/// What a check would come to; see [`Checker::preview`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previewed {
    pub allow: bool,
    pub code: ReasonCode,
}

/// A call that a verdict is asked for, in one version of the control state.
#[derive(Clone, Copy)]
struct Question<'a> {
    control: &'a ControlState,
    subject: &'a Subject,
    id: DecisionId,
    now: Timestamp,
}

impl Checker {
    /// How calls with rate limits were decided.
    #[must_use]
    pub fn rate_decisions(&self) -> RateDecisions {
        self.rates.counts.read()
    }

    /// Decides, counts and records one call; returns only when that is durable.
    ///
    /// # Errors
    /// When nothing could be recorded, or the call id was used for another call. An error never
    /// allows.
    pub async fn check(&self, request: CheckRequest) -> Result<Checked, ServiceError> {
        let _place = self.places.try_acquire().map_err(|_| ServiceError::Overloaded)?;
        // A check that is decided again takes from a rate limit only once.
        let mut taken = Vec::new();
        // The earlier allow that the call repeats, once a commit has found it.
        let mut repeats = None;
        for _ in 0..ATTEMPTS {
            if request.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(ServiceError::DeadlineExceeded);
            }
            let pending = self.decide(&request, repeats.as_deref(), &mut taken).await;
            match self.commits.submit(pending).await? {
                Outcome::Recorded(decision) => return self.complete(decision, false).await,
                Outcome::Replayed(decision) => return self.complete(decision, true).await,
                Outcome::CallIdConflict => return Err(call_id_conflict()),
                Outcome::Repeats(earlier) => repeats = Some(earlier),
                Outcome::Superseded => {}
            }
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }

    async fn complete(
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
        taken: &mut Vec<RateDemand>,
    ) -> Box<Pending> {
        let control = self.control.current();
        let subject = resolve(request, &control);
        let now = self.clock.now();
        let id = DecisionId(new_id(now));
        let question = Question { control: &control, subject: &subject, id, now };
        let verdict = match self.verdict(request, &question, repeats).await {
            (verdict, Some(tool)) => self.limit_rate(verdict, &tool, &subject, taken).await,
            (verdict, None) => verdict,
        };
        let counter = verdict.allow.then(|| counter_of(&subject, &verdict, now)).flatten();
        let verdict = if verdict.allow && counter.is_none() {
            let why = "the quota's window is outside the calendar".to_owned();
            decide(Err(PolicyError::Failed(why)), no_usage(request))
        } else {
            verdict
        };
        let repeats = repeats.map(|earlier| earlier.id);
        let decided = Decided { id, at: now, subject, verdict, counter, repeats };
        Box::new(decided.pending(request, &control))
    }

    /// The verdict of the control state and of policy, before anything is counted; with the tool
    /// when policy was asked.
    async fn verdict(
        &self,
        request: &CheckRequest,
        question: &Question<'_>,
        repeats: Option<&DecisionRecord>,
    ) -> (Verdict, Option<Arc<Tool>>) {
        let Question { control, subject, id, now } = *question;
        match precheck(request, subject, control, now) {
            ControlFlow::Break(deny) => (deny, None),
            ControlFlow::Continue(_) if self.require_agent && subject.agent.is_none() => {
                (Verdict::agent_required("the configuration of this server"), None)
            }
            ControlFlow::Continue(Resolved { tenant, tool }) => {
                let case =
                    Case { request, control, tenant, tool, decision_id: id, now, counted: repeats };
                let verdict = with_agent(self.judge.judge(&case).await, subject);
                (verdict, Some(Arc::clone(tool)))
            }
        }
    }

    /// What a check of this call would come to by the control state and policy, for lists: nothing
    /// is counted or recorded, no permit is made, and rate limits are not looked at. It entitles to
    /// nothing.
    pub async fn preview(&self, request: &CheckRequest) -> Previewed {
        let control = self.control.current();
        let subject = resolve(request, &control);
        let now = self.clock.now();
        let id = DecisionId(new_id(now));
        let question = Question { control: &control, subject: &subject, id, now };
        let (verdict, _) = self.verdict(request, &question, None).await;
        Previewed { allow: verdict.allow, code: verdict.code }
    }

    /// Takes an allow from the rate limits that apply. Without limits it awaits nothing.
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

/// Turns an allow into a deny when the policy requires an agent and the call names none.
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

fn counter_of(subject: &Subject, verdict: &Verdict, now: Timestamp) -> Option<CounterKey> {
    let tool = subject.tool.as_ref()?;
    let window = verdict.quota.map_or(Window::DAY, |quota| quota.window);
    let span = window.span(now).ok()?;
    Some(CounterKey { tenant_id: tool.tenant_id, tool_id: tool.id, window, span })
}

/// A call that is decided, and not yet counted and recorded.
pub(crate) struct Decided {
    pub(crate) id: DecisionId,
    pub(crate) at: Timestamp,
    pub(crate) subject: Subject,
    pub(crate) verdict: Verdict,
    /// The counter that an allow takes from.
    pub(crate) counter: Option<CounterKey>,
    /// The earlier allow that it repeats.
    pub(crate) repeats: Option<DecisionId>,
}

impl Decided {
    /// The decision as it goes into a commit.
    pub(crate) fn pending(self, request: &CheckRequest, control: &ControlState) -> Pending {
        let Self { id, at, subject, verdict, counter, repeats } = self;
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
            // What remains for an allow is known once it is counted.
            quota_remaining: (verdict.code == ReasonCode::QuotaExceeded).then_some(0),
            policy_revision: verdict.revision,
            principal: request.principal.id(),
            agent: subject.agent.clone(),
            action: request.action.clone(),
            purpose: request.purpose.clone(),
            argument_hash: request.arguments.hash(),
            call_id: request.call_id.clone(),
            event_metadata: metadata(request, &verdict.obligations),
            created_at: at,
            duration_us: u64::try_from(request.arrived.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let principal = request.principal.clone();
        let (epoch, deadline) = (control.epoch(), request.deadline);
        let policy = Arc::clone(control.policy());
        Pending { record, principal, subject, counter, epoch, policy, deadline, repeats }
    }
}

/// Which of its owner's keys asked, where the principal is the owner.
pub(crate) const KEY: &str = "key";

fn metadata(request: &CheckRequest, obligations: &[Obligation]) -> serde_json::Map<String, Value> {
    let mut metadata = serde_json::Map::new();
    metadata.insert("request_id".to_owned(), Value::from(&*request.request_id));
    if let Some(key) = request.principal.key().filter(|key| key.owner.is_some()) {
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

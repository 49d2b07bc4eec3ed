//! The authority of a gateway within the server: the use cases of this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::ManifestId;
use sentinel_core::name::{Action, AgentName, TenantSlug, UpstreamName};
use sentinel_core::principal::Principal;
use sentinel_ingress::FrontDoor;
use sentinel_ingress::ask::ask_to_forward;
use sentinel_service::ServiceError;
use sentinel_service::calls::CallInFlight;
use sentinel_service::provenance::SignRequest;
use sentinel_service::upstreams::{ToolStanding, Viewer};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Allowed, Authority, Denied, Earlier, Grant, INVALID_CALL, InFlight, Outcome, Question, Ruling,
    Standing, Started, Unsettled, Withdrawal, Withdrawn,
};
use sentinel_mcp_protocol::jsonrpc::Object;

/// Time that a decision gets.
const DECIDING: Duration = Duration::from_secs(10);
/// Time that the record of an outcome gets.
const SETTLING: Duration = Duration::from_secs(10);
/// After what time a caller may try again when there was too much to do.
const BUSY: Duration = Duration::from_secs(1);

/// Who a client speaks for.
#[derive(Debug, Clone)]
pub struct Speaker {
    pub principal: Principal,
    pub tenant: TenantSlug,
    /// The agent that calls. A principal that is bound to one may leave it out.
    pub agent: Option<AgentName>,
    /// Identifies the request, or the session, in logs and records.
    pub request_id: Arc<str>,
}

/// Decides by the use cases of this process, for one speaker.
#[derive(Debug)]
pub struct Local {
    door: Arc<FrontDoor>,
    speaker: Speaker,
    identity: String,
}

impl Local {
    #[must_use]
    pub fn new(door: Arc<FrontDoor>, speaker: Speaker) -> Self {
        let agent = speaker.agent.as_ref().or(speaker.principal.agent());
        let agent = agent.map(|agent| agent.as_str().to_ascii_lowercase()).unwrap_or_default();
        let identity = format!("{}\n{}\n{agent}", speaker.tenant, speaker.principal.id());
        Self { door, speaker, identity }
    }

    fn request(&self, question: &Question) -> Result<CheckRequest, Denied> {
        let Speaker { principal, tenant, agent, request_id } = &self.speaker;
        let arrived = Instant::now();
        let purpose = question.purpose.as_deref();
        Ok(CheckRequest {
            principal: principal.clone(),
            tenant: tenant.clone(),
            tool: question.tool.parse().map_err(|_| malformed("the name of the tool"))?,
            action: action(question.action)?,
            purpose: purpose.map(str::parse).transpose().map_err(|_| malformed("the purpose"))?,
            usage: 0,
            context: question.context.clone(),
            agent: agent.clone(),
            arguments: question.arguments.clone(),
            // One would make the check repeat an allow, whose permit is used up by then.
            call_id: None,
            request_id: Arc::clone(request_id),
            arrived,
            deadline: arrived.checked_add(DECIDING),
        })
    }

    /// Goes on with an earlier allow; `None` when it has to be decided as a new call, which one is
    /// that went on from there before.
    async fn resume(&self, question: &Question) -> Option<Allowed> {
        let Earlier { decision, round } = question.resumes?;
        let (services, principal) = (self.door.services(), self.speaker.principal.clone());
        let resumed = services.resume_call(principal, decision, &question.arguments, round).await;
        let call = resumed.ok()?;
        Some(Allowed { decision, record: None, grant: granted(call), quota_remaining: None })
    }

    async fn decide_new(&self, question: &Question) -> Result<Allowed, Denied> {
        let request = self.request(question)?;
        let checked = ask_to_forward(&self.door, request).await.map_err(|error| failed(&error))?;
        let decision = Arc::clone(&checked.decision);
        if !decision.allow {
            return Err(self.denied(&decision));
        }
        let opened = self.door.services().open_call(self.speaker.principal.clone(), checked);
        let of_decision = |denied: Denied| Denied { decision: Some(decision.id), ..denied };
        match opened {
            Ok(Some(call)) => Ok(Allowed {
                decision: decision.id,
                grant: granted(call),
                quota_remaining: decision.quota_remaining,
                record: Some(decision),
            }),
            // An allow without a permit is a deny, since the permit is what proves it.
            Ok(None) => Err(of_decision(malformed("the decision"))),
            Err(error) => Err(of_decision(failed(&error))),
        }
    }

    fn denied(&self, decision: &DecisionRecord) -> Denied {
        let now = self.door.services().clock.now();
        Denied {
            code: decision.code.as_str().to_owned(),
            reason: decision.reason.clone(),
            decision: Some(decision.id),
            retry_after: retry_after(decision, now),
        }
    }
}

#[async_trait]
impl Authority for Local {
    fn principal(&self) -> &str {
        &self.identity
    }

    async fn decide(&self, question: Question) -> Ruling {
        if let Some(allowed) = self.resume(&question).await {
            return Ruling::Allowed(allowed);
        }
        match self.decide_new(&question).await {
            Ok(allowed) => Ruling::Allowed(allowed),
            Err(denied) => Ruling::Denied(denied),
        }
    }

    async fn settle(&self, outcome: Outcome) -> Result<Option<ManifestId>, String> {
        let tool = outcome.tool.parse().map_err(|_| "the tool has no valid name".to_owned())?;
        let action = action(outcome.action).map_err(|denied| denied.reason)?;
        let request = SignRequest {
            tenant: self.speaker.tenant.clone(),
            tool,
            action,
            purpose: None,
            agent: self.speaker.agent.clone(),
            payload: outcome.result.unwrap_or_default(),
            keep_payload: false,
            decision_id: Some(outcome.decision),
            decision: outcome.record,
            idempotency_key: None,
            metadata: settled(outcome.ended.as_str(), &outcome.call_id),
        };
        let provenance = &self.door.services().provenance;
        let signing = provenance.sign(&self.speaker.principal, request);
        match tokio::time::timeout(SETTLING, signing).await {
            Ok(Ok(signed)) => Ok(Some(signed.manifest.id)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the outcome was not signed in time".to_owned()),
        }
    }

    async fn standing(
        &self,
        upstream: &str,
        tools: &[Arc<Object>],
    ) -> Result<Vec<Standing>, Unsettled> {
        let Speaker { principal, tenant, agent, request_id } = &self.speaker;
        let upstream: UpstreamName = upstream.parse().map_err(|_| "no such upstream".to_owned())?;
        let viewer = Viewer {
            principal: principal.clone(),
            agent: agent.clone(),
            purpose: None,
            context: Object::new(),
            request_id: Arc::clone(request_id),
        };
        let upstreams = &self.door.services().upstreams;
        let standing = upstreams.standing(&viewer, tenant, &upstream, tools).await;
        let standing = standing.map_err(|error| error.code().to_owned())?;
        let of = |tool: ToolStanding| Standing {
            name: tool.name.as_str().to_owned(),
            visible: tool.visible,
            quarantined: tool.quarantined.map(str::to_owned),
        };
        Ok(standing.into_iter().map(of).collect())
    }

    fn shown_nothing(&self, hidden: usize) {
        let Speaker { principal, tenant, agent, .. } = &self.speaker;
        let upstreams = &self.door.services().upstreams;
        upstreams.shown_nothing(principal, agent.as_ref(), tenant, None, hidden);
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.door.services().events.changes()
    }
}

/// What the manifest of an outcome says of the call, in public.
pub(super) fn settled(ended: &str, call_id: &str) -> Object {
    let metadata = json!({ "outcome": ended, "call_id": call_id });
    match metadata {
        Value::Object(metadata) => metadata,
        _ => Object::new(),
    }
}

/// A call that this process follows.
#[derive(Debug)]
struct Followed(CallInFlight);

#[async_trait]
impl InFlight for Followed {
    async fn start(&self) -> Result<Started, Withdrawn> {
        self.0.start().await.map(Started::holding)
    }

    fn withdrawal(&self) -> Withdrawal {
        self.0.withdrawal()
    }
}

fn granted(call: CallInFlight) -> Grant {
    Grant::new(Box::new(Followed(call)))
}

fn action(text: &str) -> Result<Action, Denied> {
    text.parse().map_err(|_| malformed("the action"))
}

/// When what is used up is available again.
fn retry_after(decision: &DecisionRecord, now: Timestamp) -> Option<Duration> {
    if decision.code != ReasonCode::QuotaExceeded {
        return super::retry_after(decision.code.as_str(), &decision.reason);
    }
    let span = decision.quota?.window.span(now).ok()?;
    Duration::try_from(span.end.duration_since(now)).ok()
}

/// The deny of a call that cannot be put as a question: it is not recorded.
fn malformed(what: &str) -> Denied {
    Denied {
        code: INVALID_CALL.to_owned(),
        reason: format!("{what} is not valid"),
        decision: None,
        retry_after: None,
    }
}

/// The deny because no decision could be made.
fn failed(error: &ServiceError) -> Denied {
    let busy = matches!(error, ServiceError::Overloaded | ServiceError::GaveUp { .. });
    Denied {
        code: error.code().to_owned(),
        reason: error.to_string(),
        decision: None,
        retry_after: busy.then_some(BUSY),
    }
}

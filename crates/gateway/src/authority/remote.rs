//! The authority of a gateway on another machine, or in another process: a control plane that is
//! asked over its HTTP interface. While it cannot be reached, every call is denied.
//!
//! Each call redeems its permit right before it is sent, which the control plane refuses once a
//! kill covers it; so no call starts after a kill, whether this hears of the kill or not. A call that
//! goes on after its client was asked something has no permit to redeem: the control plane is asked
//! in its place, at the same point, whether it may go on. A stream of events, opened again whenever
//! it breaks, brings kills here to end calls that are under way.

mod doubt;
mod flights;
mod hearing;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_api::{
    CheckRequest, RedeemRequest, ResumeRequest, Secret, SignRequest, StandingRequest,
};
use sentinel_client::{Client, Error};
use sentinel_core::id::{DecisionId, ManifestId, ToolId};
use sentinel_core::name::{AgentName, NameError, TenantSlug};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::local::settled;
use super::{
    Allowed, Authority, Denied, Earlier, Grant, INVALID_CALL, InFlight, Outcome, Question, Ruling,
    Standing, Started, Unsettled, Withdrawal, Withdrawn, retry_after,
};
use flights::{Flight, Flights};
use sentinel_mcp_protocol::jsonrpc::Object;

/// Time that the control plane gets for a decision, a redemption or the record of an outcome.
const PATIENCE: Duration = Duration::from_secs(10);
/// Code of whatever cannot be decided because the control plane does not respond.
pub const UNREACHABLE: &str = "control_plane_unavailable";
/// Why a call is denied then, as clients read it.
const AWAY: &str = "the control plane does not respond";

/// Decides by a control plane that is asked over HTTP.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    tenant: TenantSlug,
    agent: Option<AgentName>,
    identity: String,
    flights: Arc<Flights>,
    changes: watch::Sender<u64>,
    hearing: JoinHandle<()>,
}

impl Remote {
    /// Asks the control plane of `client` for one agent of a tenant, and listens to its events
    /// until this is dropped. Call it within a tokio runtime.
    #[must_use]
    pub fn new(client: Client, tenant: TenantSlug, agent: Option<AgentName>) -> Self {
        let name = agent.as_ref().map(|agent| agent.as_str().to_ascii_lowercase());
        let identity = format!("{tenant}\n{}\n{}", client.url(), name.unwrap_or_default());
        let flights = Arc::new(Flights::new(tenant.clone(), agent.clone()));
        let changes = watch::Sender::new(0);
        let hearing = hearing::listen(client.clone(), Arc::clone(&flights), changes.clone());
        let hearing = tokio::spawn(hearing);
        Self { client, tenant, agent, identity, flights, changes, hearing }
    }

    fn request(&self, question: &Question) -> Result<CheckRequest, Denied> {
        let tool = question.tool.parse().map_err(|_| malformed("the name of the tool"))?;
        let action = question.action.parse().map_err(|_| malformed("the action"))?;
        let purpose = question.purpose.as_deref().map(str::parse).transpose();
        let context = (!question.context.is_empty()).then(|| question.context.clone());
        Ok(CheckRequest {
            purpose: purpose.map_err(|_| malformed("the purpose"))?,
            context,
            agent: self.agent.clone(),
            arguments: Some(question.arguments.value().clone()),
            ..CheckRequest::new(self.tenant.clone(), tool, action)
        })
    }

    /// The call of a decision, as the control plane is asked about it.
    fn call(question: &Question, decision: DecisionId) -> Result<Arc<ResumeRequest>, Denied> {
        Ok(Arc::new(ResumeRequest {
            decision_id: decision,
            tool_name: question.tool.parse().map_err(|_| malformed("the name of the tool"))?,
            action: question.action.parse().map_err(|_| malformed("the action"))?,
            round: None,
            arguments: Some(question.arguments.value().clone()),
        }))
    }

    /// Goes on with an earlier allow; `None` when it has to be decided as a new call, which is only
    /// stricter: by a control plane of an earlier version, for example.
    async fn resume(&self, question: &Question) -> Option<Allowed> {
        let Earlier { decision, round } = question.resumes?;
        let call = Self::call(question, decision).ok()?;
        within(self.client.resume(&call)).await.ok()?;
        // Without a round nothing is to be sent, and the grant does not let it.
        let grant = self.grant(call, round.map(Proof::Resumed));
        Some(Allowed { decision, record: None, grant, quota_remaining: None })
    }

    fn grant(&self, call: Arc<ResumeRequest>, proof: Option<Proof>) -> Grant {
        let flight = self.flights.open(Arc::clone(&call));
        let (client, proof) = (self.client.clone(), Mutex::new(proof));
        Grant::new(Box::new(Permitted { client, proof, call, flight }))
    }

    async fn ask(&self, question: Question) -> Result<Allowed, Denied> {
        let request = self.request(&question)?;
        let answer = within(self.client.check(&request)).await.map_err(|error| failed(&error))?;
        let decision = answer.decision_id;
        if !answer.allow {
            let (code, reason) = (answer.code.as_str().to_owned(), answer.reason.into_owned());
            let retry_after = retry_after(&code, &reason);
            return Err(Denied { code, reason, decision: Some(decision), retry_after });
        }
        // An allow that cannot be redeemed proves nothing.
        let (Some(permit), Some(tool_id)) = (answer.permit, answer.tool_id) else {
            return Err(Denied { decision: Some(decision), ..malformed("the permit") });
        };
        let proof = Proof::Permit(permit, tool_id);
        let grant = self.grant(Self::call(&question, decision)?, Some(proof));
        Ok(Allowed { decision, record: None, grant, quota_remaining: answer.quota_remaining })
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

#[async_trait]
impl Authority for Remote {
    fn principal(&self) -> &str {
        &self.identity
    }

    async fn decide(&self, question: Question) -> Ruling {
        if let Some(allowed) = self.resume(&question).await {
            return Ruling::Allowed(allowed);
        }
        match self.ask(question).await {
            Ok(allowed) => Ruling::Allowed(allowed),
            Err(denied) => Ruling::Denied(denied),
        }
    }

    async fn settle(&self, outcome: Outcome) -> Result<Option<ManifestId>, String> {
        let invalid = |what: &str| format!("{what} of the call is not valid");
        let payload = outcome.result.map_or_else(|| Ok("null".to_owned()), String::from_utf8);
        let payload = payload.ok().and_then(|text| RawValue::from_string(text).ok());
        let request = SignRequest {
            agent: self.agent.clone(),
            decision_id: Some(outcome.decision),
            metadata: Some(settled(outcome.ended.as_str(), &outcome.call_id)),
            ..SignRequest::new(
                self.tenant.clone(),
                outcome.tool.parse().map_err(|_| invalid("the tool"))?,
                outcome.action.parse().map_err(|_| invalid("the action"))?,
                payload.ok_or_else(|| invalid("the result"))?,
            )
        };
        let signed = within(self.client.sign(&request)).await;
        signed.map(|signed| Some(signed.manifest_id)).map_err(|error| failed(&error).reason)
    }

    async fn standing(
        &self,
        upstream: &str,
        tools: &[Arc<Object>],
    ) -> Result<Vec<Standing>, Unsettled> {
        let name = upstream.parse().map_err(|error: NameError| error.to_string())?;
        let request = StandingRequest {
            agent: self.agent.clone(),
            purpose: None,
            context: None,
            tools: tools.to_vec(),
        };
        let asked = within(self.client.standing(&self.tenant, &name, &request)).await;
        let unsettled = |lack| {
            let Denied { code, reason, .. } = failed(&lack);
            Unsettled::of(&code, reason)
        };
        let standings = asked.map_err(unsettled)?.tools.into_iter();
        let standing = |tool: sentinel_api::ToolStanding| Standing {
            name: tool.name.to_string(),
            visible: tool.visible,
            quarantined: tool.quarantined,
        };
        Ok(standings.map(standing).collect())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// A call that the control plane allowed.
#[derive(Debug)]
struct Permitted {
    client: Client,
    /// Taken when the call starts.
    proof: Mutex<Option<Proof>>,
    call: Arc<ResumeRequest>,
    flight: Flight,
}

/// What lets a call start.
#[derive(Debug)]
enum Proof {
    Permit(Secret<'static>, ToolId),
    /// The permit was redeemed when the call was first sent; this is the time it is sent again.
    Resumed(NonZeroU32),
}

impl Permitted {
    /// Has the control plane say, right before the call is sent, that it may be.
    async fn present(&self, proof: Proof) -> Result<(), Lack> {
        match proof {
            Proof::Permit(permit, tool_id) => {
                let arguments = self.call.arguments.clone();
                let request = RedeemRequest { permit, tool_id, arguments };
                within(self.client.redeem(&request)).await.map(drop)
            }
            Proof::Resumed(round) => {
                let request = ResumeRequest { round: Some(round), ..(*self.call).clone() };
                within(self.client.resume(&request)).await.map(drop)
            }
        }
    }
}

#[async_trait]
impl InFlight for Permitted {
    async fn start(&self) -> Result<Started, Withdrawn> {
        let withdrawal = self.flight.withdrawal();
        let proof = self.proof.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(proof) = proof else {
            return Err(withdrawn("permit_used", "the call was sent before"));
        };
        if let Err(lack) = self.present(proof).await {
            let Denied { code, reason, .. } = failed(&lack);
            let why = withdrawn(&code, &reason);
            withdrawal.withdraw(why.clone());
            return Err(why);
        }
        // A kill may have come in while the permit was on its way.
        withdrawal.get().map_or_else(|| Ok(Started::free()), |why| Err(why.clone()))
    }

    fn withdrawal(&self) -> Withdrawal {
        self.flight.withdrawal()
    }
}

/// Why the control plane did nothing.
enum Lack {
    Late,
    Error(Error),
}

async fn within<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Lack> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(result) => result.map_err(Lack::Error),
        Err(_) => Err(Lack::Late),
    }
}

/// The deny of a call whose check failed with `error`.
#[must_use]
pub fn denied(error: Error) -> Denied {
    failed(&Lack::Error(error))
}

/// The deny because nothing was decided, or what was recorded of one that the control plane tells
/// as an error. Where it is, and what its errors say of it, stays out.
fn failed(lack: &Lack) -> Denied {
    refusal(lack).unwrap_or_else(|| Denied {
        code: UNREACHABLE.to_owned(),
        reason: AWAY.to_owned(),
        decision: None,
        retry_after: None,
    })
}

/// What the control plane refused; `None` when it did not respond as it should.
fn refusal(lack: &Lack) -> Option<Denied> {
    let problem = match lack {
        Lack::Error(Error::Refused(problem)) if problem.status < 500 => problem,
        Lack::Error(_) | Lack::Late => return None,
    };
    Some(Denied {
        code: problem.code.clone()?,
        reason: problem.detail.clone(),
        decision: problem.decision_id,
        retry_after: problem.retry_after,
    })
}

fn withdrawn(code: &str, reason: &str) -> Withdrawn {
    Withdrawn { code: code.to_owned().into(), reason: reason.to_owned() }
}

fn malformed(what: &str) -> Denied {
    Denied {
        code: INVALID_CALL.to_owned(),
        reason: format!("{what} is not valid"),
        decision: None,
        retry_after: None,
    }
}

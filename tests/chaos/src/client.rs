//! A client of the replicas, which notes every request and what came of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_client::api::{
    CheckRequest, KillRequest, KillTarget, RedeemRequest, RegisterRequest, SignRequest, Tool,
};
use sentinel_client::{ApiKey, Client as Api, Error};
use sentinel_core::id::{DecisionId, ToolId};
use uuid::Uuid;

use crate::fleet::Fleet;
use crate::observation::{Answered, Asked, Call, Journal, Observation, Scope};
use crate::world::{ACTION, PURPOSE};

/// Sends requests to the replicas.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    id: u16,
    replicas: Vec<Api>,
    fleet: Arc<Fleet>,
    journal: Arc<Journal>,
}

/// What came of a request, for the task that sent it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) answer: Result<Answered, &'static str>,
    pub(crate) permit: Option<String>,
}

impl Seen {
    pub(crate) fn status(&self) -> Option<u16> {
        self.answer.as_ref().ok().map(|answered| answered.status)
    }

    pub(crate) fn allows(&self) -> bool {
        self.answer.as_ref().is_ok_and(|answered| answered.allow == Some(true))
    }
}

impl Client {
    pub(crate) fn new(
        id: u16,
        fleet: &Arc<Fleet>,
        key: &str,
        timeout: Duration,
        journal: &Arc<Journal>,
    ) -> Result<Self> {
        let api = |replica: usize| {
            let url: url::Url = fleet.url(replica).context("no such replica")?.parse()?;
            let key = ApiKey::given(key, &url);
            anyhow::Ok(Api::builder(url).key(key).timeout(timeout).build()?)
        };
        let replicas = (0..fleet.len()).map(api).collect::<Result<_>>()?;
        let (fleet, journal) = (Arc::clone(fleet), Arc::clone(journal));
        Ok(Self { id, replicas, fleet, journal })
    }

    pub(crate) fn replicas(&self) -> usize {
        self.fleet.len()
    }

    pub(crate) async fn check(&self, replica: usize, call: Call) -> Result<Seen> {
        let (tenant, tool) = (call.tenant.parse()?, call.tool.parse()?);
        let request = CheckRequest {
            purpose: Some(PURPOSE.parse()?),
            agent: call.agent.map(str::parse).transpose()?,
            call_id: call.call_id.as_deref().map(str::parse).transpose()?,
            ..CheckRequest::new(tenant, tool, ACTION.parse()?)
        };
        let sending = self.send(replica, Asked::Check(call));
        let answer = sending.api()?.check(&request).await;
        let permit = answer.as_ref().ok().and_then(|answer| answer.permit.as_ref());
        let permit = permit.map(|permit| permit.expose().to_owned());
        Ok(Seen { permit, ..sending.done(answer.map(Answered::from)) })
    }

    pub(crate) async fn kill(&self, replica: usize, scope: Scope) -> Result<Seen> {
        let request = KillRequest::new(target(scope)?, "chaos".parse()?);
        let sending = self.send(replica, Asked::Kill(scope));
        let answer = sending.api()?.kill(&request).await;
        Ok(sending.done(answer.map(Answered::from)))
    }

    pub(crate) async fn restore(&self, replica: usize, scope: Scope) -> Result<Seen> {
        let target = target(scope)?;
        let sending = self.send(replica, Asked::Restore(scope));
        let answer = sending.api()?.restore(&target).await;
        Ok(sending.done(answer.map(Answered::from)))
    }

    pub(crate) async fn sign(&self, replica: usize, call: &Call, decision: Uuid) -> Result<Seen> {
        let (tenant, tool) = (call.tenant.parse()?, call.tool.parse()?);
        let payload = serde_json::value::to_raw_value(&serde_json::json!({"outcome": "done"}))?;
        let request = SignRequest {
            purpose: Some(PURPOSE.parse()?),
            decision_id: Some(DecisionId(decision)),
            ..SignRequest::new(tenant, tool, ACTION.parse()?, payload)
        };
        let sending = self.send(replica, Asked::Sign { tool: call.tool, decision });
        let answer = sending.api()?.sign(&request).await;
        Ok(sending.done(answer.map(Answered::from)))
    }

    pub(crate) async fn redeem(
        &self,
        replica: usize,
        permit: &str,
        tool_id: ToolId,
        decision: Uuid,
    ) -> Result<Seen> {
        let request = RedeemRequest { permit: permit.into(), tool_id, arguments: None };
        let sending = self.send(replica, Asked::Redeem { decision });
        let answer = sending.api()?.redeem(&request).await;
        Ok(sending.done(answer.map(Answered::from)))
    }

    /// Registers a tool: a request that is not part of the load.
    pub(crate) async fn register(&self, request: &RegisterRequest) -> Result<Tool> {
        Ok(self.replicas.first().context("no replicas")?.register(request).await?)
    }

    fn send(&self, wanted: usize, asked: Asked) -> Sending<'_> {
        let replica = self.fleet.route(wanted);
        Sending { client: self, replica, asked, sent: self.journal.now() }
    }
}

/// A request that is under way.
struct Sending<'a> {
    client: &'a Client,
    replica: usize,
    asked: Asked,
    sent: u64,
}

impl Sending<'_> {
    fn api(&self) -> Result<&Api> {
        self.client.replicas.get(self.replica).context("no such replica")
    }

    /// Notes what came of it.
    fn done(self, answer: Result<Answered, Error>) -> Seen {
        let ended = self.client.journal.now();
        let answer = match answer {
            Ok(answered) => Ok(answered),
            Err(error) => answered(&error, &self.asked),
        };
        self.client.journal.observed(Observation {
            client: self.client.id,
            replica: u8::try_from(self.replica).unwrap_or(u8::MAX),
            sent: self.sent,
            ended,
            asked: self.asked,
            answer: answer.clone(),
        });
        Seen { answer, permit: None }
    }
}

/// What an error says of the answer, or why there is none.
fn answered(error: &Error, asked: &Asked) -> Result<Answered, &'static str> {
    match error {
        Error::Refused(problem) => Ok(Answered {
            status: problem.status,
            allow: matches!(asked, Asked::Check(_)).then_some(false),
            code: problem.code.as_deref().unwrap_or_default().into(),
            decision: problem.decision_id.map(|id| id.0),
            ..Answered::default()
        }),
        Error::Malformed { .. } => Ok(Answered::malformed()),
        Error::TimedOut { .. } => Err("timed out"),
        Error::Unreachable { connected: false, .. } => Err("not connected"),
        // An answer that breaks off acknowledges nothing.
        _ => Err("the connection broke"),
    }
}

fn target(scope: Scope) -> Result<KillTarget> {
    let none = KillTarget::default();
    Ok(match scope {
        Scope::Global => KillTarget::global(),
        Scope::Tenant(tenant) => KillTarget { tenant_slug: Some(tenant.parse()?), ..none },
        Scope::Tool(tenant, tool) => KillTarget {
            tenant_slug: Some(tenant.parse()?),
            tool_name: Some(tool.parse()?),
            ..none
        },
        Scope::Agent(agent) => KillTarget { agent: Some(agent.parse()?), ..none },
        Scope::TenantAgent(tenant, agent) => {
            KillTarget { tenant_slug: Some(tenant.parse()?), agent: Some(agent.parse()?), ..none }
        }
    })
}

//! What the clients saw: each request with its start, its end and its answer, on one clock.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sentinel_client::api::{CheckAnswer, KillAnswer, RedeemAnswer, RestoreAnswer, SignAnswer};
use uuid::Uuid;

/// Microseconds since the run began.
pub(crate) type Micros = u64;

/// What a kill covers, by the names that clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Global,
    Tenant(&'static str),
    Tool(&'static str, &'static str),
    Agent(&'static str),
    TenantAgent(&'static str, &'static str),
}

impl Scope {
    pub(crate) fn covers(self, call: &Call) -> bool {
        match self {
            Self::Global => true,
            Self::Tenant(tenant) => tenant == call.tenant,
            Self::Tool(tenant, tool) => tenant == call.tenant && tool == call.tool,
            Self::Agent(agent) => call.agent == Some(agent),
            Self::TenantAgent(tenant, agent) => tenant == call.tenant && call.agent == Some(agent),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("everything"),
            Self::Tenant(tenant) => write!(f, "tenant {tenant}"),
            Self::Tool(tenant, tool) => write!(f, "tool {tenant}/{tool}"),
            Self::Agent(agent) => write!(f, "agent {agent}"),
            Self::TenantAgent(tenant, agent) => write!(f, "agent {agent} of tenant {tenant}"),
        }
    }
}

/// A call that a check asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) tenant: &'static str,
    pub(crate) tool: &'static str,
    pub(crate) agent: Option<&'static str>,
    pub(crate) call_id: Option<Box<str>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Check(Call),
    Kill(Scope),
    Restore(Scope),
    Sign { tool: &'static str, decision: Uuid },
    Redeem { decision: Uuid },
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) allow: Option<bool>,
    pub(crate) code: Box<str>,
    pub(crate) decision: Option<Uuid>,
    /// The kill made, or those ended.
    pub(crate) kills: Vec<Uuid>,
    pub(crate) epoch: Option<u64>,
    pub(crate) manifest: Option<Box<Signed>>,
}

/// A manifest as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) id: Uuid,
    pub(crate) signature: String,
    pub(crate) payload_hash: String,
}

impl Answered {
    /// The code of an answer of 200 or 201 that is not what the interface promises.
    pub(crate) const MALFORMED: &'static str = "malformed";

    pub(crate) fn malformed() -> Self {
        Self { status: 200, code: Self::MALFORMED.into(), ..Self::default() }
    }
}

impl From<CheckAnswer<'_>> for Answered {
    fn from(answer: CheckAnswer<'_>) -> Self {
        Self {
            status: 200,
            allow: Some(answer.allow),
            code: answer.code.as_str().into(),
            decision: Some(answer.decision_id.0),
            ..Self::default()
        }
    }
}

impl From<KillAnswer> for Answered {
    fn from(answer: KillAnswer) -> Self {
        let kills = answer.kills.iter().map(|id| id.0).collect();
        Self { status: 200, kills, epoch: Some(answer.epoch.0), ..Self::default() }
    }
}

impl From<RestoreAnswer> for Answered {
    fn from(answer: RestoreAnswer) -> Self {
        let kills = answer.kills.iter().map(|id| id.0).collect();
        Self { status: 200, kills, epoch: Some(answer.epoch.0), ..Self::default() }
    }
}

impl From<SignAnswer> for Answered {
    fn from(answer: SignAnswer) -> Self {
        let SignAnswer { manifest_id, signature, payload_hash, .. } = answer;
        let manifest = Some(Box::new(Signed { id: manifest_id.0, signature, payload_hash }));
        Self { status: 201, manifest, ..Self::default() }
    }
}

impl From<RedeemAnswer> for Answered {
    fn from(answer: RedeemAnswer) -> Self {
        Self { status: 200, decision: Some(answer.decision_id.0), ..Self::default() }
    }
}

/// One request and its answer; an error means that nothing is known of what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    pub(crate) client: u16,
    pub(crate) replica: u8,
    pub(crate) sent: Micros,
    pub(crate) ended: Micros,
    pub(crate) asked: Asked,
    pub(crate) answer: Result<Answered, &'static str>,
}

impl Observation {
    /// The answer, if it has this status.
    pub(crate) fn with_status(&self, status: u16) -> Option<&Answered> {
        self.answer.as_ref().ok().filter(|answered| answered.status == status)
    }

    pub(crate) fn check(&self) -> Option<&Call> {
        match &self.asked {
            Asked::Check(call) => Some(call),
            _ => None,
        }
    }

    /// The answer of a check that says allow, whatever its status.
    pub(crate) fn allowed(&self) -> Option<(&Call, &Answered)> {
        let answered = self.answer.as_ref().ok()?;
        self.check().filter(|_| answered.allow == Some(true)).map(|call| (call, answered))
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, ended) = (seconds(self.sent), seconds(self.ended));
        write!(f, "{sent}–{ended}  client {:2}, replica {}: ", self.client, self.replica)?;
        match &self.asked {
            Asked::Check(call) => {
                write!(f, "check {}/{}", call.tenant, call.tool)?;
                if let Some(agent) = call.agent {
                    write!(f, " by {agent}")?;
                }
                if let Some(call_id) = &call.call_id {
                    write!(f, ", call {call_id}")?;
                }
            }
            Asked::Kill(scope) => write!(f, "KILL {scope}")?,
            Asked::Restore(scope) => write!(f, "RESTORE {scope}")?,
            Asked::Sign { tool, decision, .. } => write!(f, "sign {tool}, decision {decision}")?,
            Asked::Redeem { decision } => write!(f, "redeem the permit of {decision}")?,
        }
        match &self.answer {
            Err(error) => write!(f, " → UNKNOWN ({error})"),
            Ok(answered) => write_answer(f, answered),
        }
    }
}

fn write_answer(f: &mut fmt::Formatter<'_>, answered: &Answered) -> fmt::Result {
    write!(f, " → {}", answered.status)?;
    match answered.allow {
        Some(true) => f.write_str(" ALLOW")?,
        Some(false) => f.write_str(" deny")?,
        None => {}
    }
    if !answered.code.is_empty() {
        write!(f, " {}", answered.code)?;
    }
    if let Some(decision) = answered.decision {
        write!(f, ", decision {decision}")?;
    }
    if let Some(epoch) = answered.epoch {
        write!(f, ", epoch {epoch}")?;
    }
    match &answered.manifest {
        Some(signed) => write!(f, ", manifest {}", signed.id),
        None => Ok(()),
    }
}

/// Seconds, to the microsecond.
pub(crate) fn seconds(at: Micros) -> String {
    format!("{}.{:06}", at / 1_000_000, at % 1_000_000)
}

/// Something that was done to the system, and when.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) from: Micros,
    pub(crate) until: Micros,
    pub(crate) what: String,
    pub(crate) trace: Trace,
}

/// What a fault leaves behind when it did anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    None,
    /// Requests fail while it lasts.
    FailedRequests,
    /// Decisions carry times that are hours off.
    OddTimes,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}–{}  FAULT {}", seconds(self.from), seconds(self.until), self.what)
    }
}

/// Where every client notes what it sees.
#[derive(Debug)]
pub(crate) struct Journal {
    began: Instant,
    observations: Mutex<Vec<Observation>>,
    events: Mutex<Vec<Event>>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        let (observations, events) = (Mutex::default(), Mutex::default());
        Self { began: Instant::now(), observations, events }
    }

    pub(crate) fn now(&self) -> Micros {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn observed(&self, observation: Observation) {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner).push(observation);
    }

    pub(crate) fn happened(&self, from: Micros, what: String, trace: Trace) {
        let event = Event { from, until: self.now(), what, trace };
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// Everything so far, in the order in which it was sent.
    pub(crate) fn take(&self) -> (Vec<Observation>, Vec<Event>) {
        let take = |error: PoisonError<_>| error.into_inner();
        let mut observations = std::mem::take(&mut *self.observations.lock().unwrap_or_else(take));
        observations.sort_by_key(|each| each.sent);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        (observations, std::mem::take(&mut *events))
    }
}

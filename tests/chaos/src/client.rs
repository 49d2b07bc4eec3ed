//! A client of one replica, which notes every request and answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::observation::{Answered, Asked, Call, Journal, Observation, Scope};
use crate::world::{ACTION, PURPOSE};

/// Sends requests to the replicas.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    id: u16,
    http: reqwest::Client,
    fleet: Arc<Fleet>,
    key: Arc<str>,
    journal: Arc<Journal>,
}

/// A request with what came back of it, for whoever goes on from there.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) answer: Result<Answered, &'static str>,
    pub(crate) body: Value,
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
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(Duration::from_secs(2))
            .tcp_nodelay(true)
            .no_proxy()
            .retry(reqwest::retry::never())
            .build()?;
        let (fleet, journal) = (Arc::clone(fleet), Arc::clone(journal));
        Ok(Self { id, http, fleet, key: key.into(), journal })
    }

    pub(crate) fn replicas(&self) -> usize {
        self.fleet.len()
    }

    pub(crate) async fn check(&self, replica: usize, call: Call) -> Seen {
        let mut body = json!({
            "tenant_slug": call.tenant, "tool_name": call.tool, "action": ACTION,
            "purpose": PURPOSE,
        });
        if let Some(agent) = call.agent {
            set(&mut body, "agent", json!(agent));
        }
        if let Some(call_id) = &call.call_id {
            set(&mut body, "call_id", json!(call_id));
        }
        self.send(replica, "/policy/check", body, Asked::Check(call)).await
    }

    pub(crate) async fn kill(&self, replica: usize, scope: Scope) -> Seen {
        let mut body = target(scope);
        set(&mut body, "reason", json!("chaos"));
        self.send(replica, "/kill", body, Asked::Kill(scope)).await
    }

    pub(crate) async fn restore(&self, replica: usize, scope: Scope) -> Seen {
        self.send(replica, "/kill/restore", target(scope), Asked::Restore(scope)).await
    }

    pub(crate) async fn sign(&self, replica: usize, call: &Call, decision: uuid::Uuid) -> Seen {
        let body = json!({
            "tenant_slug": call.tenant, "tool_name": call.tool, "action": ACTION,
            "purpose": PURPOSE, "payload": {"outcome": "done"}, "decision_id": decision,
        });
        let asked = Asked::Sign { tool: call.tool, decision };
        self.send(replica, "/provenance/sign", body, asked).await
    }

    pub(crate) async fn redeem(
        &self,
        replica: usize,
        permit: &str,
        tool_id: &str,
        decision: uuid::Uuid,
    ) -> Seen {
        let body = json!({"permit": permit, "tool_id": tool_id});
        self.send(replica, "/v1/permits/redeem", body, Asked::Redeem { decision }).await
    }

    /// A request that is no part of the load; answers the body.
    pub(crate) async fn setup(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, body) = self
            .exchange(0, path, body)
            .await
            .map_err(|error| anyhow::anyhow!("POST {path}: {error}"))?;
        anyhow::ensure!(status < 300, "POST {path}: {status} {body}");
        Ok(body)
    }

    async fn send(&self, wanted: usize, path: &str, body: Value, asked: Asked) -> Seen {
        let replica = self.fleet.route(wanted);
        let sent = self.journal.now();
        let result = self.exchange(replica, path, &body).await;
        let ended = self.journal.now();
        let (answer, body) = match result {
            Ok((status, body)) => (Ok(Answered::read(status, &body)), body),
            Err(error) => (Err(error), Value::Null),
        };
        self.journal.observed(Observation {
            client: self.id,
            replica: u8::try_from(replica).unwrap_or(u8::MAX),
            sent,
            ended,
            asked,
            answer: answer.clone(),
        });
        Seen { answer, body }
    }

    async fn exchange(
        &self,
        replica: usize,
        path: &str,
        body: &Value,
    ) -> Result<(u16, Value), &'static str> {
        let url = self.fleet.url(replica).ok_or("no such replica")?;
        let request = self.http.post(format!("{url}{path}")).bearer_auth(&self.key).json(body);
        let response = request.send().await.map_err(|error| word(&error))?;
        let status = response.status().as_u16();
        // An answer that breaks off acknowledges nothing.
        let body = response.bytes().await.map_err(|error| word(&error))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// Why there is no answer.
fn word(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "not connected"
    } else {
        "the connection broke"
    }
}

fn target(scope: Scope) -> Value {
    match scope {
        Scope::Global => json!({"scope": "global"}),
        Scope::Tenant(tenant) => json!({"tenant_slug": tenant}),
        Scope::Tool(tenant, tool) => json!({"tenant_slug": tenant, "tool_name": tool}),
        Scope::Agent(agent) => json!({"agent": agent}),
        Scope::TenantAgent(tenant, agent) => json!({"tenant_slug": tenant, "agent": agent}),
    }
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Some(object) = body.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// The identifier that a registration answered.
pub(crate) fn id_of(body: &Value) -> Result<String> {
    Ok(body.get("id").and_then(Value::as_str).context("no id")?.to_owned())
}

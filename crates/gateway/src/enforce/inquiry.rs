//! What a server asks the client while it works on a call: governed as a call of a door of that
//! server, in both eras.

use async_trait::async_trait;
use sentinel_core::check::Arguments;
use serde_json::{Value, json};
use uuid::Uuid;

use super::outcome::{self, Record};
use super::{door, govern};
use crate::authority::{Allowed, Denied, Ended, Question, Ruling, Withdrawn};
use crate::client::Client;
use crate::denial;
use crate::exchange::Exchange;
use sentinel_mcp_protocol::jsonrpc::{Notification, Object, RpcError};
use sentinel_mcp_protocol::method::{Ask, Governance, Sender, governance};

/// What a client responds when its user rejects to sample, in the specification's own example.
const REJECTED: i64 = -1;

/// The exchange of a call, as its server sees it: what the server asks is decided first.
#[derive(Debug)]
pub(super) struct Inquiry<'a> {
    pub(super) client: &'a Client,
    pub(super) upstream: &'a str,
    pub(super) inner: &'a dyn Exchange,
}

#[async_trait]
impl Exchange for Inquiry<'_> {
    async fn notify(&self, notification: Notification) {
        self.inner.notify(notification).await;
    }

    fn capabilities(&self) -> Object {
        self.inner.capabilities()
    }

    fn can_ask(&self) -> bool {
        self.inner.can_ask()
    }

    async fn ask(&self, method: &str, params: Object) -> Result<Object, RpcError> {
        server_request(self.client, self.upstream, self.inner, method, params).await
    }

    async fn cancelled(&self) {
        self.inner.cancelled().await;
    }
}

/// Has a request of a server to the client decided, and asks the client.
///
/// # Errors
/// When it is denied, or the client responds with an error. A denied elicitation is one that was
/// declined.
pub async fn server_request(
    client: &Client,
    upstream: &str,
    exchange: &dyn Exchange,
    method: &str,
    params: Object,
) -> Result<Object, RpcError> {
    let asked = Asked::of(upstream, method)?;
    let (params, allowed) = match decide(client, &asked, params).await {
        Ok(allowed) => allowed,
        Err(denied) => return asked.refuse(&denied),
    };
    let call_id = Uuid::now_v7().to_string();
    let mut record = Record::new(client, &allowed, (&asked.door, asked.action), &call_id);
    let Allowed { decision, grant, .. } = allowed;
    let started = match grant.start().await {
        Ok(started) => started,
        Err(why) => return asked.refuse(&govern::withdrawn(why, decision)),
    };
    record.send();
    drop(started);
    let response = tokio::select! {
        biased;
        why = grant.withdrawn() => {
            return asked.refuse(&govern::withdrawn(why, decision));
        }
        response = exchange.ask(method, params) => response,
    };
    let (ended, payload) = match &response {
        Ok(response) => (Ended::Executed, Some(outcome::payload(response))),
        Err(_) => (Ended::NotExecuted, None),
    };
    record.end(ended, payload).await;
    response
}

/// Has the questions decided that a server of the modern era puts in place of a result. They are
/// asked by the client's own means.
///
/// # Errors
/// Why one of them may not be asked.
pub(super) async fn decide_questions(
    client: &Client,
    upstream: &str,
    reply: &Object,
) -> Result<(), Denied> {
    let questions = match reply.get("inputRequests") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(questions)) => questions,
        Some(_) => return Err(malformed()),
    };
    for question in questions.values() {
        let method = question.get("method").and_then(Value::as_str).ok_or_else(malformed)?;
        let params = match question.get("params") {
            None => Object::new(),
            Some(Value::Object(params)) => params.clone(),
            Some(_) => return Err(malformed()),
        };
        let asked = Asked::of(upstream, method).map_err(|_| malformed())?;
        decide(client, &asked, params).await?;
    }
    Ok(())
}

/// What a server asks.
struct Asked {
    ask: Ask,
    /// Its name in the registry.
    door: String,
    action: &'static str,
}

impl Asked {
    fn of(upstream: &str, method: &str) -> Result<Self, RpcError> {
        let (ask, name, action) = match governance(Sender::Server, method)? {
            Governance::Ask(ask @ Ask::Sampling) => (ask, "sampling", "create"),
            Governance::Ask(ask @ Ask::Elicitation) => (ask, "elicitation", "create"),
            // It tells the server of folders of the user: decided at the same door.
            Governance::Ask(ask @ Ask::Roots) => (ask, "elicitation", "roots"),
            _ => return Err(RpcError::method_not_found(method, "servers do not send it")),
        };
        Ok(Self { ask, door: door(upstream, name), action })
    }

    fn refuse(&self, denied: &Denied) -> Result<Object, RpcError> {
        if self.ask == Ask::Elicitation {
            let decline = json!({ "action": "decline" });
            return Ok(decline.as_object().cloned().unwrap_or_default());
        }
        Err(RpcError { code: REJECTED, message: denial::text(denied), data: None })
    }
}

/// Returns the parameters as they were decided on.
async fn decide(
    client: &Client,
    asked: &Asked,
    params: Object,
) -> Result<(Object, Allowed), Denied> {
    let arguments = Arguments::new(params);
    let question = Question {
        tool: asked.door.clone(),
        action: asked.action,
        arguments: arguments.clone(),
        purpose: None,
        context: govern::context(client),
        resumes: None,
    };
    match client.authority.decide(question).await {
        Ruling::Allowed(allowed) => Ok((arguments.into_value(), allowed)),
        Ruling::Denied(denied) => {
            client.enforcement.counts.denied(&denied.code);
            Err(denied)
        }
    }
}

fn malformed() -> Denied {
    Denied {
        code: crate::authority::INVALID_CALL.to_owned(),
        reason: "the server asks in a form that is not defined".to_owned(),
        decision: None,
        retry_after: None,
    }
}

impl From<Withdrawn> for Denied {
    fn from(why: Withdrawn) -> Self {
        Self { code: why.code.into_owned(), reason: why.reason, decision: None, retry_after: None }
    }
}

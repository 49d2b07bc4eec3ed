//! The one path of every call: decide, send, record.

use std::num::NonZeroU32;
use std::sync::Arc;

use futures::FutureExt as _;
use sentinel_core::check::ArgumentHash;
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::DecisionId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::forward::{Sent, send};
use super::inquiry::{Inquiry, decide_questions};
use super::meta_tool::Inner;
use super::outcome::{self, Record};
use super::payload::Payload;
use super::state::{Bound, Waiting};
use super::{REPEATS, settings::Enforcement};
use crate::authority::{
    Allowed, Denied, Earlier, Ended, Grant, INVALID_CALL, Question, Ruling, Withdrawn,
};
use crate::catalog::Target;
use crate::client::Client;
use crate::denial;
use crate::exchange::Exchange;
use crate::repeats::{Ending, First, Key, Manner, Ticket, Turn};
use crate::upstream::{Failure, Outbound, Reply, Upstream};
use sentinel_mcp_protocol::jsonrpc::{Object, RpcError};

/// Longest part of what a client says of itself that policy sees, in characters.
const MAX_INFO: usize = 128;
/// Code of a repeat whose first call may or may not have been carried out.
const REPEATED: &str = "repeated_call";

/// One call, read and with its upstream found.
#[derive(Debug)]
pub(super) struct Governed {
    subject: Subject,
    payload: Payload,
}

/// What is called, and how that is named.
#[derive(Debug)]
struct Subject {
    method: &'static str,
    action: &'static str,
    target: Target,
}

/// What is known of a call that its client goes on with.
#[derive(Debug)]
struct Thread {
    call_id: String,
    resumes: Option<Earlier>,
}

/// The allows that a call rests on.
#[derive(Debug)]
struct Decided {
    allowed: Allowed,
    /// Of what a meta-tool calls.
    inner: Option<(Inner, Allowed)>,
}

impl Thread {
    /// The next time that the call goes on from `decision`. A call that was decided as a new one
    /// meanwhile begins to count.
    fn next_round(&self, decision: DecisionId) -> Result<NonZeroU32, RpcError> {
        let last = self.resumes.filter(|earlier| earlier.decision == decision);
        let last = last.and_then(|earlier| earlier.round).map_or(0, NonZeroU32::get);
        let next = last.checked_add(1).and_then(NonZeroU32::new);
        next.ok_or_else(|| RpcError::internal("the server asks again and again"))
    }
}

impl Governed {
    pub(super) const fn new(
        method: &'static str,
        action: &'static str,
        target: Target,
        payload: Payload,
    ) -> Self {
        Self { subject: Subject { method, action, target }, payload }
    }

    /// Takes up the call that the client goes on with, if it does.
    fn take_up(&mut self, client: &Client) -> Result<Thread, RpcError> {
        let Some(sealed) = self.payload.continuation.state.take() else {
            if self.payload.continuation.responses.is_some() {
                return Err(RpcError::invalid_params("`inputResponses` need their `requestState`"));
            }
            return Ok(Thread { call_id: Uuid::now_v7().to_string(), resumes: None });
        };
        let bound = self.subject.bound(client, self.payload.arguments.hash());
        let waiting = client.enforcement.seal.open(bound, &sealed)?;
        self.payload.continuation.state = waiting.state;
        let Waiting { decision, round, .. } = waiting;
        let resumes = Some(Earlier { decision, round: Some(round) });
        Ok(Thread { call_id: waiting.call_id, resumes })
    }

    fn question(&self, client: &Client, resumes: Option<Earlier>) -> Question {
        Question {
            tool: self.subject.target.registered.clone(),
            action: self.subject.action,
            arguments: self.payload.arguments.clone(),
            purpose: self.payload.purpose.clone(),
            context: context(client),
            resumes,
        }
    }

    fn manner(&self, thread: &Thread) -> Manner {
        match &self.subject.target.definition {
            Some(definition) if self.subject.is_tool() && thread.resumes.is_none() => {
                Manner::of(definition)
            }
            _ => Manner::Harmless,
        }
    }
}

impl Subject {
    /// Only results of tools can say that they failed.
    fn is_tool(&self) -> bool {
        self.method == "tools/call"
    }

    fn bound<'a>(&'a self, client: &'a Client, arguments: ArgumentHash) -> Bound<'a> {
        let principal = client.authority.principal();
        Bound { principal, tool: &self.target.registered, action: self.action, arguments }
    }

    fn record(&self, client: &Client, allowed: &Allowed, call_id: &str) -> Record {
        Record::new(client, allowed, (&self.target.registered, self.action), call_id)
    }

    /// The deny of a tool that is not registered says why it is not, where the catalog knows.
    fn explained(&self, denied: Denied) -> Denied {
        match (self.target.quarantined, denied.decision) {
            (Some(code), Some(decision)) if denied.code == ReasonCode::UnknownTool.as_str() => {
                quarantined(code, decision)
            }
            _ => denied,
        }
    }

    /// The deny, in the form of the method.
    fn deny(&self, enforcement: &Enforcement, denied: &Denied) -> Result<Object, RpcError> {
        enforcement.counts.denied(&denied.code);
        if self.is_tool() { Ok(denial::result(denied)) } else { Err(denial::error(denied)) }
    }

    /// A failure that is not a deny.
    fn fail(&self, text: &str) -> Result<Object, RpcError> {
        if self.is_tool() { Ok(denial::failed(text)) } else { Err(RpcError::internal(text)) }
    }

    /// The upstream to send to; `None` when there is none, or it lists no such thing.
    fn upstream(&self) -> Option<&Arc<dyn Upstream>> {
        let listed = matches!(self.method, "tools/call" | "prompts/get");
        let unlisted = listed && self.target.definition.is_none();
        self.target.upstream.as_ref().filter(|_| !unlisted)
    }
}

/// Has a call decided, sends it, and records how it ended.
pub(super) async fn govern(
    client: &Client,
    exchange: &dyn Exchange,
    mut governed: Governed,
) -> Result<Object, RpcError> {
    let thread = governed.take_up(client)?;
    let Governed { subject, payload } = &governed;
    let tool = &subject.target.registered;
    let key = Key::new(client.authority.principal(), tool, payload.arguments.hash());
    let manner = governed.manner(&thread);
    loop {
        match client.enforcement.repeats.enter(key, manner) {
            Turn::Make(ticket) => return make(client, exchange, governed, thread, ticket).await,
            Turn::Repeats(first) => {
                if let Some(result) = repeat(client, exchange, &governed, &first).await {
                    return result;
                }
            }
        }
    }
}

/// Answers a repeat from the first call; `None` when that was not made, and this one may be.
async fn repeat(
    client: &Client,
    exchange: &dyn Exchange,
    governed: &Governed,
    first: &Arc<First>,
) -> Option<Result<Object, RpcError>> {
    let Ending { ended, decision, result, .. } = tokio::select! {
        ending = first.ended() => ending,
        () = exchange.cancelled() => return Some(governed.subject.fail("The call was cancelled.")),
    };
    let decision = decision.filter(|_| ended != Ended::NotExecuted)?;
    // A repeat is decided as well, so that a result is handed out only while it may be.
    let earlier = Earlier { decision, round: None };
    match client.authority.decide(governed.question(client, Some(earlier))).await {
        Ruling::Denied(denied) => return Some(governed.subject.deny(&client.enforcement, &denied)),
        // Decided as a call of its own, it is recorded that it was not made.
        Ruling::Allowed(allowed) if allowed.decision != decision => {
            let call_id = Uuid::now_v7().to_string();
            drop(governed.subject.record(client, &allowed, &call_id));
        }
        Ruling::Allowed(_) => {}
    }
    client.enforcement.counts.repeated();
    let mut result = match (ended, result) {
        (Ended::Unconfirmed, _) => {
            let denied = Denied {
                code: REPEATED.to_owned(),
                reason: "the same call was sent a moment ago, and no reply says whether it was \
                         carried out"
                    .to_owned(),
                decision: Some(decision),
                retry_after: Some(client.enforcement.settings.repeats),
            };
            return Some(governed.subject.deny(&client.enforcement, &denied));
        }
        (_, Some(result)) => (*result).clone(),
        (_, None) => denial::failed(
            "The same call was carried out a moment ago. Its result is too large to be given \
             twice. Repeating this call will not help.",
        ),
    };
    outcome::add_meta(&mut result, |meta| {
        meta.insert(REPEATS.to_owned(), json!(decision));
    });
    Some(Ok(result))
}

async fn make(
    client: &Client,
    exchange: &dyn Exchange,
    governed: Governed,
    thread: Thread,
    ticket: Ticket<'_>,
) -> Result<Object, RpcError> {
    let enforcement = &client.enforcement;
    let decided = match decide(client, &governed, &thread).await {
        Ok(decided) => decided,
        Err(denied) => {
            let denied = governed.subject.explained(denied);
            return governed.subject.deny(enforcement, &denied);
        }
    };
    let decision = decided.allowed.decision;
    let Governed { subject, payload } = governed;
    // From here on each way out records how the call ended.
    let record = subject.record(client, &decided.allowed, &thread.call_id);
    if let Some(code) = subject.target.quarantined {
        return subject.deny(enforcement, &quarantined(code, decision));
    }
    let Some(upstream) = subject.upstream().cloned() else {
        return Err(RpcError::invalid_params("no server behind this endpoint offers that"));
    };
    let call = Call { client, exchange, upstream, subject, decision, thread, record, ticket };
    call.send(payload, decided).await
}

async fn decide(client: &Client, governed: &Governed, thread: &Thread) -> Result<Decided, Denied> {
    let inner = inner(client, governed)?;
    let allowed = ask(client, governed.question(client, thread.resumes)).await?;
    let Some(inner) = inner else { return Ok(Decided { allowed, inner: None }) };
    let mut context = context(client);
    context.insert("via".to_owned(), json!(governed.subject.target.registered));
    let question = Question {
        tool: inner.tool.clone(),
        arguments: inner.arguments.clone(),
        context,
        ..governed.question(client, None)
    };
    match ask(client, question).await {
        Ok(of_inner) => Ok(Decided { allowed, inner: Some((inner, of_inner)) }),
        Err(denied) => {
            drop(governed.subject.record(client, &allowed, &thread.call_id));
            Err(denied)
        }
    }
}

async fn ask(client: &Client, question: Question) -> Result<Allowed, Denied> {
    match client.authority.decide(question).await {
        Ruling::Allowed(allowed) => Ok(allowed),
        Ruling::Denied(denied) => Err(denied),
    }
}

/// What the call of a meta-tool would call; `None` for other tools.
fn inner(client: &Client, governed: &Governed) -> Result<Option<Inner>, Denied> {
    let meta_tools = &client.enforcement.settings.meta_tools;
    let Governed { subject, payload } = governed;
    let meta_tool = meta_tools.get(&subject.target.registered).filter(|_| subject.is_tool());
    let (Some(meta_tool), Some(upstream)) = (meta_tool, &subject.target.upstream) else {
        return Ok(None);
    };
    let inner = meta_tool.inner(upstream.name(), payload.arguments.value())?;
    if meta_tools.contains_key(&inner.tool) {
        return Err(Denied {
            code: INVALID_CALL.to_owned(),
            reason: "a tool that calls other tools would call another such tool".to_owned(),
            decision: None,
            retry_after: None,
        });
    }
    Ok(Some(inner))
}

/// An allowed call on its way.
struct Call<'a> {
    client: &'a Client,
    exchange: &'a dyn Exchange,
    upstream: Arc<dyn Upstream>,
    subject: Subject,
    decision: DecisionId,
    thread: Thread,
    record: Record,
    ticket: Ticket<'a>,
}

impl Call<'_> {
    async fn send(mut self, payload: Payload, decided: Decided) -> Result<Object, RpcError> {
        let (action, hash) = (self.subject.action, payload.arguments.hash());
        let inner = decided.inner.map(|(inner, allowed)| {
            let (called, call_id) = ((inner.tool.as_str(), action), &self.thread.call_id);
            (Record::new(self.client, &allowed, called, call_id), allowed.grant)
        });
        let (mut inner_record, inner_grant) = inner.unzip();
        // The grant of what a meta-tool calls is used up together with that of the meta-tool.
        let _inner_started = match &inner_grant {
            None => None,
            Some(grant) => match grant.start().await {
                Ok(started) => Some(started),
                Err(why) => return self.cut(why, false),
            },
        };
        self.record.send();
        self.ticket.send(self.decision);
        inner_record.iter_mut().for_each(Record::send);
        let outbound = Outbound {
            method: self.subject.method.to_owned(),
            params: payload.into_params(&self.subject.target.name),
            grant: decided.allowed.grant,
        };
        let upstream = Arc::clone(&self.upstream);
        let (client, inner) = (self.client, self.exchange);
        let inquiry = Inquiry { client, upstream: upstream.name(), inner };
        let withdrawal = inner_grant.as_ref().map(Grant::withdrawal);
        match send(&*upstream, outbound, &inquiry, withdrawal).await {
            Sent::Cut { why, may_have_run } => self.cut(why, may_have_run),
            Sent::Failed(failure) => self.failed(&failure).await,
            Sent::Reply(Reply::Error(error)) => self.rejected(error).await,
            Sent::Reply(Reply::InputRequired(reply)) => self.waiting(hash, reply).await,
            Sent::Reply(Reply::Result(result)) => {
                let result = self.replied(result).await;
                if let Some(record) = inner_record {
                    record.end(Ended::Executed, Some(outcome::payload(&result))).await;
                }
                Ok(result)
            }
        }
    }

    async fn replied(self, mut result: Object) -> Object {
        outcome::disown(&mut result);
        if self.subject.is_tool() {
            result = outcome::sound(result, self.subject.target.definition.as_deref());
        }
        let payload = outcome::payload(&result);
        let bytes = payload.len();
        let recorded = self.record.end(Ended::Executed, Some(payload)).await;
        outcome::mark(&mut result, self.decision, recorded);
        let lost = self.exchange.cancelled().now_or_never().is_some();
        self.ticket.end(Ended::Executed, (&result, bytes), lost);
        result
    }

    /// The server responded with an error of the protocol. It passes as it is.
    async fn rejected(self, error: RpcError) -> Result<Object, RpcError> {
        // Those of the envelope and the parameters come before anything is carried out.
        let early = matches!(error.code, -32700 | -32602..=-32600);
        let ended = if early { Ended::NotExecuted } else { Ended::Unconfirmed };
        self.record.end(ended, None).await;
        self.ticket.end(ended, (&Object::new(), 0), false);
        Err(error)
    }

    /// The server wants the client to respond first. The call is not over.
    async fn waiting(self, arguments: ArgumentHash, mut reply: Object) -> Result<Object, RpcError> {
        outcome::disown(&mut reply);
        let enforcement = &self.client.enforcement;
        if let Err(mut denied) = decide_questions(self.client, self.upstream.name(), &reply).await {
            denied.reason.push_str(
                "; the server wanted to ask this before it finished, and whether it was carried \
                 out is not known",
            );
            self.record.end(Ended::Unconfirmed, None).await;
            return self.subject.deny(enforcement, &denied);
        }
        let state = match reply.remove("requestState") {
            None | Some(Value::Null) => None,
            Some(Value::String(state)) => Some(state),
            Some(_) => return Err(RpcError::internal("the state of the server is not a text")),
        };
        let bound = self.subject.bound(self.client, arguments);
        let round = self.thread.next_round(self.decision)?;
        let call = (self.decision, round, self.thread.call_id.as_str());
        let sealed = enforcement.seal.seal(bound, state, call)?;
        reply.insert("requestState".to_owned(), sealed.into());
        reply.insert("resultType".to_owned(), "input_required".into());
        // The request that goes on with it records how it ends.
        self.record.leave();
        self.ticket.end(Ended::NotExecuted, (&Object::new(), 0), false);
        Ok(reply)
    }

    /// The grant was withdrawn. The client is told at once: signing must not hold that up.
    fn cut(self, why: Withdrawn, may_have_run: bool) -> Result<Object, RpcError> {
        let (ended, state) = if may_have_run {
            let state = "the call was under way, and whether it was carried out is not known";
            (Ended::Unconfirmed, state)
        } else {
            (Ended::NotExecuted, "the call was not made")
        };
        let mut denied = withdrawn(why, self.decision);
        denied.reason = format!("{}; {state}", denied.reason);
        self.record.end_beside(ended);
        self.ticket.end(ended, (&Object::new(), 0), false);
        self.subject.deny(&self.client.enforcement, &denied)
    }

    async fn failed(self, failure: &Failure) -> Result<Object, RpcError> {
        let ended = if failure.may_have_run { Ended::Unconfirmed } else { Ended::NotExecuted };
        let recorded = self.record.end(ended, None).await;
        self.ticket.end(ended, (&Object::new(), 0), failure.code == "cancelled");
        let mut result = self.subject.fail(&denial::unanswered(failure))?;
        outcome::mark(&mut result, self.decision, recorded);
        Ok(result)
    }
}

/// The deny of a call whose grant was withdrawn.
pub(super) fn withdrawn(why: Withdrawn, decision: DecisionId) -> Denied {
    Denied { decision: Some(decision), ..why.into() }
}

/// The deny of what the catalog found unfit.
fn quarantined(code: &'static str, decision: DecisionId) -> Denied {
    let reason = "the gateway does not pass it on as it is".to_owned();
    Denied { code: code.to_owned(), reason, decision: Some(decision), retry_after: None }
}

/// What policy sees of the client as `input.context.mcp`, as the client states it.
pub(super) fn context(client: &Client) -> Object {
    let part = |name: &str| {
        let text = client.info.get(name).and_then(Value::as_str)?;
        Some(Value::from(text.chars().take(MAX_INFO).collect::<String>()))
    };
    let mut info = Object::new();
    for name in ["name", "version"] {
        info.extend(part(name).map(|text| (name.to_owned(), text)));
    }
    let mut context = Object::new();
    if !info.is_empty() {
        context.insert("mcp".to_owned(), json!({ "client": info }));
    }
    context
}

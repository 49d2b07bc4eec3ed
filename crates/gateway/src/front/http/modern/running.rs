//! A request while it is served. A question to its client ends the HTTP response and not the
//! request: it waits for the client's next request, which carries the answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::suspended::Suspended;
use crate::client::Client;
use crate::exchange::Exchange;
use crate::front::http::feed::Feed;
use crate::front::http::legacy::exchange::require;
use crate::front::http::legacy::facts::Party;
use crate::front::shape;
use crate::front::wants::Wants;
use sentinel_mcp_protocol::jsonrpc::{
    Id, Notification, Object, Request, Response, RpcError, codes,
};
use sentinel_mcp_protocol::method::{Call, Governance, Sender, governance};

/// Questions that one request may have open.
const MAX_QUESTIONS: usize = 16;

type Outcome = Result<Object, RpcError>;

#[derive(Debug)]
pub(super) struct Running {
    /// Where it waits for its client; weak, since that holds what waits.
    waiting: Weak<Suspended>,
    /// How long the client may take to answer a question.
    patience: Duration,
    /// Who may go on with it, and with what request.
    party: Party,
    method: String,
    digest: [u8; 32],
    client: Arc<Client>,
    cancel: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    line: Line,
    /// What the request that is waited for asks to be told on the way.
    wants: Wants,
    questions: BTreeMap<u64, Question>,
    last: u64,
}

/// Whether the client waits for a response.
#[derive(Debug, Default)]
enum Line {
    Attached(Arc<Feed>, Id),
    /// Its last response was a question.
    #[default]
    Detached,
    /// It was done before the client came back.
    Done(Box<Outcome>),
}

#[derive(Debug)]
struct Question {
    method: String,
    params: Object,
    answer: oneshot::Sender<Object>,
}

impl Running {
    pub(super) fn new(
        waiting: &Arc<Suspended>,
        party: Party,
        request: &Request,
        client: Arc<Client>,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            waiting: Arc::downgrade(waiting),
            patience: waiting.patience(),
            party,
            method: request.method.clone(),
            digest: digest(&request.params),
            client,
            cancel,
            state: Mutex::default(),
        })
    }

    pub(super) const fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    pub(super) const fn party(&self) -> &Party {
        &self.party
    }

    /// Whether a request is a retry of this one.
    pub(super) fn is_retried_by(&self, party: &Party, request: &Request) -> bool {
        self.party == *party
            && self.method == request.method
            && self.digest == digest(&request.params)
    }

    /// The client waits for a response to `id`, which goes into `feed`.
    pub(super) fn attach(self: &Arc<Self>, feed: &Arc<Feed>, id: Id, wants: Wants) {
        let mut state = self.lock();
        state.wants = wants;
        match std::mem::replace(&mut state.line, Line::Attached(Arc::clone(feed), id.clone())) {
            Line::Done(outcome) => {
                drop(state);
                self.respond(feed, id, *outcome);
            }
            _ if !state.questions.is_empty() => self.suspend(state),
            _ => {}
        }
    }

    /// Takes the answers of the client. What was not asked is ignored.
    pub(super) fn answered(&self, responses: Object) {
        let mut state = self.lock();
        for (key, response) in responses {
            let number = key.strip_prefix(KEY).and_then(|number| number.parse().ok());
            let question = number.and_then(|number: u64| state.questions.remove(&number));
            if let (Some(question), Value::Object(response)) = (question, response) {
                drop(question.answer.send(response));
            }
        }
    }

    /// The request is done. Of two outcomes, the first counts.
    pub(super) fn finish(&self, outcome: Outcome) {
        let mut state = self.lock();
        match std::mem::take(&mut state.line) {
            Line::Attached(feed, id) => {
                drop(state);
                if !feed.has_ended() {
                    self.respond(&feed, id, outcome);
                }
            }
            Line::Detached => state.line = Line::Done(Box::new(outcome)),
            done @ Line::Done(_) => state.line = done,
        }
    }

    fn respond(&self, feed: &Feed, id: Id, outcome: Outcome) {
        let status = match &outcome {
            Ok(_) => http::StatusCode::OK,
            Err(error) => status(&self.method, error),
        };
        let outcome = outcome.map(|result| self.shaped(result));
        feed.end_with(status, Response { id: Some(id), outcome }.to_bytes().into());
    }

    fn shaped(&self, result: Object) -> Object {
        let discover = self.method == "server/discover";
        let result = if discover { shape::discovered(result) } else { result };
        shape::modern(&self.method, result)
    }

    /// Ends the response with the open questions.
    fn suspend(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let Line::Attached(feed, id) = std::mem::take(&mut state.line) else { return };
        let asked = state.questions.iter().map(|(number, question)| {
            let request = json!({ "method": question.method, "params": question.params });
            (format!("{KEY}{number}"), request)
        });
        let requests: Object = asked.collect();
        drop(state);
        let kept = self.waiting.upgrade().and_then(|waiting| waiting.keep(self));
        let Some(kept) = kept else {
            self.cancel.cancel();
            let error = RpcError::internal("too many requests wait for input");
            feed.end(Response::error(Some(id), error).to_bytes().into());
            return;
        };
        let mut result = Object::new();
        result.insert("resultType".to_owned(), "input_required".into());
        result.insert("inputRequests".to_owned(), Value::Object(requests));
        result.insert("requestState".to_owned(), kept.into());
        feed.end(Response::result(id, result).to_bytes().into());
    }

    async fn ask(self: &Arc<Self>, method: &str, params: Object) -> Outcome {
        require(&self.client.capabilities, method, &params)?;
        if !may_ask(&self.method) {
            return Err(RpcError::internal("this request cannot ask its client"));
        }
        let (answer, answered) = oneshot::channel();
        let number = {
            let mut state = self.lock();
            if state.questions.len() >= MAX_QUESTIONS {
                return Err(RpcError::internal("too many questions to the client wait already"));
            }
            state.last += 1;
            let number = state.last;
            let method = method.to_owned();
            state.questions.insert(number, Question { method, params, answer });
            self.suspend(state);
            number
        };
        let _withdrawn = Withdraw { running: Arc::clone(self), number };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(RpcError::internal("the request was cancelled")),
            answer = answered => answer.map_err(|_| unanswered()),
            () = tokio::time::sleep(self.patience) => Err(unanswered()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unanswered() -> RpcError {
    RpcError::internal("the client did not answer the question")
}

/// What the keys of questions begin with.
const KEY: &str = "ask-";

/// Takes a question back that no task waits for any more.
struct Withdraw {
    running: Arc<Running>,
    number: u64,
}

impl Drop for Withdraw {
    fn drop(&mut self) {
        self.running.lock().questions.remove(&self.number);
    }
}

/// The digest of what a retry must repeat.
fn digest(params: &Object) -> [u8; 32] {
    let kept = params
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "_meta" | "inputResponses" | "requestState"));
    let kept: BTreeMap<_, _> = kept.collect();
    // Writing JSON values to memory does not fail.
    Sha256::digest(serde_json::to_vec(&kept).unwrap_or_default()).into()
}

/// The client's side of a request without a session.
#[derive(Debug)]
pub(super) struct ModernExchange(pub(super) Arc<Running>);

#[async_trait]
impl Exchange for ModernExchange {
    async fn notify(&self, notification: Notification) {
        let state = self.0.lock();
        let Some(message) = state.wants.message(notification) else { return };
        if let Line::Attached(feed, _) = &state.line {
            feed.tell(message);
        }
    }

    fn capabilities(&self) -> Object {
        self.0.client.capabilities.clone()
    }

    fn can_ask(&self) -> bool {
        false
    }

    async fn ask(&self, method: &str, params: Object) -> Outcome {
        self.0.ask(method, params).await
    }

    async fn cancelled(&self) {
        self.0.cancel.cancelled().await;
    }
}

/// The status of a response that is an error.
fn status(method: &str, error: &RpcError) -> StatusCode {
    let forwarded = matches!(governance(Sender::Client, method), Ok(Governance::Call(_)));
    match error.code {
        codes::HEADER_MISMATCH | codes::MISSING_CLIENT_CAPABILITY | codes::UNSUPPORTED_VERSION => {
            StatusCode::BAD_REQUEST
        }
        // A 404 for a call that was forwarded makes clients send it again.
        codes::METHOD_NOT_FOUND if !forwarded => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}

/// Whether the method is one whose result may ask for input.
fn may_ask(method: &str) -> bool {
    let may = |call| matches!(call, Call::Tool | Call::Prompt | Call::Resource);
    matches!(governance(Sender::Client, method), Ok(Governance::Call(call)) if may(call))
}

//! The requests under way on a connection that carries all of them: who waits for which id.
//!
//! Such a connection does not say to which request a question of the server belongs. If exactly one
//! request is under way it is that one; otherwise the question is refused, never guessed: the answer
//! of one client must not reach the call of another. A request that was given up counts for a while,
//! since the server may still be at it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ticket::Ticket;
use super::wire::{Answer, Call, Fault, Stop};
use crate::exchange::Exchange;
use sentinel_mcp_protocol::era::meta::PROGRESS_TOKEN;
use sentinel_mcp_protocol::jsonrpc::{
    Id, Malformed, Message, Notification, Object, Request, Response, RpcError,
};

/// Messages for one request that wait until its client has taken the ones before.
const WAITING_MESSAGES: usize = 64;
/// Questions of a server, about one request, that are not yet answered.
pub(super) const MAX_QUESTIONS: usize = 8;
/// How long a server may still say something about a request that was given up, if it does not
/// respond to it.
const LINGERING: Duration = Duration::from_secs(30);

/// How messages leave.
#[async_trait]
pub(super) trait Outbox: Send + Sync {
    /// Sends one message. A request is written only if its ticket starts.
    async fn send(&self, bytes: Vec<u8>, call: Option<&Call>) -> Result<(), Fault>;
}

#[derive(Debug)]
pub(super) struct Board {
    waiting: Mutex<HashMap<i64, Waiting>>,
    /// Requests of clients that were given up, and when.
    given_up: Mutex<HashMap<i64, Instant>>,
    news: broadcast::Sender<Notification>,
    /// A modern server asks by results only.
    modern: AtomicBool,
    dropped: AtomicU64,
    closed: CancellationToken,
    why: Mutex<&'static str>,
}

#[derive(Debug)]
struct Waiting {
    messages: mpsc::Sender<Inbound>,
    answer: oneshot::Sender<Result<Answer, Fault>>,
    /// Whether a client waits, who can be asked something.
    attended: bool,
}

/// What the server says about a request before the response.
#[derive(Debug)]
enum Inbound {
    Notification(Notification),
    Question(Request),
}

/// A place on the board. Leaving it makes a response that comes later one for no request.
#[derive(Debug)]
struct Seat<'a> {
    board: &'a Board,
    id: i64,
    ticket: Arc<Ticket>,
    messages: mpsc::Receiver<Inbound>,
    answer: oneshot::Receiver<Result<Answer, Fault>>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // What was answered has been removed already.
        let left = self.board.waiting().remove(&self.id);
        if left.is_some_and(|waiting| waiting.attended) && self.ticket.has_started() {
            self.board.given_up().insert(self.id, Instant::now());
        }
    }
}

impl Board {
    pub(super) fn new(news: broadcast::Sender<Notification>) -> Self {
        Self {
            waiting: Mutex::default(),
            given_up: Mutex::default(),
            news,
            modern: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            closed: CancellationToken::new(),
            why: Mutex::new("the connection to the server has ended"),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<i64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of which the server may still say something.
    fn given_up(&self) -> MutexGuard<'_, HashMap<i64, Instant>> {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.retain(|_, since| since.elapsed() < LINGERING);
        given_up
    }

    pub(super) fn adopt(&self, modern: bool) {
        self.modern.store(modern, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts something that is not a message, or that no request waits for.
    pub(super) fn drop_one(&self, what: &'static str) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(what, "dropped what a server said");
    }

    pub(super) fn is_open(&self) -> bool {
        !self.closed.is_cancelled()
    }

    /// Completes when the connection has ended.
    pub(super) async fn ended(&self) {
        self.closed.cancelled().await;
    }

    /// Fails all requests under way, once what was read before has been passed on.
    pub(super) fn close(&self, why: &'static str) {
        if self.is_open() {
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
            self.closed.cancel();
        }
    }

    fn why(&self) -> &'static str {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one message of the server, and returns what is to be responded at once. What is not a
    /// message is never responded to.
    pub(super) fn take(&self, message: Result<Message, Malformed>) -> Option<Response> {
        match message {
            Ok(Message::Response(Response { id: Some(Id::Integer(id)), outcome })) => {
                self.answer(id, Ok(outcome));
            }
            Ok(Message::Response(_)) => self.drop_one("a response without an id of ours"),
            Ok(Message::Notification(notification)) => self.notified(notification),
            Ok(Message::Request(request)) => return self.asked(request),
            Err(Malformed { id: Some(Id::Integer(id)), expects_response: false, .. }) => {
                let detail = "the response of the server is not well-formed";
                self.answer(id, Err(Fault::protocol(detail, true)));
            }
            Err(_) => self.drop_one("what is not a message"),
        }
        None
    }

    /// A message was skipped because it is too large. If only one request is under way it was the
    /// response to that one; otherwise those under way run into their time limit.
    pub(super) fn too_large(&self) {
        let mut waiting = self.waiting();
        let only = waiting.keys().next().copied().filter(|_| waiting.len() == 1);
        if let Some(waiting) = only.and_then(|id| waiting.remove(&id)) {
            let detail = "the response of the server is too large";
            drop(waiting.answer.send(Err(Fault::protocol(detail, true))));
        }
        drop(waiting);
        self.drop_one("a message that is too large");
    }

    /// The first answer counts; a second one finds no request.
    fn answer(&self, id: i64, answer: Result<Answer, Fault>) {
        let waiting = self.waiting().remove(&id);
        match waiting {
            // It fails when the request has just been given up.
            Some(waiting) => drop(waiting.answer.send(answer)),
            None => {
                self.given_up().remove(&id);
                self.drop_one("a response that is late, or a second one");
            }
        }
    }

    fn notified(&self, notification: Notification) {
        if is_news(&notification.method) {
            // Without a subscriber there is nothing to tell.
            drop(self.news.send(notification));
            return;
        }
        let messages = match notification.method.as_str() {
            "notifications/progress" => {
                let id = notification.params.get(PROGRESS_TOKEN).and_then(Value::as_i64);
                id.and_then(|id| Some(self.waiting().get(&id)?.messages.clone()))
            }
            "notifications/message" | "notifications/elicitation/complete" => self.only_one(),
            _ => None,
        };
        let sent = messages.map(|to| to.try_send(Inbound::Notification(notification)));
        if !matches!(sent, Some(Ok(()))) {
            self.drop_one("a notification that belongs to no request, or one too many");
        }
    }

    fn asked(&self, request: Request) -> Option<Response> {
        let id = request.id.clone();
        if request.method == "ping" {
            return Some(Response { id: Some(id), outcome: Ok(Object::new()) });
        }
        if self.modern.load(Ordering::Relaxed) || !is_question(&request.method) {
            return Some(refuse(id, -32601, "the gateway does not serve this method"));
        }
        match self.only_one().map(|to| to.try_send(Inbound::Question(request))) {
            Some(Ok(())) => None,
            Some(Err(_)) => Some(refuse(id, -32603, "too many messages for this request")),
            None => {
                let why =
                    "it is not clear to which request this belongs: exactly one must be under way";
                Some(refuse(id, -32603, why))
            }
        }
    }

    /// The one request under way, if there is exactly one.
    fn only_one(&self) -> Option<mpsc::Sender<Inbound>> {
        if !self.given_up().is_empty() {
            return None;
        }
        let waiting = self.waiting();
        let mut attended = waiting.values().filter(|waiting| waiting.attended);
        match (attended.next(), attended.next()) {
            (Some(one), None) => Some(one.messages.clone()),
            _ => None,
        }
    }

    fn sit(&self, call: &Call, attended: bool) -> Seat<'_> {
        let (id, ticket) = (call.id, Arc::clone(&call.ticket));
        let (messages, inbox) = mpsc::channel(WAITING_MESSAGES);
        let (answer, answered) = oneshot::channel();
        self.waiting().insert(id, Waiting { messages, answer, attended });
        Seat { board: self, id, ticket, messages: inbox, answer: answered }
    }

    /// Sends a request, and waits for its response.
    pub(super) async fn converse(
        &self,
        call: &Call,
        attended: bool,
        outbox: &dyn Outbox,
        exchange: &dyn Exchange,
    ) -> Result<Answer, Fault> {
        let mut seat = self.sit(call, attended);
        let mut sending = outbox.send(call.request.to_bytes(), Some(call));
        let mut sent = false;
        let mut questions = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(message) = seat.messages.recv() => match message {
                    Inbound::Notification(notification) => {
                        pass_on(exchange, notification, call).await;
                    }
                    Inbound::Question(request) if questions.len() < MAX_QUESTIONS => {
                        questions.push(ask(exchange, request));
                    }
                    Inbound::Question(request) => {
                        let response = refuse(request.id, -32603, "too many questions at one time");
                        outbox.send(response.to_bytes(), None).await?;
                    }
                },
                answer = &mut seat.answer => {
                    return answer.unwrap_or_else(|_| Err(self.gone(call)));
                }
                outcome = &mut sending, if !sent => {
                    outcome?;
                    sent = true;
                }
                Some(response) = questions.next(), if !questions.is_empty() => {
                    outbox.send(response.to_bytes(), None).await?;
                }
                () = self.closed.cancelled() => return Err(self.gone(call)),
            }
        }
    }

    fn gone(&self, call: &Call) -> Fault {
        Fault::broken(self.why(), call.ticket.has_started())
    }
}

/// Has the client asked what the server wants to know.
pub(super) async fn ask(exchange: &dyn Exchange, request: Request) -> Response {
    let outcome = exchange.ask(&request.method, request.params).await;
    Response { id: Some(request.id), outcome }
}

pub(super) fn refuse(id: Id, code: i64, why: &str) -> Response {
    let error = RpcError { code, message: why.to_owned(), data: None };
    Response { id: Some(id), outcome: Err(error) }
}

/// Passes on what the server says about a request. Progress gets the token that the other side of the
/// gateway knows, and is dropped if that side wants none.
pub(super) async fn pass_on(exchange: &dyn Exchange, mut notification: Notification, call: &Call) {
    if notification.method == "notifications/progress" {
        let Some(token) = &call.progress else { return };
        notification.params.insert(PROGRESS_TOKEN.to_owned(), token.clone());
    }
    exchange.notify(notification).await;
}

/// The legacy way to cancel a request.
pub(super) fn cancellation(id: &Id, why: Stop) -> Notification {
    let mut params = Object::new();
    let id = match id {
        Id::Integer(id) => (*id).into(),
        Id::Text(id) => id.as_str().into(),
    };
    params.insert("requestId".to_owned(), id);
    params.insert("reason".to_owned(), why.reason().into());
    Notification { method: "notifications/cancelled".to_owned(), params }
}

/// What a server may ask a client.
pub(super) fn is_question(method: &str) -> bool {
    matches!(method, "sampling/createMessage" | "elicitation/create" | "roots/list")
}

/// What a server may say of its own accord.
pub(super) fn is_news(method: &str) -> bool {
    matches!(
        method,
        "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/resources/updated"
    )
}

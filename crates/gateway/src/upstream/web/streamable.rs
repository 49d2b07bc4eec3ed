//! Streamable HTTP: each request is a POST, and its response comes back on it, as JSON or as a
//! stream of events. In the legacy era there is a session, and a stream may be resumed.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use super::client::Client;
use super::line::Line;
use super::listener::listen;
use super::response::{Form, one_response, status_fault};
use super::stream::{Events, REST, StreamEnd};
use super::tools::ToolHeaders;
use crate::exchange::Exchange;
use crate::upstream::board::{
    MAX_QUESTIONS, ask, cancellation, is_news, is_question, pass_on, refuse,
};
use crate::upstream::dialect::Dialect;
use crate::upstream::wire::{Answer, Call, Effect, Fault, Stop, Wire};
use sentinel_mcp_protocol::era;
use sentinel_mcp_protocol::jsonrpc::{Id, Message, Notification, Request, Response, parse};

/// Attempts in a row to resume a stream that bring no event.
const FRUITLESS: u32 = 5;

#[derive(Debug)]
pub(in crate::upstream) struct StreamableWire {
    line: Arc<Line>,
    listening: Mutex<Option<AbortHandle>>,
}

impl StreamableWire {
    pub(in crate::upstream) fn new(
        client: Arc<Client>,
        tools: Arc<ToolHeaders>,
        news: broadcast::Sender<Notification>,
    ) -> Self {
        Self { line: Arc::new(Line::new(client, tools, news)), listening: Mutex::default() }
    }
}

#[async_trait]
impl Wire for StreamableWire {
    async fn call(&self, call: &Call, exchange: &dyn Exchange) -> Result<Answer, Fault> {
        let line = &self.line;
        let answer = line.exchange(call, exchange).await;
        match &answer {
            Ok(Ok(result)) if call.request.method == "tools/list" => line.tools.learn(result),
            Err(fault) if matches!(fault.effect, Effect::Broken | Effect::Expired) => line.down(),
            _ => {}
        }
        answer
    }

    fn abandon(&self, call: &Call, why: Stop) {
        // In the modern era the closed stream says it.
        let says_so = !era::is_modern(&call.request.method, &call.request.params);
        if says_so && call.ticket.has_started() && call.request.method != "initialize" {
            self.line.say_aside(cancellation(&call.request.id, why).into());
        }
    }

    async fn notify(&self, notification: Notification) -> Result<(), Fault> {
        self.line.say(notification.into()).await
    }

    fn adopt(&self, dialect: Dialect) {
        self.line.adopt(dialect.0);
    }

    async fn listen(&self, request: Option<Request>) {
        // Ends when the connection is closed, or another one takes its place.
        let task = tokio::spawn(listen(Arc::clone(&self.line), request)).abort_handle();
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = listening.replace(task) {
            earlier.abort();
        }
    }

    fn is_up(&self) -> bool {
        self.line.is_up()
    }

    fn dropped(&self) -> u64 {
        self.line.dropped()
    }

    async fn close(&self) {
        self.line.down();
        self.line.end_session().await;
    }
}

impl Drop for StreamableWire {
    fn drop(&mut self) {
        self.line.down();
    }
}

impl Line {
    async fn exchange(
        self: &Arc<Self>,
        call: &Call,
        exchange: &dyn Exchange,
    ) -> Result<Answer, Fault> {
        let bytes = call.request.to_bytes();
        let ticket = Some(Arc::clone(&call.ticket));
        let mut request = self.client.post(self.client.url(), bytes, ticket);
        self.address(request.headers_mut(), &call.request)?;
        let reply = self.client.send(request, Some(&call.ticket)).await?;
        if !reply.status().is_success() {
            return self.refused(reply, call).await;
        }
        if call.request.method == "initialize" {
            self.begin_session(reply.headers());
        }
        match Form::of(&reply) {
            Form::Json => own(one_response(reply, &self.client.messages).await?, call),
            Form::Events => {
                let events = Events::new(reply, self.client.messages.max_bytes);
                self.follow(events, call, exchange).await
            }
            Form::Other => Err(Fault::protocol("the server sent no response", true)),
        }
    }

    /// A status other than success. The body may say more, as a JSON-RPC error.
    async fn refused(&self, reply: reqwest::Response, call: &Call) -> Result<Answer, Fault> {
        let status = reply.status().as_u16();
        let has_session = self.has_session() && call.request.method != "initialize";
        if status == 404 && has_session {
            return Err(expired());
        }
        let fault = status_fault(reply.status());
        if fault.effect != Effect::Refused || Form::of(&reply) != Form::Json {
            return Err(fault);
        }
        match one_response(reply, &self.client.messages).await {
            // Some servers say so that they do not know the session.
            Ok(Response { id: None, .. }) if status == 400 && has_session => Err(expired()),
            Ok(response) => own(response, call),
            Err(_) => Err(fault),
        }
    }

    /// Reads the stream of one request up to its response.
    async fn follow(
        self: &Arc<Self>,
        mut events: Events,
        call: &Call,
        exchange: &dyn Exchange,
    ) -> Result<Answer, Fault> {
        let mut questions = FuturesUnordered::new();
        let mut fruitless = 0;
        loop {
            let event = tokio::select! {
                biased;
                event = events.next() => event,
                Some(()) = questions.next(), if !questions.is_empty() => continue,
            };
            let data = match event {
                Ok(event) => event.data.unwrap_or_default(),
                Err(StreamEnd::Closed) if fruitless < FRUITLESS => {
                    fruitless += 1;
                    if let Some(resumed) = self.resume(&events).await? {
                        events = resumed;
                    }
                    continue;
                }
                Err(end) => return Err(end.fault()),
            };
            fruitless = 0;
            match parse(&data, &self.client.messages) {
                Ok(Message::Response(response)) => {
                    self.read_rest(events);
                    return own(response, call);
                }
                Ok(Message::Notification(news)) if is_news(&news.method) => self.tell(news),
                Ok(Message::Notification(notification)) => {
                    pass_on(exchange, notification, call).await;
                }
                // It could not be told the answer: its results ask.
                Ok(Message::Request(_)) if self.is_modern() => {
                    self.drop_one("a request of a server of the modern era");
                }
                Ok(Message::Request(request)) if questions.len() >= MAX_QUESTIONS => {
                    self.say_aside(refuse(request.id, -32603, "too many questions").into());
                }
                Ok(Message::Request(request)) if is_question(&request.method) => {
                    questions.push(async move {
                        let response = ask(exchange, request).await;
                        drop(self.say(response.into()).await);
                    });
                }
                Ok(Message::Request(request)) => self.respond(request),
                Err(malformed) if malformed.id == Some(Id::Integer(call.id)) => {
                    let detail = "the response of the server is not well-formed";
                    return Err(Fault::protocol(detail, true));
                }
                Err(_) => self.drop_one("an event that is not a message"),
            }
        }
    }

    /// Opens a stream that goes on after the last event that was read. `None` when it should be
    /// tried again.
    async fn resume(&self, ended: &Events) -> Result<Option<Events>, Fault> {
        let Some(last) = ended.last_id.as_deref().filter(|_| !self.is_modern()) else {
            return Err(StreamEnd::Closed.fault());
        };
        tokio::time::sleep(ended.pause()).await;
        match self.open(Some(last)).await {
            Ok(opened) => Ok(Some(opened.after(ended))),
            Err(fault) if fault.effect == Effect::None || fault.effect == Effect::Broken => {
                Ok(None)
            }
            Err(_) => Err(StreamEnd::Closed.fault()),
        }
    }

    /// Reads what follows the response, so that the connection can be used again.
    fn read_rest(self: &Arc<Self>, mut events: Events) {
        const LATE: &str = "an event after the response";
        // Usually all of it is there already.
        match events.next().now_or_never() {
            Some(Err(_)) => return,
            Some(Ok(_)) => self.drop_one(LATE),
            None => {}
        }
        let line = Arc::clone(self);
        // Ends by its time limit.
        tokio::spawn(async move {
            let rest = async {
                while events.next().await.is_ok() {
                    line.drop_one(LATE);
                }
            };
            drop(tokio::time::timeout(REST, rest).await);
        });
    }
}

/// The response, if it is that of the request.
fn own(response: Response, call: &Call) -> Result<Answer, Fault> {
    match response {
        Response { id: Some(Id::Integer(id)), outcome } if id == call.id => Ok(outcome),
        Response { id: None, outcome: Err(error) } => Ok(Err(error)),
        _ => Err(Fault::protocol("the server responded to another request", true)),
    }
}

fn expired() -> Fault {
    let detail = "the server has ended the session; the request was not carried out";
    Fault::new("upstream_unavailable", detail, false, Effect::Expired)
}

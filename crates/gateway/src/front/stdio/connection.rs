//! Reads messages and starts what they ask for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;

use super::asks::Asks;
use super::calls::{Call, Calls, Refusal};
use super::exchange::{Serving, Shared};
use super::output::Output;
use super::session::{Session, Who};
use super::suspended::Suspended;
use super::{Limits, Options, listen};
use crate::client::Client;
use crate::front::shape;
use crate::mediator;
use sentinel_mcp_protocol::call_params::SetLevel;
use sentinel_mcp_protocol::era::{ClientMeta, Era, is_modern};
use sentinel_mcp_protocol::framing::lines::{Line, Lines};
use sentinel_mcp_protocol::jsonrpc::{
    Id, Malformed, Message, Notification, Object, Request, Response, RpcError,
};
use sentinel_mcp_protocol::method::{Governance, Lifecycle, Notice, Sender, governance, notice};

/// How long requests may take to end once they are cancelled, and the output to be written.
const LAST: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Connection {
    who: Arc<Who>,
    shared: Arc<Shared>,
    limits: Limits,
    requests: JoinSet<()>,
    /// Tells a legacy client of changes.
    telling: Option<JoinHandle<()>>,
    writing: JoinHandle<()>,
    /// Cancelled to end all requests.
    all: CancellationToken,
    stop: CancellationToken,
    /// Cancelled when the client cannot be written to.
    gone: CancellationToken,
}

impl Connection {
    pub(super) fn new<W>(options: Options, output: W) -> Self
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let Options { authority, route, stop, limits } = options;
        let (all, gone) = (CancellationToken::new(), CancellationToken::new());
        let (output, writing) = Output::start(output, gone.clone());
        let shared = Shared {
            output,
            calls: Calls::new(limits.requests, all.clone()),
            asks: Asks::default(),
            suspended: Suspended::default(),
            patience: limits.question,
            closing: CancellationToken::new(),
        };
        Self {
            who: Arc::new(Who::new(authority, route)),
            shared: Arc::new(shared),
            limits,
            requests: JoinSet::new(),
            telling: None,
            writing,
            all,
            stop,
            gone,
        }
    }

    pub(super) async fn run<R>(mut self, input: R) -> io::Result<()>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let mut lines = FramedRead::new(input, Lines::default());
        let ended = loop {
            tokio::select! {
                line = lines.next() => match line {
                    Some(Ok(line)) => self.take(line).await,
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                },
                Some(_) = self.requests.join_next() => {}
                () = self.stop.cancelled() => break Ok(()),
                () = self.gone.cancelled() => break Ok(()),
            }
        };
        self.end().await;
        ended
    }

    /// Lets requests finish, answers those that do not, and ends the servers.
    async fn end(mut self) {
        if let Some(telling) = self.telling.take() {
            telling.abort();
        }
        self.shared.closing.cancel();
        let grace = if self.gone.is_cancelled() { Duration::ZERO } else { self.limits.grace };
        let finished = async { while self.requests.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finished).await.is_err() {
            self.all.cancel();
            let finished = async { while self.requests.join_next().await.is_some() {} };
            drop(tokio::time::timeout(LAST, finished).await);
        }
        self.requests.shutdown().await;
        let route = self.who.route();
        drop((self.shared, self.who));
        drop(tokio::time::timeout(LAST, self.writing).await);
        if let Some(route) = route {
            for source in route.sources().iter() {
                source.upstream().close().await;
            }
        }
    }

    async fn take(&mut self, line: Line) {
        match line {
            Line::Message(Message::Request(request)) => self.request(request).await,
            Line::Message(Message::Notification(notification)) => self.notification(&notification),
            Line::Message(Message::Response(response)) => self.shared.asks.respond(response),
            Line::Malformed(Malformed { id, error, expects_response: true }) => {
                self.shared.output.send(Response::error(id, error)).await;
            }
            // What is not a request gets no response.
            Line::Malformed(_) => tracing::debug!("the client sent a malformed message"),
            Line::TooLong => {
                let error = RpcError::invalid_request("a line is longer than the limit");
                self.shared.output.send(Response::error(None, error)).await;
            }
        }
    }

    fn notification(&mut self, notification: &Notification) {
        match notice(Sender::Client, &notification.method) {
            Some(Notice::Cancelled) => {
                let id = notification.params.get("requestId").and_then(Id::from_value);
                if let Some(id) = id {
                    self.shared.calls.cancel(&id);
                }
            }
            Some(Notice::Initialized) if self.telling.is_none() => {
                if let Some(session) = self.who.session() {
                    let client = Arc::clone(&session.client);
                    let telling = listen::tell(client, Arc::clone(&self.shared));
                    self.telling = Some(tokio::spawn(telling));
                }
            }
            _ => {}
        }
    }

    async fn request(&mut self, request: Request) {
        match self.shared.suspended.resume(&request) {
            Ok(None) => self.begin(request).await,
            Ok(Some(resumed)) => match self.shared.calls.resume(&resumed.call, &request.id) {
                Ok(()) => resumed.go_on(),
                Err(refusal) => self.refuse(request.id, refusal).await,
            },
            Err(error) => self.shared.output.send(Response::error(Some(request.id), error)).await,
        }
    }

    async fn begin(&mut self, request: Request) {
        // Requests that were cancelled take a moment to end.
        if self.requests.len() >= self.limits.requests.saturating_mul(2) {
            return self.refuse(request.id, Refusal::TooMany).await;
        }
        match self.shared.calls.begin(&request.id) {
            Ok(call) => {
                let (who, shared) = (Arc::clone(&self.who), Arc::clone(&self.shared));
                self.requests.spawn(serve(who, shared, call, request));
            }
            Err(refusal) => self.refuse(request.id, refusal).await,
        }
    }

    async fn refuse(&self, id: Id, refusal: Refusal) {
        let error = match refusal {
            Refusal::InUse => RpcError::invalid_request("a request with this id is under way"),
            Refusal::TooMany => RpcError::internal("too many requests are under way"),
        };
        self.shared.output.send(Response::error(Some(id), error)).await;
    }
}

/// Serves one request and responds to it.
async fn serve(who: Arc<Who>, shared: Arc<Shared>, call: Arc<Call>, request: Request) {
    if is_modern(&request.method, &request.params) {
        modern(&who, shared, call, request).await;
    } else {
        legacy(&who, shared, call, request).await;
    }
}

/// Responds to a request that could not be read far enough to be served.
async fn fail(shared: &Shared, call: &Arc<Call>, error: RpcError) {
    if let Some(id) = shared.calls.answer(call) {
        shared.output.send(Response::error(Some(id), error)).await;
    }
}

async fn modern(who: &Who, shared: Arc<Shared>, call: Arc<Call>, mut request: Request) {
    // What remains in `_meta` belongs to the request: the token for progress, and the log level.
    let meta = ClientMeta::take(&mut request.params);
    let client = meta.and_then(|meta| who.modern(&meta));
    let client = match client {
        Ok(client) => client,
        Err(error) => return fail(&shared, &call, error).await,
    };
    let (method, capabilities) = (request.method.clone(), &client.capabilities);
    let serving =
        Serving::new(Arc::clone(&shared), Arc::clone(&call), Era::Modern, capabilities, &request);
    let outcome = match governance(Sender::Client, &request.method) {
        Ok(Governance::Lifecycle(Lifecycle::Listen)) => {
            listen::listen(&client, &shared, &call, &serving, request).await
        }
        Ok(Governance::Lifecycle(Lifecycle::Discover)) => {
            mediator::serve(&client, &request, &serving).await.map(shape::discovered)
        }
        Ok(_) if !is_of(Era::Modern, &request.method) => {
            Err(RpcError::method_not_found(&request.method, "this revision does not have it"))
        }
        Ok(_) => mediator::serve(&client, &request, &serving).await,
        Err(error) => Err(error),
    };
    serving.respond(outcome.map(|result| shape::modern(&method, result))).await;
}

async fn legacy(who: &Who, shared: Arc<Shared>, call: Arc<Call>, mut request: Request) {
    let opened = match request.method.as_str() {
        "initialize" => who.open(&request.params),
        "ping" if who.session().is_none() => {
            if let Some(id) = shared.calls.answer(&call) {
                shared.output.send(Response::result(id, Object::new())).await;
            }
            return;
        }
        _ => who.session().ok_or_else(|| {
            RpcError::invalid_request("the session is not initialized: send `initialize` first")
        }),
    };
    let prepared = opened.and_then(|session| prepare(&session, &mut request).map(|()| session));
    let session = match prepared {
        Ok(session) => session,
        Err(error) => return fail(&shared, &call, error).await,
    };
    let client: &Client = &session.client;
    let serving = Serving::new(shared, call, Era::Legacy, &client.capabilities, &request);
    let outcome = mediator::serve(client, &request, &serving).await;
    let outcome = outcome.map(|result| match request.method.as_str() {
        "initialize" => shape::initialized(result, session.version),
        _ => shape::legacy(result),
    });
    serving.respond(outcome).await;
}

/// Checks that the revision of the session has the method, and states the level of its log.
fn prepare(session: &Session, request: &mut Request) -> Result<(), RpcError> {
    let row = sentinel_mcp_protocol::method::find(Sender::Client, &request.method);
    if row.is_some_and(|row| !row.is_in(session.version)) {
        let reason = "the revision of the session does not have it";
        return Err(RpcError::method_not_found(&request.method, reason));
    }
    if matches!(governance(Sender::Client, &request.method)?, Governance::Lifecycle(_)) {
        if request.method == "logging/setLevel" {
            session.set_level(SetLevel::read(request.params.clone())?.level);
        }
        return Ok(());
    }
    session.write_level(&mut request.params)
}

fn is_of(era: Era, method: &str) -> bool {
    sentinel_mcp_protocol::method::find(Sender::Client, method).is_some_and(|row| row.is_of(era))
}

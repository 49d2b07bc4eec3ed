//! The connection that a server has at the moment, and how it gets another one.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::breaker::Breaker;
use super::child::ChildWire;
use super::dialect::Dialect;
use super::handshake::{Greeting, greet, level_request, listen_request, subscribe_request};
use super::spec::{EraChoice, Spec, Transport};
use super::status::{Ledger, Status};
use super::subscriptions::Subscriptions;
use super::unattended::unattended_call;
use super::web::client::Client;
use super::web::sse::SseWire;
use super::web::streamable::StreamableWire;
use super::web::tools::ToolHeaders;
use super::wire::{Effect, Fault, Wire};
use super::{Failure, Server};
use crate::exchange::Unattended;
use sentinel_mcp_protocol::era::Era;
use sentinel_mcp_protocol::jsonrpc::{Notification, Object};

/// News that a slow subscriber may be behind.
const NEWS: usize = 256;

/// A server after the handshake.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) wire: Arc<dyn Wire>,
    pub(super) dialect: Dialect,
    pub(super) server: Arc<Server>,
    /// Whether its end has been counted as a failure, or is not to be.
    pub(super) counted: AtomicBool,
}

/// A link that is there, or is being made; all who need it wait for the same one.
type Linking = Shared<BoxFuture<'static, Result<Arc<Link>, Failure>>>;

#[derive(Debug)]
pub(super) struct Links {
    pub(super) spec: Spec,
    pub(super) calls: Semaphore,
    pub(super) lists: Semaphore,
    pub(super) news: broadcast::Sender<Notification>,
    pub(super) subscriptions: Subscriptions,
    /// The level of the log that a server of the legacy era was asked for.
    level: Mutex<Option<Object>>,
    slot: Mutex<Option<Linking>>,
    /// The era that the server spoke last.
    known: Mutex<Option<Era>>,
    breaker: Breaker,
    ledger: Ledger,
    ids: AtomicI64,
    client: OnceLock<Result<Arc<Client>, Failure>>,
    tools: Arc<ToolHeaders>,
    closed: CancellationToken,
}

impl Links {
    pub(super) fn new(spec: Spec) -> Arc<Self> {
        Arc::new(Self {
            calls: Semaphore::new(spec.limits.calls),
            lists: Semaphore::new(spec.limits.lists),
            news: broadcast::Sender::new(NEWS),
            subscriptions: Subscriptions::default(),
            level: Mutex::default(),
            slot: Mutex::default(),
            known: Mutex::default(),
            breaker: Breaker::new(&spec.limits),
            ledger: Ledger::new(),
            ids: AtomicI64::new(1),
            client: OnceLock::new(),
            tools: Arc::default(),
            closed: CancellationToken::new(),
            spec,
        })
    }

    /// An id that no request of this server had before, on whichever connection.
    pub(super) fn next_id(&self) -> i64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Linking>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link, which is made if there is none.
    pub(super) async fn link(self: &Arc<Self>) -> Result<Arc<Link>, Failure> {
        self.linking()?.await
    }

    fn linking(self: &Arc<Self>) -> Result<Linking, Failure> {
        if self.closed.is_cancelled() {
            return Err(unavailable("the connection to the server was closed".to_owned()));
        }
        let mut slot = self.slot();
        match slot.as_ref().map(|linking| (linking.peek(), linking)) {
            Some((None, linking)) => return Ok(linking.clone()),
            Some((Some(Ok(link)), linking)) if link.wire.is_up() => return Ok(linking.clone()),
            Some((Some(Ok(link)), _)) => self.count(link, &ended()),
            _ => {}
        }
        *slot = None;
        self.breaker.admit(Instant::now()).map_err(paused)?;
        // A task of its own: a client that gives up does not break off what others wait for. It
        // ends within the time limit of a start.
        let task = tokio::spawn(Arc::clone(self).establish());
        let linking = async move {
            let crashed = |_| unavailable("the connection could not be made".to_owned());
            task.await.map_err(crashed)?
        };
        let linking = linking.boxed().shared();
        *slot = Some(linking.clone());
        Ok(linking)
    }

    async fn establish(self: Arc<Self>) -> Result<Arc<Link>, Failure> {
        self.ledger.connecting();
        let since = Instant::now();
        let met = tokio::select! {
            met = tokio::time::timeout(self.spec.limits.start, self.meet()) => met,
            () = self.closed.cancelled() => return Err(ended()),
        };
        let late = || Failure {
            code: "upstream_timeout",
            detail: "the server was not ready in time".to_owned(),
            may_have_run: false,
        };
        match met.unwrap_or_else(|_| Err(late())) {
            Ok(link) => {
                let again = self.ledger.connected(link.dialect.0.as_str(), since);
                self.listen(&link).await;
                self.ask_again(&link);
                if again {
                    self.tell_changes();
                }
                Ok(link)
            }
            // Nothing that a client asked for has been sent yet.
            Err(failure) => {
                let failure = Failure { may_have_run: false, ..failure };
                self.failed(&failure);
                Err(failure)
            }
        }
    }

    /// Connects to the server, in the first era that it speaks.
    async fn meet(&self) -> Result<Arc<Link>, Failure> {
        for era in self.eras() {
            let wire = self.dial().await?;
            let greeting = greet(&*wire, era, &self.spec, self.next_id()).await;
            match greeting.map_err(|fault| fault.failure)? {
                Greeting::Met(dialect, server) => {
                    wire.adopt(dialect);
                    *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(era);
                    let counted = AtomicBool::new(false);
                    return Ok(Arc::new(Link { wire, dialect, server: Arc::new(server), counted }));
                }
                // A child that saw one era may refuse the other, so the next gets a new one.
                Greeting::OtherEra => drop(wire),
            }
        }
        let detail = "the server does not speak a version of the protocol that the gateway speaks";
        Err(Failure { code: "upstream_protocol", detail: detail.to_owned(), may_have_run: false })
    }

    /// The eras in the order in which they are tried.
    fn eras(&self) -> Vec<Era> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let modern_first = match (self.spec.era, &self.spec.transport) {
            (EraChoice::Legacy, _) | (_, Transport::Sse { .. }) => return vec![Era::Legacy],
            (EraChoice::Modern, _) => return vec![Era::Modern],
            (choice, _) => known.map_or(choice == EraChoice::Auto, |era| era == Era::Modern),
        };
        if modern_first { vec![Era::Modern, Era::Legacy] } else { vec![Era::Legacy, Era::Modern] }
    }

    async fn dial(&self) -> Result<Arc<dyn Wire>, Failure> {
        let news = self.news.clone();
        Ok(match &self.spec.transport {
            Transport::Stdio { command, env } => {
                Arc::new(ChildWire::start(&self.spec, command, env, news)?)
            }
            Transport::Http { .. } => {
                Arc::new(StreamableWire::new(self.client()?, Arc::clone(&self.tools), news))
            }
            Transport::Sse { .. } => {
                let wire = SseWire::open(self.client()?, news).await;
                Arc::new(wire.map_err(|fault| fault.failure)?)
            }
        })
    }

    /// The HTTP client, which is kept when the server is connected again.
    fn client(&self) -> Result<Arc<Client>, Failure> {
        let make = || match &self.spec.transport {
            Transport::Http { url, headers } | Transport::Sse { url, headers } => {
                let Spec { networks, limits, .. } = &self.spec;
                Client::new(url.clone(), headers, *networks, limits.of_message()).map(Arc::new)
            }
            Transport::Stdio { .. } => Err(unavailable("a child has no address".to_owned())),
        };
        self.client.get_or_init(make).clone()
    }

    /// Listens to what the server says of its own accord.
    pub(super) async fn listen(&self, link: &Link) {
        if !link.dialect.is_modern() {
            link.wire.listen(None).await;
            return;
        }
        let resources = self.subscriptions.resources();
        if let Some(request) = listen_request(&link.server, &resources, self.next_id()) {
            link.wire.listen(Some(request)).await;
        }
    }

    /// Another process, or another session, may list something else than the last one did.
    fn tell_changes(&self) {
        for what in ["tools", "prompts", "resources"] {
            let method = format!("notifications/{what}/list_changed");
            // Without a subscriber there is nothing to tell.
            drop(self.news.send(Notification { method, params: Object::new() }));
        }
    }

    /// Keeps the parameters of `logging/setLevel` for the next connection.
    pub(super) fn keep_level(&self, params: &Object) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(params.clone());
    }

    /// A new session of the legacy era knows nothing of the subscriptions of the last one, nor of
    /// the level of its log.
    fn ask_again(self: &Arc<Self>, link: &Arc<Link>) {
        if link.dialect.is_modern() {
            return;
        }
        let resources = self.subscriptions.resources();
        let mut requests: Vec<_> =
            resources.iter().map(|uri| subscribe_request(uri, self.next_id())).collect();
        let level = self.level.lock().unwrap_or_else(PoisonError::into_inner).clone();
        requests.extend(level.map(|params| level_request(params, self.next_id())));
        if requests.is_empty() {
            return;
        }
        let (links, link) = (Arc::clone(self), Arc::clone(link));
        // Each request ends by its time limit.
        tokio::spawn(async move {
            for request in requests {
                let call = unattended_call(request);
                let asked = link.wire.call(&call, &Unattended);
                drop(tokio::time::timeout(links.spec.limits.list, asked).await);
            }
        });
    }

    /// A request failed. Returns why, after what follows from it for the link.
    pub(super) fn lost(&self, link: &Arc<Link>, fault: Fault) -> Failure {
        match fault.effect {
            Effect::None | Effect::Refused => {}
            Effect::Expired => self.forget(link),
            Effect::Broken => {
                self.forget(link);
                self.count(link, &fault.failure);
            }
        }
        fault.failure
    }

    /// The link is not used for further requests; those under way keep it.
    fn forget(&self, link: &Arc<Link>) {
        let mut slot = self.slot();
        let current = slot.as_ref().and_then(Shared::peek);
        if matches!(current, Some(Ok(current)) if Arc::ptr_eq(current, link)) {
            *slot = None;
        }
    }

    /// Counts the end of a link once, however many requests it fails.
    fn count(&self, link: &Link, failure: &Failure) {
        if !link.counted.swap(true, Ordering::Relaxed) {
            self.failed(failure);
        }
    }

    fn failed(&self, failure: &Failure) {
        self.breaker.failed(Instant::now());
        let paused = self.breaker.admit(Instant::now()).is_err();
        self.ledger.failed(failure, paused);
        tracing::info!(upstream = %self.spec.name, code = failure.code, detail = %failure.detail, "an upstream failed");
    }

    /// The server answered, so it is well.
    pub(super) fn answered(&self, latency: Option<Duration>) {
        self.breaker.succeeded();
        if let Some(latency) = latency {
            self.ledger.measured(latency);
        }
    }

    /// The server gave no list in time. A child that hangs is started again.
    pub(super) fn unresponsive(&self) {
        let current = self.slot().as_ref().and_then(|linking| linking.peek().cloned());
        if let Some(Ok(link)) = current {
            drop(self.lost(&link, Fault::broken("the server did not respond in time", true)));
        }
    }

    pub(super) fn status(&self) -> Status {
        let mut status = self.ledger.read();
        let limits = &self.spec.limits;
        let free = self.calls.available_permits() + self.lists.available_permits();
        status.in_flight = (limits.calls + limits.lists).saturating_sub(free);
        if let Some(Ok(link)) = self.slot().as_ref().and_then(Shared::peek) {
            status.dropped = link.wire.dropped();
            status.stderr = link.wire.stderr();
        }
        status
    }

    /// No further connection is made.
    pub(super) fn end(&self) -> Option<Linking> {
        self.closed.cancel();
        self.ledger.closed();
        self.slot().take()
    }

    pub(super) async fn close(&self) {
        let last = self.end();
        if let Some(Ok(link)) = last.as_ref().and_then(Shared::peek) {
            link.wire.close().await;
        }
    }
}

fn unavailable(detail: String) -> Failure {
    Failure { code: "upstream_unavailable", detail, may_have_run: false }
}

fn ended() -> Failure {
    unavailable("the connection to the server has ended".to_owned())
}

fn paused(left: Duration) -> Failure {
    let seconds = left.as_secs() + 1;
    unavailable(format!("the server failed several times; it is tried again in {seconds} s"))
}

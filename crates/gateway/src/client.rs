//! The clients of the gateway, as everything behind a front sees them.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::authority::{Authority, Standing};
use crate::catalog::{Settings, Shown, Source};
use crate::enforce::Enforcement;
use sentinel_mcp_protocol::jsonrpc::Object;

/// The number of the next client.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Tools that a session remembers: a server that renames its tools all the time fills no memory.
const MOST_SHOWN: usize = 10_000;

/// One client: who it speaks for, and which servers it reaches. A front keeps it for a session of
/// the legacy era, and makes one for each request of the modern era.
#[derive(Debug)]
pub struct Client {
    pub authority: Arc<dyn Authority>,
    pub route: Arc<Route>,
    /// `clientInfo`, as the client states it: shown to policy, believed by nothing.
    pub info: Object,
    /// Capabilities of the client, as the gateway may use them.
    pub capabilities: Object,
    /// What all clients share for the enforcement of calls.
    pub(crate) enforcement: Arc<Enforcement>,
    /// Tells it from all other clients of this process.
    number: u64,
    /// Tools that this session has been shown, sorted by the name that the client knows. They stay
    /// listed as they were shown; a revoked one is denied by a result.
    shown: Mutex<Vec<Arc<Shown>>>,
    /// Resources that the client is subscribed to: the upstream, and its URI.
    subscriptions: Mutex<BTreeSet<(String, String)>>,
    /// What registry and policy said last, by upstream.
    verdicts: Mutex<HashMap<String, Verdict>>,
}

/// What registry and policy said of the tools of an upstream.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    /// The version of the tools.
    pub(crate) tools: [u8; 32],
    /// The state of the authority in which it was asked.
    pub(crate) state: u64,
    pub(crate) at: Instant,
    pub(crate) standings: Arc<[Standing]>,
}

/// The servers behind one endpoint, and how their names appear there.
#[derive(Debug)]
pub struct Route {
    /// Whether the client sees `upstream__tool`; otherwise there is one upstream, and the client
    /// sees the names of the server.
    pub prefixed: bool,
    pub settings: Arc<Settings>,
    sources: watch::Sender<Arc<[Arc<Source>]>>,
}

impl Route {
    /// A route to several upstreams, under prefixed names.
    #[must_use]
    pub fn merged(sources: Vec<Arc<Source>>, settings: Arc<Settings>) -> Self {
        Self { prefixed: true, settings, sources: watch::Sender::new(sources.into()) }
    }

    /// A route to one upstream, under its own names.
    #[must_use]
    pub fn single(source: Arc<Source>, settings: Arc<Settings>) -> Self {
        Self { prefixed: false, settings, sources: watch::Sender::new(Arc::from([source])) }
    }

    /// The upstreams, in the order in which they are listed.
    #[must_use]
    pub fn sources(&self) -> Arc<[Arc<Source>]> {
        Arc::clone(&self.sources.borrow())
    }

    /// The upstream of that name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<Arc<Source>> {
        self.sources.borrow().iter().find(|source| source.name() == name).cloned()
    }

    /// Changes the upstreams: sessions that live see that at once.
    pub fn replace(&self, sources: Vec<Arc<Source>>) {
        self.sources.send_replace(sources.into());
    }

    /// Reports changes of the upstreams.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<[Arc<Source>]>> {
        self.sources.subscribe()
    }
}

impl Client {
    #[must_use]
    pub fn new(authority: Arc<dyn Authority>, route: Arc<Route>) -> Self {
        Self {
            authority,
            route,
            info: Object::new(),
            capabilities: Object::new(),
            enforcement: Enforcement::of_process(),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            shown: Mutex::default(),
            subscriptions: Mutex::default(),
            verdicts: Mutex::default(),
        }
    }

    /// Has calls enforced by these settings, in place of the defaults.
    #[must_use]
    pub fn enforced_by(mut self, enforcement: Arc<Enforcement>) -> Self {
        self.enforcement = enforcement;
        self
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Remembers that the client has been shown tools.
    pub(crate) fn show<'a>(&self, tools: impl IntoIterator<Item = &'a Arc<Shown>>) {
        let mut shown = lock(&self.shown);
        for tool in tools {
            match shown.binary_search_by(|known| known.name.cmp(&tool.name)) {
                Ok(at) => {
                    if let Some(known) = shown.get_mut(at) {
                        *known = Arc::clone(tool);
                    }
                }
                Err(at) if shown.len() < MOST_SHOWN => shown.insert(at, Arc::clone(tool)),
                Err(_) => {}
            }
        }
    }

    /// The tools that the client has been shown, sorted by name.
    pub(crate) fn shown(&self) -> Vec<Arc<Shown>> {
        lock(&self.shown).clone()
    }

    /// Whether the client has been shown the tool that it knows by this name.
    #[must_use]
    pub fn was_shown(&self, tool: &str) -> bool {
        lock(&self.shown).binary_search_by(|known| known.name.as_str().cmp(tool)).is_ok()
    }

    /// What was said last of the tools of an upstream.
    pub(crate) fn verdict(&self, upstream: &str) -> Option<Verdict> {
        lock(&self.verdicts).get(upstream).cloned()
    }

    pub(crate) fn remember(&self, upstream: &str, verdict: Verdict) {
        lock(&self.verdicts).insert(upstream.to_owned(), verdict);
    }

    /// Remembers a subscription; returns whether it is new.
    pub(crate) fn subscribe(&self, upstream: &str, uri: &str) -> bool {
        lock(&self.subscriptions).insert((upstream.to_owned(), uri.to_owned()))
    }

    /// Forgets a subscription; returns whether there was one.
    pub(crate) fn unsubscribe(&self, upstream: &str, uri: &str) -> bool {
        lock(&self.subscriptions).remove(&(upstream.to_owned(), uri.to_owned()))
    }

    #[must_use]
    pub(crate) fn is_subscribed(&self, upstream: &str, uri: &str) -> bool {
        lock(&self.subscriptions).contains(&(upstream.to_owned(), uri.to_owned()))
    }

    pub(crate) fn count_subscriptions(&self) -> usize {
        lock(&self.subscriptions).len()
    }
}

impl Drop for Client {
    /// What a client is subscribed to ends with it. The server may still report changes; they go
    /// to no client.
    fn drop(&mut self) {
        for (upstream, uri) in &*lock(&self.subscriptions) {
            if let Some(source) = self.route.source(upstream) {
                source.unsubscribe(uri);
            }
        }
        for source in &*self.route.sources() {
            source.forget_level(self.number);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Tells a client when to list again, and that a resource it is subscribed to was updated.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, Sleep};

use super::fetch::Kind;
use super::shown::{Digest, digest_of};
use super::source::Source;
use super::uris::map_notification;
use super::view::views_of;
use crate::client::Client;
use sentinel_mcp_protocol::jsonrpc::{Notification, Object};

const UPDATED: &str = "notifications/resources/updated";
/// Changes are collected for so long: one change in the registry is often the first of several, and
/// a kill cuts calls before lists are read again.
const COLLECTING: Duration = Duration::from_millis(100);

/// What a client is told without asking. It ends when it is dropped.
pub struct Changes {
    client: Arc<Client>,
    authority: watch::Receiver<u64>,
    route: watch::Receiver<Arc<[Arc<Source>]>>,
    heard: FuturesUnordered<BoxFuture<'static, Heard>>,
    /// What the client could see when it was last told.
    known: HashMap<(String, Kind), Digest>,
    /// Lists to look at, once `collecting` has ended.
    suspected: BTreeSet<Kind>,
    collecting: Option<Pin<Box<Sleep>>>,
    ready: VecDeque<Notification>,
    started: bool,
}

/// One signal of one upstream, and how to wait for the next.
enum Heard {
    News(Arc<Source>, broadcast::Receiver<Notification>, Option<Notification>),
    Fetched(Arc<Source>, Kind, watch::Receiver<u64>),
    Ended,
}

impl Changes {
    #[must_use]
    pub fn new(client: &Arc<Client>) -> Self {
        let mut changes = Self {
            authority: client.authority.changes(),
            route: client.route.changes(),
            client: Arc::clone(client),
            heard: FuturesUnordered::new(),
            known: HashMap::new(),
            suspected: BTreeSet::new(),
            collecting: None,
            ready: VecDeque::new(),
            started: false,
        };
        changes.listen();
        changes
    }

    /// Takes note of what the client can see, so that each change from then on is reported.
    /// [`next`](Self::next) does so first if it was not done. Losing the future loses nothing.
    pub async fn begin(&mut self) {
        if !self.started {
            self.compare(Kind::ALL.into()).await;
            self.started = true;
        }
    }

    /// The next notification. Losing the future loses no notification.
    pub async fn next(&mut self) -> Notification {
        self.begin().await;
        loop {
            if let Some(notification) = self.ready.pop_front() {
                return notification;
            }
            self.wait().await;
        }
    }

    /// Waits for one signal, or for the end of collecting.
    async fn wait(&mut self) {
        let collecting = self.collecting.as_mut();
        tokio::select! {
            () = async { match collecting { Some(sleep) => sleep.await, None => never().await } } => {
                self.look().await;
            }
            () = changed(&mut self.authority) => self.suspect(Kind::ALL),
            () = changed(&mut self.route) => {
                self.listen();
                self.suspect(Kind::ALL);
            }
            Some(heard) = self.heard.next() => self.hear(heard),
        }
    }

    /// Starts to listen to the upstreams of the route, and to no other.
    fn listen(&mut self) {
        self.heard = FuturesUnordered::new();
        let sources = Arc::clone(&self.route.borrow_and_update());
        for source in sources.iter() {
            self.heard.push(news(Arc::clone(source), source.upstream().news()));
            for kind in Kind::ALL {
                self.heard.push(fetched(Arc::clone(source), kind, source.changes(kind)));
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::News(source, receiver, notification) => {
                match notification {
                    Some(notification) if notification.method == UPDATED => {
                        self.update(&source, notification);
                    }
                    Some(notification) => {
                        let changed = |kind: &Kind| kind.changed() == notification.method;
                        self.suspect(Kind::ALL.into_iter().filter(changed));
                    }
                    // Something was lost.
                    None => self.suspect(Kind::ALL),
                }
                self.heard.push(news(source, receiver));
            }
            Heard::Fetched(source, kind, receiver) => {
                self.suspect([kind]);
                self.heard.push(fetched(source, kind, receiver));
            }
            Heard::Ended => {}
        }
    }

    fn update(&mut self, source: &Source, mut notification: Notification) {
        let uri = notification.params.get("uri").and_then(Value::as_str);
        if !uri.is_some_and(|uri| self.client.is_subscribed(source.name(), uri)) {
            return;
        }
        if self.client.route.prefixed {
            map_notification(source.name(), &mut notification);
        }
        // A client that does not read keeps the latest of each, and no more.
        self.ready.retain(|waiting| *waiting != notification);
        self.ready.push_back(notification);
    }

    fn suspect(&mut self, kinds: impl IntoIterator<Item = Kind>) {
        self.suspected.extend(kinds);
        if !self.suspected.is_empty() && self.collecting.is_none() {
            let end = Instant::now() + COLLECTING;
            self.collecting = Some(Box::pin(tokio::time::sleep_until(end)));
        }
    }

    /// Looks whether what the client may see has changed.
    async fn look(&mut self) {
        let suspected = self.suspected.clone();
        let methods = self.compare(suspected).await;
        // Only now: if this is dropped while it waits, the next one looks again.
        self.suspected.clear();
        self.collecting = None;
        for method in methods {
            let method = method.to_owned();
            self.ready.push_back(Notification { method, params: Object::new() });
        }
    }

    /// Compares what the client may see with what is known, and returns the notifications of the
    /// lists that differ. An upstream that cannot be asked now has not changed.
    async fn compare(&mut self, kinds: BTreeSet<Kind>) -> BTreeSet<&'static str> {
        let sources = self.client.route.sources();
        let wanted: Vec<_> = kinds.iter().copied().collect();
        let views = sources.iter().map(|source| async {
            let views = views_of(&self.client, source, &wanted).await;
            let name = |kind| (source.name().to_owned(), kind);
            let found = views.into_iter().filter_map(|(kind, view)| Some((name(kind), view.ok()?)));
            found.map(|(key, view)| (key, view.digest())).collect::<Vec<_>>()
        });
        let found: Vec<_> = join_all(views).await.into_iter().flatten().collect();
        let gone: Vec<_> = self
            .known
            .keys()
            .filter(|(name, kind)| {
                kinds.contains(kind) && !sources.iter().any(|source| source.name() == name)
            })
            .cloned()
            .collect();
        let mut methods = BTreeSet::new();
        // An upstream that is new, or gone, changes a list only if it has something there.
        let nothing = digest_of([]);
        for key in gone {
            if self.known.remove(&key).is_some_and(|before| before != nothing) {
                methods.insert(key.1.changed());
            }
        }
        for (key, digest) in found {
            let kind = key.1;
            if self.known.insert(key, digest).unwrap_or(nothing) != digest {
                methods.insert(kind.changed());
            }
        }
        methods
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("suspected", &self.suspected).finish_non_exhaustive()
    }
}

fn news(
    source: Arc<Source>,
    mut receiver: broadcast::Receiver<Notification>,
) -> BoxFuture<'static, Heard> {
    async move {
        match receiver.recv().await {
            Ok(notification) => Heard::News(source, receiver, Some(notification)),
            Err(broadcast::error::RecvError::Lagged(_)) => Heard::News(source, receiver, None),
            Err(broadcast::error::RecvError::Closed) => Heard::Ended,
        }
    }
    .boxed()
}

fn fetched(
    source: Arc<Source>,
    kind: Kind,
    mut receiver: watch::Receiver<u64>,
) -> BoxFuture<'static, Heard> {
    async move {
        match receiver.changed().await {
            Ok(()) => Heard::Fetched(source, kind, receiver),
            Err(_) => Heard::Ended,
        }
    }
    .boxed()
}

/// Completes at the next change. A sender that has gone changes nothing any more.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        never().await;
    }
}

async fn never() {
    std::future::pending().await
}

//! A value that is fetched by one task at a time, and kept.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::settings::Settings;
use super::shown::Digest;
use crate::upstream::Failure;

/// Fetches the value. It must end by itself.
pub(crate) type Fetch<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, Failure>> + Send + Sync>;

/// The latest value, and the task that fetches a newer one. A fetch does not end with the request
/// that started it: a slow server is ready for the next one.
pub(crate) struct Cached<T> {
    state: Mutex<State<T>>,
    fetch: Fetch<T>,
    version: fn(&T) -> Digest,
    /// Counts the fetches that have ended.
    ended: watch::Sender<u64>,
    /// Counts the values that differ from the one before.
    changed: watch::Sender<u64>,
    times: Times,
}

#[derive(Clone, Copy)]
struct Times {
    fresh: Duration,
    stale: Duration,
    retry_after: Duration,
    limit: Duration,
}

struct State<T> {
    latest: Option<(Arc<T>, Instant)>,
    failed: Option<(Failure, Instant)>,
    /// The server has said that its list changed since the latest fetch began.
    outdated: bool,
    fetching: Option<Fetching>,
}

/// A fetch that is under way.
#[derive(Clone, Copy)]
struct Fetching {
    since: Instant,
    /// It was started because the list was outdated.
    was_outdated: bool,
}

impl<T> State<T> {
    /// Whether the latest value is known not to be that of the server any more, also while a newer
    /// one is fetched.
    fn is_outdated(&self) -> bool {
        self.outdated || self.fetching.is_some_and(|fetching| fetching.was_outdated)
    }
}

/// What a caller accepts instead of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Waits for a value that is fresh, within a budget.
    Fresh(Duration),
    /// Takes one that is stale and not known to be outdated; waits only when there is none.
    Stale(Duration),
}

impl<T: Send + Sync + 'static> Cached<T> {
    pub(crate) fn new(
        settings: &Settings,
        version: fn(&T) -> Digest,
        fetch: Fetch<T>,
    ) -> Arc<Self> {
        let state = State { latest: None, failed: None, outdated: false, fetching: None };
        let times = Times {
            fresh: settings.fresh,
            stale: settings.stale,
            retry_after: settings.retry_after,
            limit: settings.fetch_limit,
        };
        let (ended, changed) = (watch::Sender::new(0), watch::Sender::new(0));
        Arc::new(Self { state: Mutex::new(state), fetch, version, ended, changed, times })
    }

    /// The value; one that is stale when no newer one comes in time.
    pub(crate) async fn get(self: &Arc<Self>, patience: Patience) -> Result<Arc<T>, Failure> {
        let (mut ended, deadline) = {
            let mut state = self.lock();
            if let Some(settled) = self.without_waiting(&mut state, patience) {
                return settled;
            }
            let (Patience::Fresh(budget) | Patience::Stale(budget)) = patience;
            // A server that hangs costs the budget once, and not again with each list.
            let since = state.fetching.map_or_else(Instant::now, |fetching| fetching.since);
            (self.ended.subscribe(), since + budget)
        };
        // Ending and subscribing both happen under the lock, so that no end is missed.
        let in_time = tokio::time::timeout_at(deadline, ended.changed()).await.is_ok();
        let state = self.lock();
        self.usable(&state).ok_or_else(|| match &state.failed {
            Some((failure, _)) if in_time => failure.clone(),
            _ => Failure {
                code: "upstream_timeout",
                detail: "the server has not listed what it offers yet".to_owned(),
                may_have_run: false,
            },
        })
    }

    /// The latest value, however old it is.
    pub(crate) fn latest(&self) -> Option<Arc<T>> {
        self.lock().latest.as_ref().map(|(value, _)| Arc::clone(value))
    }

    /// Changes whenever a value was fetched that differs from the one before.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Has the next caller fetch the value again.
    pub(crate) fn invalidate(&self) {
        let mut state = self.lock();
        state.outdated = true;
        state.failed = None;
    }

    /// Starts a fetch where one is due, and returns what can be had at once.
    fn without_waiting(
        self: &Arc<Self>,
        state: &mut State<T>,
        patience: Patience,
    ) -> Option<Result<Arc<T>, Failure>> {
        let known = self.usable(state);
        let age = state.latest.as_ref().map(|(_, at)| at.elapsed());
        if !state.outdated && age.is_some_and(|age| age < self.times.fresh) {
            return known.map(Ok);
        }
        if state.fetching.is_none() {
            if let Some((failure, at)) = &state.failed
                && at.elapsed() < self.times.retry_after
            {
                return Some(known.ok_or_else(|| failure.clone()));
            }
            self.start(state);
        }
        match patience {
            Patience::Stale(_) if !state.is_outdated() => known.map(Ok),
            _ => None,
        }
    }

    fn usable(&self, state: &State<T>) -> Option<Arc<T>> {
        let (value, at) = state.latest.as_ref()?;
        (at.elapsed() < self.times.stale).then(|| Arc::clone(value))
    }

    fn start(self: &Arc<Self>, state: &mut State<T>) {
        let was_outdated = std::mem::take(&mut state.outdated);
        state.fetching = Some(Fetching { since: Instant::now(), was_outdated });
        let this = Arc::clone(self);
        let fetch = AssertUnwindSafe((self.fetch)());
        // It ends by the limit at the latest, whether or not anyone still waits.
        tokio::spawn(async move {
            let fetched = tokio::time::timeout(this.times.limit, fetch.catch_unwind()).await;
            this.end(match fetched {
                Ok(Ok(fetched)) => fetched,
                Ok(Err(_)) => Err(failure("upstream_protocol", "the list could not be read")),
                Err(_) => Err(failure("upstream_timeout", "the server took too long to list")),
            });
        });
    }

    fn end(&self, fetched: Result<T, Failure>) {
        let mut state = self.lock();
        let was_outdated = state.fetching.take().is_some_and(|fetching| fetching.was_outdated);
        match fetched {
            Ok(value) => {
                let version = (self.version)(&value);
                let before = state.latest.as_ref().map(|(before, _)| (self.version)(before));
                if before != Some(version) {
                    self.changed.send_modify(|count| *count = count.wrapping_add(1));
                }
                state.latest = Some((Arc::new(value), Instant::now()));
                state.failed = None;
            }
            Err(failure) => {
                // What the server announced has not been seen yet.
                state.outdated |= was_outdated;
                state.failed = Some((failure, Instant::now()));
            }
        }
        self.ended.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(code: &'static str, detail: &str) -> Failure {
    Failure { code, detail: detail.to_owned(), may_have_run: false }
}

impl<T> std::fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

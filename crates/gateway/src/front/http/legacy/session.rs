//! One session of the legacy era, as this replica holds it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::feeds::Feeds;
use super::questions::Questions;
use crate::client::Client;
use crate::front::http::feed::{Feed, Keep};
use crate::front::wants::level;
use crate::gateway::Speaker;
use sentinel_mcp_protocol::era::Version;
use sentinel_mcp_protocol::jsonrpc::{Id, Object};

/// The level of log messages until the client sets one.
const DEFAULT_LEVEL: &str = "info";

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) version: Version,
    pub(super) speaker: Speaker,
    pub(super) client: Arc<Client>,
    /// What the client declared, as far as it is governed.
    pub(super) capabilities: Arc<Object>,
    pub(super) questions: Arc<Questions>,
    /// What belongs to no request; its number is 0.
    pub(super) general: Arc<Feed>,
    pub(super) feeds: Mutex<Feeds>,
    level: AtomicUsize,
    /// Requests that are being served.
    calls: Mutex<HashMap<Id, CancellationToken>>,
    /// Wakes the task that waits for the last of them.
    idle: Notify,
    ended: CancellationToken,
    started: Instant,
    /// Milliseconds after `started` at which it was used last.
    used: AtomicU64,
}

/// A request of the session that is being served. Dropping it gives its id back.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) cancel: CancellationToken,
    session: Arc<Session>,
    id: Id,
}

impl Session {
    pub(super) fn new(
        id: Uuid,
        version: Version,
        speaker: Speaker,
        client: Arc<Client>,
        capabilities: Object,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            version,
            speaker,
            client,
            capabilities: Arc::new(capabilities),
            questions: Arc::default(),
            general: Feed::new(Keep::All),
            feeds: Mutex::default(),
            level: AtomicUsize::new(level(DEFAULT_LEVEL).unwrap_or_default()),
            calls: Mutex::default(),
            idle: Notify::new(),
            ended: CancellationToken::new(),
            started: Instant::now(),
            used: AtomicU64::new(0),
        })
    }

    /// Begins a request. `None` when the client uses the id of one that is being served: the two
    /// responses could not be told apart.
    pub(super) fn begin(self: &Arc<Self>, id: &Id) -> Option<Call> {
        let mut calls = self.calls();
        if calls.contains_key(id) {
            return None;
        }
        let cancel = self.ended.child_token();
        calls.insert(id.clone(), cancel.clone());
        drop(calls);
        self.touch();
        Some(Call { cancel, session: Arc::clone(self), id: id.clone() })
    }

    /// The client no longer waits for the response.
    pub(super) fn cancel(&self, id: &Id) {
        let call = self.calls().get(id).cloned();
        if let Some(call) = call {
            call.cancel();
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.calls().is_empty()
    }

    /// Waits until nothing is being served, but not longer than `limit`.
    pub(super) async fn drained(&self, limit: Duration) {
        let idle = async {
            loop {
                let idle = self.idle.notified();
                tokio::pin!(idle);
                idle.as_mut().enable();
                if !self.is_busy() {
                    return;
                }
                idle.await;
            }
        };
        // What takes longer is cancelled when the session ends.
        drop(tokio::time::timeout(limit, idle).await);
    }

    /// Ends the session: what is under way is cancelled, and streams end once its responses are
    /// sent.
    pub(super) fn end(&self) {
        self.ended.cancel();
        self.general.close();
    }

    pub(super) fn feeds(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_level(&self, name: &str) {
        if let Some(level) = level(name) {
            self.level.store(level, Ordering::Relaxed);
        }
    }

    /// The name of the lowest level of log messages that the client wants.
    pub(super) fn level(&self) -> &'static str {
        let level = self.level.load(Ordering::Relaxed);
        sentinel_mcp_protocol::era::meta::LOG_LEVELS.get(level).copied().unwrap_or(DEFAULT_LEVEL)
    }

    pub(super) fn touch(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used.store(now, Ordering::Relaxed);
    }

    /// When it was used last.
    pub(super) fn used(&self) -> Instant {
        self.started + Duration::from_millis(self.used.load(Ordering::Relaxed))
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<Id, CancellationToken>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.session.calls().remove(&self.id);
        self.session.idle.notify_waiters();
        self.session.touch();
    }
}

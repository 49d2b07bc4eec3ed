//! Questions to a client of the legacy era, and its responses.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use sentinel_mcp_protocol::jsonrpc::{Id, Object, Response, RpcError};

/// What a client responds to a question.
pub(super) type Answer = Result<Object, RpcError>;

/// The questions that wait for a response.
#[derive(Debug, Default)]
pub(super) struct Asks {
    next: AtomicU64,
    waiting: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
}

impl Asks {
    /// An id for a question, and where its response comes.
    pub(super) fn open(&self) -> (Question<'_>, oneshot::Receiver<Answer>) {
        let id = format!("sentinel-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(id.clone(), sender);
        (Question { asks: self, id }, receiver)
    }

    /// Hands over a response. One that no question waits for is dropped.
    pub(super) fn respond(&self, response: Response) {
        let Some(Id::Text(id)) = response.id else { return };
        match self.lock().remove(&id) {
            Some(waiting) => drop(waiting.send(response.outcome)),
            None => tracing::debug!("the client responded to a question that was not asked"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that waits. Dropped, it waits no longer.
#[derive(Debug)]
pub(super) struct Question<'a> {
    asks: &'a Asks,
    id: String,
}

impl Question<'_> {
    pub(super) fn id(&self) -> Id {
        Id::Text(self.id.clone())
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.asks.lock().remove(&self.id);
    }
}

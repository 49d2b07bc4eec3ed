//! Group commit: items that arrive while the store is busy are written together with the next
//! write. No item waits for others to arrive.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::ServiceError;

/// What writes a group of items.
#[async_trait]
pub trait GroupWriter: Send + Sync + 'static {
    type Item: Send;
    type Answer: Send;

    /// Takes a group out of `queue` (it is never empty) and writes it, leaving what has to wait.
    /// Answers one result for each item taken, in the order of the items.
    async fn write(
        &self,
        queue: &mut Vec<Waiting<Self::Item, Self::Answer>>,
    ) -> Vec<Settled<Self::Answer>>;
}

/// An item and whoever waits for it.
#[derive(Debug)]
pub struct Waiting<Item, Answer> {
    pub item: Item,
    pub answer: oneshot::Sender<Result<Answer, ServiceError>>,
}

/// A result, and where it goes.
pub type Settled<Answer> =
    (oneshot::Sender<Result<Answer, ServiceError>>, Result<Answer, ServiceError>);

/// The entrance to a group writer.
#[derive(Debug)]
pub struct Group<Item, Answer> {
    sender: mpsc::Sender<Waiting<Item, Answer>>,
}

impl<Item: Send + 'static, Answer: Send + 'static> Group<Item, Answer> {
    /// Starts the task that feeds `writer`. At most `capacity` items wait; more are refused. The
    /// task ends once this is dropped and everything accepted is answered.
    pub fn start<W>(writer: Arc<W>, capacity: usize, group: usize) -> Self
    where
        W: GroupWriter<Item = Item, Answer = Answer>,
    {
        let (sender, receiver) = mpsc::channel(capacity);
        tokio::spawn(feed(writer, receiver, group));
        Self { sender }
    }

    /// Whether the task that writes still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Submits an item and waits until it is durable.
    ///
    /// # Errors
    /// `Overloaded` when too many wait already; else what the writer answers. An item whose
    /// waiter goes away is written all the same.
    pub async fn submit(&self, item: Item) -> Result<Answer, ServiceError> {
        let (answer, settled) = oneshot::channel();
        self.sender.try_send(Waiting { item, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ServiceError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        settled.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> ServiceError {
    ServiceError::Unavailable("the writer has stopped".to_owned())
}

async fn feed<W: GroupWriter>(
    writer: Arc<W>,
    mut receiver: mpsc::Receiver<Waiting<W::Item, W::Answer>>,
    group: usize,
) {
    let mut queue = Vec::with_capacity(group);
    loop {
        if queue.is_empty() {
            match receiver.recv().await {
                Some(first) => queue.push(first),
                None => return,
            }
        }
        while queue.len() < group {
            let Ok(next) = receiver.try_recv() else { break };
            queue.push(next);
        }
        for (answer, result) in writer.write(&mut queue).await {
            // A waiter that has gone away has no use for its answer; what it asked is recorded.
            drop(answer.send(result));
        }
    }
}

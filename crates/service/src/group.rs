//! Group commit: items that arrive while the store is busy are written together with the next
//! write. Under load a group also waits a little for items that are about to arrive.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_telemetry::SpanContext;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::ServiceError;

/// What writes a group of items.
#[async_trait]
pub trait GroupWriter: Send + Sync + 'static {
    type Item: Send;
    type Answer: Send;

    /// Takes a group out of `queue` (it is never empty) and writes it, leaving what has to wait.
    /// Returns one result for each item taken, in the order of the items.
    async fn write(
        &self,
        queue: &mut Vec<Waiting<Self::Item, Self::Answer>>,
    ) -> Vec<Settled<Self::Answer>>;
}

/// An item, and the request that waits for it.
#[derive(Debug)]
pub struct Waiting<Item, Answer> {
    pub item: Item,
    /// The span of the request: the task that writes is not the request's own.
    pub span: Option<SpanContext>,
    pub answer: oneshot::Sender<Result<Answer, ServiceError>>,
}

/// A result, and where it goes.
pub type Settled<Answer> =
    (oneshot::Sender<Result<Answer, ServiceError>>, Result<Answer, ServiceError>);

/// Takes items out of the front of `queue` that together weigh at most `most`, and the first in any
/// case.
pub fn take_within<Item, Answer>(
    queue: &mut Vec<Waiting<Item, Answer>>,
    most: usize,
    weight: impl Fn(&Item) -> usize,
) -> Vec<Waiting<Item, Answer>> {
    let mut sum = 0_usize;
    let fitting = queue.iter().take_while(|waiting| {
        sum = sum.saturating_add(weight(&waiting.item));
        sum <= most
    });
    let taken = fitting.count().max(1).min(queue.len());
    queue.drain(..taken).collect()
}

/// How large groups become.
#[derive(Debug, Clone, Copy)]
pub struct Grouping {
    /// The most items of one group.
    pub most: usize,
    pub delay: Delay,
}

/// How long a group waits, under load, for items that are about to arrive. Each write has a cost of
/// its own, which many writers that share a busy store would pay for many small groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delay {
    /// Half the time of the last write, and at most [`Self::MOST`]: the slower the store, the more
    /// a larger group is worth, and the wait stays short beside the write.
    #[default]
    Adaptive,
    /// A fixed delay; zero disables it.
    Fixed(Duration),
}

impl Delay {
    /// Upper bound of the adaptive delay.
    pub const MOST: Duration = Duration::from_millis(1);

    fn after(self, write: Duration) -> Duration {
        match self {
            Self::Adaptive => (write / 2).min(Self::MOST),
            Self::Fixed(delay) => delay,
        }
    }
}

/// The entrance to a group writer.
#[derive(Debug)]
pub struct Group<Item, Answer> {
    sender: mpsc::Sender<Waiting<Item, Answer>>,
}

impl<Item: Send + 'static, Answer: Send + 'static> Group<Item, Answer> {
    /// Starts the task that feeds `writer`. At most `capacity` items wait; more are refused. The
    /// task ends once this is dropped and everything that was accepted is settled.
    pub fn start<W>(writer: Arc<W>, capacity: usize, grouping: Grouping) -> Self
    where
        W: GroupWriter<Item = Item, Answer = Answer>,
    {
        let (sender, receiver) = mpsc::channel(capacity);
        tokio::spawn(feed(writer, receiver, grouping));
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
    /// `Overloaded` when too many wait already; else the error of the writer. An item whose waiter
    /// goes away is written all the same.
    pub async fn submit(&self, item: Item) -> Result<Answer, ServiceError> {
        let (answer, settled) = oneshot::channel();
        let waiting = Waiting { item, span: sentinel_telemetry::current(), answer };
        self.sender.try_send(waiting).map_err(|error| match error {
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
    grouping: Grouping,
) {
    let mut queue = Vec::with_capacity(grouping.most);
    let (mut answered, mut took) = (0, Duration::ZERO);
    loop {
        if queue.is_empty() {
            match receiver.recv().await {
                Some(first) => queue.push(first),
                None => return,
            }
        }
        take_waiting(&mut receiver, &mut queue, grouping.most);
        // The callers that were answered last ask again soon, if the load goes on.
        let expected = (queue.len() + answered).min(grouping.most);
        let delay = grouping.delay.after(took);
        if !delay.is_zero() && answered >= WORTH_WAITING_FOR {
            wait_for(&mut receiver, &mut queue, expected, delay).await;
        }
        let started = Instant::now();
        let settled = writer.write(&mut queue).await;
        (answered, took) = (settled.len(), started.elapsed());
        for (answer, result) in settled {
            // A waiter that has gone away does not receive its result; its item is written.
            drop(answer.send(result));
        }
    }
}

/// After a smaller group there is little load, and a wait gains nothing.
const WORTH_WAITING_FOR: usize = 8;

fn take_waiting<T>(receiver: &mut mpsc::Receiver<T>, queue: &mut Vec<T>, most: usize) {
    while queue.len() < most {
        let Ok(next) = receiver.try_recv() else { break };
        queue.push(next);
    }
}

/// Until nine in ten of those `expected` are there, or the `delay` is over.
async fn wait_for<T>(
    receiver: &mut mpsc::Receiver<T>,
    queue: &mut Vec<T>,
    expected: usize,
    delay: Duration,
) {
    let (enough, deadline) = (expected - expected / 10, Instant::now() + delay);
    while queue.len() < enough {
        match timeout_at(deadline, receiver.recv()).await {
            Ok(Some(next)) => queue.push(next),
            Ok(None) | Err(_) => return,
        }
    }
}

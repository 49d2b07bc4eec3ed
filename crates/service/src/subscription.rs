//! What a subscriber of the bus hears: what it missed, then what comes, and whenever some of it was
//! let go before it could be heard, that there is a gap.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::bus::{EventId, Published};
use crate::history::{Group, History, Since};

/// A place in the stream of events, and what follows it.
#[derive(Debug)]
pub struct Subscription {
    /// Whether some events after the position asked for are no longer kept; the subscriber should
    /// read the state again.
    pub gap: bool,
    /// Identifier of the newest event at the time of subscribing.
    pub position: EventId,
    history: Arc<Mutex<History>>,
    waiting: VecDeque<Weak<Group>>,
    live: broadcast::Receiver<Weak<Group>>,
    /// Everything up to here was heard, or told as a gap.
    after: u64,
}

/// What is heard next.
#[derive(Debug)]
pub enum Heard {
    Events(Events),
    /// Some events were let go before they were heard. Control events that are still kept follow.
    Gap,
}

/// Some events, in order.
#[derive(Debug)]
pub struct Events {
    group: Arc<Group>,
    from: usize,
}

impl std::ops::Deref for Events {
    type Target = [Published];

    fn deref(&self) -> &[Published] {
        self.group.events.get(self.from..).unwrap_or_default()
    }
}

/// Nothing is to be heard just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Something may come.
    Yet,
    /// The bus is gone.
    ForGood,
}

impl Subscription {
    /// Subscribes to what follows `since`; the caller holds the history's lock, so that nothing is
    /// between the two.
    pub(crate) fn new(
        history: &Arc<Mutex<History>>,
        Since { groups, gap }: Since,
        live: broadcast::Receiver<Weak<Group>>,
        after: u64,
        position: EventId,
    ) -> Self {
        Self { gap, position, history: Arc::clone(history), waiting: groups, live, after }
    }

    /// Whether events of before the subscription are still to be heard.
    #[must_use]
    pub fn has_missed(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits for what is next; `None` when the bus is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.next_waiting() {
                return Some(heard);
            }
            match self.live.recv().await {
                Ok(group) => {
                    if let Some(heard) = self.hear(&group) {
                        return Some(heard);
                    }
                }
                Err(RecvError::Lagged(_)) => return Some(self.catch_up()),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// As [`Subscription::next`], on a thread of its own.
    pub fn blocking_next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.next_waiting() {
                return Some(heard);
            }
            match self.live.blocking_recv() {
                Ok(group) => {
                    if let Some(heard) = self.hear(&group) {
                        return Some(heard);
                    }
                }
                Err(RecvError::Lagged(_)) => return Some(self.catch_up()),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// What is there already.
    ///
    /// # Errors
    /// When nothing is.
    pub fn try_next(&mut self) -> Result<Heard, Silence> {
        loop {
            if let Some(heard) = self.next_waiting() {
                return Ok(heard);
            }
            match self.live.try_recv() {
                Ok(group) => {
                    if let Some(heard) = self.hear(&group) {
                        return Ok(heard);
                    }
                }
                Err(TryRecvError::Lagged(_)) => return Ok(self.catch_up()),
                Err(TryRecvError::Empty) => return Err(Silence::Yet),
                Err(TryRecvError::Closed) => return Err(Silence::ForGood),
            }
        }
    }

    fn next_waiting(&mut self) -> Option<Heard> {
        while let Some(group) = self.waiting.pop_front() {
            if let Some(heard) = self.hear(&group) {
                return Some(heard);
            }
        }
        None
    }

    /// What of a group was not heard yet; `None` when all of it was.
    fn hear(&mut self, group: &Weak<Group>) -> Option<Heard> {
        let Some(group) = group.upgrade() else { return Some(self.catch_up()) };
        let from = group.events.partition_point(|each| each.position <= self.after);
        let last = group.events.last()?.position;
        if last <= self.after {
            return None;
        }
        self.after = last;
        Some(Heard::Events(Events { group, from }))
    }

    /// Goes on with what is still kept. A subscriber that falls behind a burst of decisions so
    /// hears of every kill all the same, after the gap that the decisions leave.
    fn catch_up(&mut self) -> Heard {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        // Events are sent under the lock, so none is between the two.
        self.live = self.live.resubscribe();
        self.waiting = history.since(self.after).groups;
        Heard::Gap
    }
}

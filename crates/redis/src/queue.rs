//! The queue in front of a stream. Putting in never waits; when it is full the oldest go.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sentinel_core::event::Event;
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Notify,
    emptied: Notify,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Event>,
    /// Events taken out that are not written yet.
    in_hand: usize,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            capacity: capacity.max(1),
        }
    }

    /// Puts events in; answers how many were dropped for it.
    pub(crate) fn push(&self, events: impl Iterator<Item = Event>) -> usize {
        let mut state = self.lock();
        state.waiting.extend(events);
        let dropped = state.waiting.len().saturating_sub(self.capacity);
        state.waiting.drain(..dropped);
        let filled = !state.waiting.is_empty();
        drop(state);
        if filled {
            self.filled.notify_one();
        }
        dropped
    }

    /// Takes up to `limit` events, at least one; only one task takes.
    pub(crate) async fn take(&self, limit: usize) -> Vec<Event> {
        loop {
            {
                let mut state = self.lock();
                let count = state.waiting.len().min(limit);
                if count > 0 {
                    state.in_hand = count;
                    return state.waiting.drain(..count).collect();
                }
            }
            self.filled.notified().await;
        }
    }

    /// What was taken is written, or given up.
    pub(crate) fn settle(&self) {
        let mut state = self.lock();
        state.in_hand = 0;
        let empty = state.waiting.is_empty();
        drop(state);
        if empty {
            self.emptied.notify_waiters();
        }
    }

    /// Returns once everything put in is written or dropped.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.emptied.notified();
            {
                let state = self.lock();
                if state.waiting.is_empty() && state.in_hand == 0 {
                    return;
                }
            }
            notified.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

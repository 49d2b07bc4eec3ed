//! The queue in front of a stream, bounded by events and by what they take in memory. Putting in
//! never waits; when it is full the oldest go.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sentinel_core::event::Event;
use tokio::sync::Notify;

/// Bytes of events that are being written at a time.
const TAKEN_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Notify,
    emptied: Notify,
    capacity: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Event>,
    /// Bytes that those take, about.
    weight: usize,
    /// Events taken out that are not written yet.
    in_hand: usize,
}

impl Queue {
    /// A queue of `capacity` events that take `bytes` at most.
    pub(crate) fn new(capacity: usize, bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            capacity: capacity.max(1),
            bytes,
        }
    }

    /// Puts events in; returns how many were dropped for it.
    pub(crate) fn push(&self, events: impl Iterator<Item = Event>) -> usize {
        let mut state = self.lock();
        let mut dropped = 0;
        for event in events {
            state.weight += event.weight();
            state.waiting.push_back(event);
            while state.waiting.len() > self.capacity || state.weight > self.bytes {
                let Some(oldest) = state.waiting.pop_front() else { break };
                state.weight = state.weight.saturating_sub(oldest.weight());
                dropped += 1;
            }
        }
        let filled = !state.waiting.is_empty();
        drop(state);
        if filled {
            self.filled.notify_one();
        }
        dropped
    }

    /// Takes up to `limit` events, and no more than [`TAKEN_BYTES`] hold unless one alone does;
    /// only one task takes.
    pub(crate) async fn take(&self, limit: usize) -> Vec<Event> {
        loop {
            {
                let mut state = self.lock();
                let mut weight = 0;
                let fitting = state.waiting.iter().take(limit).take_while(|event| {
                    weight += event.weight();
                    weight <= TAKEN_BYTES
                });
                let count = fitting.count().max(1).min(state.waiting.len());
                if count > 0 {
                    let taken: Vec<_> = state.waiting.drain(..count).collect();
                    let weight: usize = taken.iter().map(Event::weight).sum();
                    state.weight = state.weight.saturating_sub(weight);
                    state.in_hand = count;
                    return taken;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinel_core::epoch::Epoch;
    use sentinel_core::event::{RegistryChange, RegistryEvent};

    use super::*;

    fn event(bytes: usize) -> Event {
        Event::Registry(Arc::new(RegistryEvent {
            kind: RegistryChange::ToolUpdated,
            tenant_id: None,
            tenant: None,
            subject: "x".repeat(bytes),
            actor: "test".to_owned(),
            epoch: Epoch(1),
            at: sentinel_testkit::build::NOW,
        }))
    }

    #[tokio::test]
    async fn what_waits_is_bounded_by_bytes_and_the_oldest_go() {
        let queue = Queue::new(1000, 1024 * 1024);
        let dropped = queue.push((0..100).map(|_| event(64 * 1024)));
        assert!((84..90).contains(&dropped), "{dropped}");
        assert_eq!(queue.push(std::iter::once(event(2 * 1024 * 1024))), 101 - dropped);
        assert_eq!(queue.push((0..3).map(|_| event(10))), 0, "what was dropped has left its room");
        assert_eq!(queue.take(10).await.len(), 3);
    }

    #[tokio::test]
    async fn no_more_is_taken_at_a_time_than_its_bytes_allow() {
        let queue = Queue::new(1000, 64 * 1024 * 1024);
        assert_eq!(queue.push((0..10).map(|_| event(TAKEN_BYTES / 2))), 0);
        assert_eq!(queue.take(512).await.len(), 1);
        assert_eq!(queue.take(512).await.len(), 1);
    }
}

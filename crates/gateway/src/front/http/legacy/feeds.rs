//! The feeds of a session's requests, which its client can resume for a while.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::{Duration, Instant};

use crate::front::http::feed::{Feed, Keep};

/// How long a response waits for a client that lost its connection.
const RETENTION: Duration = Duration::from_secs(120);
/// Bytes of ended feeds that a session holds.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Ended feeds that a session holds.
const MAX_ENDED: usize = 64;

#[derive(Debug)]
pub(super) struct Feeds {
    last: u64,
    held: VecDeque<Held>,
}

impl Default for Feeds {
    /// Begins to count at a place of its own: a client that comes from another replica, or from
    /// before its session was given up here, must not resume the stream of another request.
    fn default() -> Self {
        let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
        Self { last: random >> 8, held: VecDeque::new() }
    }
}

#[derive(Debug)]
struct Held {
    number: u64,
    feed: Arc<Feed>,
    /// When it was first seen to have ended.
    ended: Option<Instant>,
}

impl Feeds {
    /// A feed for a request, with its number in the session, which is never 0.
    pub(super) fn open(&mut self) -> (u64, Arc<Feed>) {
        self.prune(Instant::now());
        self.last += 1;
        let feed = Feed::new(Keep::All);
        self.held.push_back(Held { number: self.last, feed: Arc::clone(&feed), ended: None });
        (self.last, feed)
    }

    /// The client has the whole of it.
    pub(super) fn forget(&mut self, number: u64) {
        self.held.retain(|held| held.number != number);
    }

    pub(super) fn find(&mut self, number: u64) -> Option<Arc<Feed>> {
        self.prune(Instant::now());
        let held = self.held.iter().find(|held| held.number == number)?;
        Some(Arc::clone(&held.feed))
    }

    /// Drops what ended long ago, and the oldest of what ended while it is too much.
    fn prune(&mut self, now: Instant) {
        for held in &mut self.held {
            if held.ended.is_none() && held.feed.has_ended() {
                held.ended = Some(now);
            }
        }
        let over = |ended: Instant| now.duration_since(ended) >= RETENTION;
        self.held.retain(|held| !held.ended.is_some_and(over));
        let ended = |held: &&Held| held.ended.is_some();
        let mut bytes: usize = self.held.iter().filter(ended).map(|held| held.feed.bytes()).sum();
        let mut count = self.held.iter().filter(ended).count();
        self.held.retain(|held| {
            let drops = held.ended.is_some() && (bytes > MAX_BYTES || count > MAX_ENDED);
            if drops {
                bytes -= held.feed.bytes();
                count -= 1;
            }
            !drops
        });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_response_waits_for_its_client_for_a_while() {
        let mut feeds = Feeds::default();
        let (first, feed) = feeds.open();
        feed.end(Bytes::from_static(b"{}"));
        let ended = Instant::now();
        feeds.prune(ended);
        feeds.prune(ended + RETENTION - Duration::from_millis(1));
        assert!(feeds.find(first).is_some());
        feeds.prune(ended + RETENTION);
        assert!(feeds.find(first).is_none());
    }

    #[test]
    fn a_feed_that_is_being_served_is_never_dropped() {
        let mut feeds = Feeds::default();
        let (served, _feed) = feeds.open();
        for _ in 0..200 {
            let (_, feed) = feeds.open();
            feed.end(Bytes::from(vec![b'x'; 1024 * 1024]));
        }
        assert!(feeds.find(served).is_some());
        assert!(feeds.held.len() <= MAX_ENDED + 1);
        let bytes: usize = feeds.held.iter().map(|held| held.feed.bytes()).sum();
        assert!(bytes <= MAX_BYTES, "{bytes}");
        feeds.prune(Instant::now() + 2 * RETENTION);
        assert!(feeds.find(served).is_some());
        feeds.forget(served);
        assert!(feeds.find(served).is_none());
    }
}

//! What one client is told over one stream, in order: messages on the way, then the response.
//!
//! The task that serves a request writes, and the body of an HTTP response reads. Neither waits for
//! the other: what a client does not read in time is bounded here, and what may be lost (progress,
//! messages of the log) is lost first. A response and a question to the client never are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Notify;

/// Messages and bytes that wait for the client, or for it to resume.
const MAX_MESSAGES: usize = 256;
const MAX_BYTES: usize = 1024 * 1024;
/// Bytes of questions that wait. A single one is bounded as every message is.
const MAX_QUESTION_BYTES: usize = 8 * 1024 * 1024;

/// One message, as JSON on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Its place in the feed; the first is 1.
    pub(super) number: u64,
    pub(super) data: Bytes,
}

#[derive(Debug, Clone)]
struct Kept {
    said: Said,
    may_be_lost: bool,
}

/// Whether what was read is kept, for a client that resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Unread,
    All,
}

#[derive(Debug)]
pub(super) struct Feed {
    keep: Keep,
    state: Mutex<State>,
    /// Wakes the reader.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The number of the newest message.
    newest: u64,
    /// Nothing follows.
    ended: bool,
    /// The status of the HTTP response, if the response is all of it.
    status: StatusCode,
    /// Which reader is the current one: a client that connects again replaces its old connection,
    /// which may be half open still.
    reader: u64,
}

/// What a feed begins with.
#[derive(Debug)]
pub(super) enum Beginning {
    /// The response, and nothing before it.
    Response(StatusCode, Bytes),
    /// There are messages before the response.
    Messages,
    /// It ended without a response.
    Nothing,
}

impl Feed {
    pub(super) fn new(keep: Keep) -> Arc<Self> {
        Arc::new(Self { keep, state: Mutex::default(), changed: Notify::new() })
    }

    /// Adds what may be lost when the client does not read.
    pub(super) fn tell(&self, data: Bytes) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        state.push(data, true);
        state.shed();
        drop(state);
        self.changed.notify_waiters();
    }

    /// Adds a question to the client. False when there is no more room or the feed has ended.
    #[must_use]
    pub(super) fn ask(&self, data: Bytes) -> bool {
        let mut state = self.lock();
        if state.ended || state.bytes.saturating_add(data.len()) > MAX_QUESTION_BYTES {
            return false;
        }
        state.push(data, false);
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// Adds the response. Of two, the first counts.
    pub(super) fn end(&self, response: Bytes) {
        self.end_with(StatusCode::OK, response);
    }

    /// Adds the response, which has this status if nothing was said before it.
    pub(super) fn end_with(&self, status: StatusCode, response: Bytes) {
        let mut state = self.lock();
        if !state.ended {
            state.push(response, false);
            (state.ended, state.status) = (true, status);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Ends a feed that has no response.
    pub(super) fn close(&self) {
        self.lock().ended = true;
        self.changed.notify_waiters();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// The number of the newest message.
    pub(super) fn newest(&self) -> u64 {
        self.lock().newest
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Waits for the first message, which decides the form of the HTTP response.
    pub(super) async fn beginning(&self) -> Beginning {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(beginning) = self.lock().beginning() {
                return beginning;
            }
            changed.await;
        }
    }

    /// Reads what comes after the message `after`. An earlier reader gets nothing more. A place that
    /// was not reached yet is one in a feed of another replica: nothing that comes is left out.
    pub(super) fn read(self: &Arc<Self>, after: u64) -> Reader {
        let mut state = self.lock();
        state.reader += 1;
        let (reader, after) = (state.reader, after.min(state.newest));
        drop(state);
        self.changed.notify_waiters();
        Reader { feed: Arc::clone(self), reader, after }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, data: Bytes, may_be_lost: bool) {
        self.newest += 1;
        self.bytes = self.bytes.saturating_add(data.len());
        let said = Said { number: self.newest, data };
        self.kept.push_back(Kept { said, may_be_lost });
    }

    /// Drops the oldest of what may be lost, until the rest is within its bounds.
    fn shed(&mut self) {
        while self.kept.len() > MAX_MESSAGES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.kept.iter().position(|kept| kept.may_be_lost) else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, index: usize) -> Option<Said> {
        let kept = self.kept.remove(index)?;
        self.bytes = self.bytes.saturating_sub(kept.said.data.len());
        Some(kept.said)
    }

    fn beginning(&self) -> Option<Beginning> {
        match (self.kept.front(), self.ended) {
            (Some(only), true) if self.kept.len() == 1 && self.newest == 1 => {
                Some(Beginning::Response(self.status, only.said.data.clone()))
            }
            (Some(_), _) => Some(Beginning::Messages),
            (None, true) => Some(Beginning::Nothing),
            (None, false) => None,
        }
    }

    fn next(&mut self, after: u64, keep: Keep) -> Option<Said> {
        let index = self.kept.partition_point(|kept| kept.said.number <= after);
        match keep {
            Keep::All => self.kept.get(index).map(|kept| kept.said.clone()),
            Keep::Unread => self.remove(index),
        }
    }
}

/// The one that reads a feed at present.
#[derive(Debug)]
pub(super) struct Reader {
    feed: Arc<Feed>,
    reader: u64,
    after: u64,
}

impl Reader {
    /// The next message; `None` after the last, or when another reader has taken over. Dropping the
    /// future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Said> {
        loop {
            let changed = self.feed.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.feed.lock();
                if state.reader != self.reader {
                    return None;
                }
                if let Some(said) = state.next(self.after, self.feed.keep) {
                    self.after = said.number;
                    return Some(said);
                }
                if state.ended {
                    return None;
                }
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rest(mut reader: Reader) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(said) = reader.next().await {
            rest.push(format!("{} {}", said.number, String::from_utf8_lossy(&said.data)));
        }
        rest
    }

    #[tokio::test]
    async fn a_response_alone_is_the_beginning() {
        let feed = Feed::new(Keep::All);
        feed.end(Bytes::from_static(b"response"));
        feed.end(Bytes::from_static(b"a second one"));
        assert!(
            matches!(feed.beginning().await, Beginning::Response(_, data) if data == "response")
        );
        assert_eq!(rest(feed.read(0)).await, ["1 response"]);
    }

    #[tokio::test]
    async fn what_was_read_is_read_again_only_where_it_is_kept() {
        for (keep, again) in [(Keep::All, vec!["2 b", "3 end"]), (Keep::Unread, vec![])] {
            let feed = Feed::new(keep);
            feed.tell(Bytes::from_static(b"a"));
            feed.tell(Bytes::from_static(b"b"));
            assert!(matches!(feed.beginning().await, Beginning::Messages));
            feed.end(Bytes::from_static(b"end"));
            assert_eq!(rest(feed.read(0)).await, ["1 a", "2 b", "3 end"]);
            assert_eq!(rest(feed.read(1)).await, again);
        }
    }

    #[tokio::test]
    async fn a_reader_wakes_and_gives_way_to_the_next() {
        let feed = Feed::new(Keep::All);
        let mut first = feed.read(0);
        let waiting = tokio::spawn(async move { (first.next().await, first.next().await) });
        tokio::task::yield_now().await;
        feed.tell(Bytes::from_static(b"a"));
        tokio::task::yield_now().await;
        let second = feed.read(0);
        let (said, after) = waiting.await.unwrap();
        assert_eq!(said.unwrap().data, "a");
        assert_eq!(after, None, "the second reader has taken over");
        feed.close();
        assert_eq!(rest(second).await, ["1 a"]);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_loses_progress_and_nothing_else() {
        let feed = Feed::new(Keep::All);
        assert!(feed.ask(Bytes::from_static(b"question")));
        for _ in 0..3000 {
            feed.tell(Bytes::from(vec![b'x'; 1024]));
        }
        feed.end(Bytes::from(vec![b'y'; 2 * MAX_BYTES]));
        assert!(feed.bytes() <= 3 * MAX_BYTES + 1024, "{}", feed.bytes());
        let rest = rest(feed.read(0)).await;
        assert!(rest.len() <= MAX_MESSAGES + 1, "{}", rest.len());
        assert_eq!(rest.first().unwrap(), "1 question");
        assert!(rest.last().unwrap().starts_with("3002 y"));
        assert!(!feed.ask(Bytes::from_static(b"too late")));
    }

    #[tokio::test]
    async fn a_place_that_was_not_reached_leaves_nothing_out() {
        let feed = Feed::new(Keep::All);
        feed.tell(Bytes::from_static(b"before"));
        let reader = feed.read(7);
        feed.tell(Bytes::from_static(b"after"));
        feed.close();
        assert_eq!(rest(reader).await, ["2 after"]);
    }

    #[test]
    fn questions_are_bounded_too() {
        let feed = Feed::new(Keep::All);
        let question = Bytes::from(vec![b'q'; 3 * 1024 * 1024]);
        assert!(feed.ask(question.clone()) && feed.ask(question.clone()));
        assert!(!feed.ask(question));
    }
}

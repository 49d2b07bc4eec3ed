//! What operators see of a server.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Failure;

/// The most characters of an error that the status keeps.
const MAX_ERROR: usize = 300;

/// How a server is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    pub since: Timestamp,
    /// Why the last connection failed or broke, without anything that a server said.
    pub last_error: Option<String>,
    /// Connections that were established before this one.
    pub restarts: u64,
    /// The revision of the protocol that is spoken.
    pub version: Option<String>,
    /// Of the last handshake or list.
    pub latency: Option<Duration>,
    /// Requests under way.
    pub in_flight: usize,
    /// What was dropped: lines and events that are not messages, and responses that came late, twice
    /// or for no request.
    pub dropped: u64,
    /// The last lines that a child wrote to its standard error. For operators only: a server may
    /// write anything there.
    pub stderr: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not needed yet.
    Idle,
    Connecting,
    Up,
    /// It failed; it is dialled when it is needed next.
    Down,
    /// It failed several times in a row; it is left alone for a while.
    Paused,
    Closed,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: State::Idle,
            since: Timestamp::UNIX_EPOCH,
            last_error: None,
            restarts: 0,
            version: None,
            latency: None,
            in_flight: 0,
            dropped: 0,
            stderr: Vec::new(),
        }
    }
}

/// The status as it is kept.
#[derive(Debug)]
pub(super) struct Ledger(Mutex<Status>);

impl Ledger {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Status { since: Timestamp::now(), ..Status::default() }))
    }

    pub(super) fn read(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn enter(status: &mut Status, state: State) {
        if status.state != state && status.state != State::Closed {
            status.state = state;
            status.since = Timestamp::now();
        }
    }

    pub(super) fn connecting(&self) {
        self.change(|status| Self::enter(status, State::Connecting));
    }

    /// Returns whether there was a connection before.
    pub(super) fn connected(&self, version: &str, since: Instant) -> bool {
        self.change(|status| {
            let again = status.version.is_some();
            status.restarts += u64::from(again);
            status.version = Some(version.to_owned());
            status.latency = Some(since.elapsed());
            Self::enter(status, State::Up);
            again
        })
    }

    pub(super) fn failed(&self, failure: &Failure, paused: bool) {
        let error = failure.detail.chars().take(MAX_ERROR).collect();
        self.change(|status| {
            status.last_error = Some(error);
            Self::enter(status, if paused { State::Paused } else { State::Down });
        });
    }

    pub(super) fn measured(&self, latency: Duration) {
        self.change(|status| status.latency = Some(latency));
    }

    pub(super) fn closed(&self) {
        self.change(|status| Self::enter(status, State::Closed));
    }
}

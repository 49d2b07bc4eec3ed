//! Stops asking an engine that does not answer, so that its callers are denied at once rather than
//! after a timeout each.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it stays open before one call may try again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    /// One call is let through once this time has come, which moves it on by [`PAUSE`]: a probe
    /// that is dropped and never reports does not keep the breaker open for good.
    Open {
        until: Instant,
    },
}

/// Closed, it lets every call through; open, one in [`PAUSE`].
#[derive(Debug)]
pub(super) struct Breaker(Mutex<State>);

impl Breaker {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(State::Closed { failures: 0 }))
    }

    /// Whether a call may be made now.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => true,
            State::Open { until } if until <= now => {
                *state = State::Open { until: now + PAUSE };
                true
            }
            State::Open { .. } => false,
        }
    }

    /// A call was answered.
    pub(super) fn answered(&self) {
        *self.state() = State::Closed { failures: 0 };
    }

    /// A call was not answered.
    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state();
        *state = match *state {
            State::Closed { failures } if failures + 1 < FAILURES => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } | State::Open { .. } => State::Open { until: now + PAUSE },
        };
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open { .. })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_call_try() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for _ in 1..FAILURES {
            breaker.failed(start);
        }
        breaker.answered();
        for _ in 1..FAILURES {
            breaker.failed(start);
            assert!(breaker.admits(start), "an answer in between starts the count anew");
        }
        breaker.failed(start);
        assert!(breaker.is_open() && !breaker.admits(start));
        let later = start + PAUSE;
        assert!(breaker.admits(later), "one may try");
        assert!(!breaker.admits(later), "and only one");
        breaker.failed(later);
        assert!(!breaker.admits(later + PAUSE / 2));
        assert!(breaker.admits(later + PAUSE));
        breaker.answered();
        assert!(!breaker.is_open() && breaker.admits(later) && breaker.admits(later));
    }

    #[test]
    fn a_probe_that_never_reports_is_followed_by_another() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for _ in 0..FAILURES {
            breaker.failed(start);
        }
        assert!(breaker.admits(start + PAUSE));
        assert!(breaker.admits(start + PAUSE * 2));
    }
}

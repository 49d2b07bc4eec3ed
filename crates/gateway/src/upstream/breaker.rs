//! Leaves a server alone that cannot be reached, for longer with each failure.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::spec::Limits;

#[derive(Debug)]
pub(super) struct Breaker {
    threshold: u32,
    pause: (Duration, Duration),
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    closed_until: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { threshold: limits.failures.max(1), pause: limits.pause, state: Mutex::default() }
    }

    /// Whether the server may be dialled. After a pause one dial is made, and its result counts.
    ///
    /// # Errors
    /// The time that is left of the pause.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        match self.pause_ends() {
            Some(end) if end > now => Err(end - now),
            _ => Ok(()),
        }
    }

    pub(super) fn pause_ends(&self) -> Option<Instant> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed_until
    }

    pub(super) fn succeeded(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.threshold {
            let doublings = (state.failures - self.threshold).min(16);
            let full = self.pause.0.saturating_mul(1 << doublings).min(self.pause.1);
            state.closed_until = Some(now + jittered(full));
        }
    }
}

/// Between half and all of `full`, so that replicas do not return at the same moment.
fn jittered(full: Duration) -> Duration {
    // Without randomness the pause is in the middle.
    let part = getrandom::u32().unwrap_or(u32::MAX / 2);
    full.mul_f64(0.5 + 0.5 * f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        let pause = (Duration::from_secs(1), Duration::from_secs(8));
        Breaker::new(&Limits { failures: 3, pause, ..Limits::default() })
    }

    #[test]
    fn pauses_after_failures_in_a_row_and_for_longer_each_time() {
        let (breaker, now) = (breaker(), Instant::now());
        breaker.failed(now);
        breaker.failed(now);
        assert!(breaker.admit(now).is_ok(), "two failures are not three");
        for full in [1, 2, 4, 8, 8, 8] {
            breaker.failed(now);
            let left = breaker.admit(now).unwrap_err();
            let full = Duration::from_secs(full);
            assert!(left <= full && left >= full / 2, "{left:?} of {full:?}");
            assert!(breaker.admit(now + full).is_ok(), "one dial is made after the pause");
        }
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let (breaker, now) = (breaker(), Instant::now());
        for _ in 0..5 {
            breaker.failed(now);
        }
        breaker.succeeded();
        assert!(breaker.admit(now).is_ok());
        breaker.failed(now);
        breaker.failed(now);
        assert!(breaker.admit(now).is_ok());
    }
}

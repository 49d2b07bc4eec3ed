//! Stops asking an engine that does not respond, so that its callers are denied at once rather than
//! after a timeout each.
//!
//! An engine that cannot be reached is away for all callers. One that is too slow may be so because
//! of what it is asked: time-outs count against the caller whose question it was, and against
//! everybody only when several callers have them and no caller gets a response.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sentinel_core::principal::Principal;

use crate::lock::lock;

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// Callers that must be among those who had time-outs for it to open for everybody.
const CALLERS: usize = 3;
/// How long it stays open before one call may try again.
const PAUSE: Duration = Duration::from_secs(1);
/// Callers with time-outs that are remembered; keys are made by administrators, so more are hardly
/// ever seen.
const REMEMBERED: usize = 4096;

/// Whose question it is: the principal, since what a caller says of itself it can say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Caller(u128);

impl Caller {
    pub(crate) fn of(principal: &Principal) -> Self {
        Self(principal.key().map_or(0, |key| key.id.0.as_u128()))
    }
}

/// Failures in a row, or the pause after them. `Seen` is what is known of them.
#[derive(Debug, Clone)]
enum State<Seen> {
    Closed(Seen),
    /// One call is let through once this time has come, which moves it on by [`PAUSE`]: a probe
    /// that is dropped and never reports does not keep the breaker open for good.
    Open {
        until: Instant,
    },
}

impl<Seen> State<Seen> {
    fn admits(&mut self, now: Instant) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Open { until } if *until <= now => {
                *until = now + PAUSE;
                true
            }
            Self::Open { .. } => false,
        }
    }

    /// Counts a failure by `count`, which says whether it was one too many.
    fn failed(&mut self, now: Instant, count: impl FnOnce(&mut Seen) -> bool) {
        let opens = match self {
            Self::Closed(seen) => count(seen),
            Self::Open { .. } => true,
        };
        if opens {
            *self = Self::Open { until: now + PAUSE };
        }
    }
}

/// How the calls of all callers ended since the last response.
#[derive(Debug, Clone, Default)]
struct Everybody {
    unreachable: u32,
    slow: u32,
    /// Of whom those were, no more than [`CALLERS`].
    callers: Vec<Caller>,
}

/// Closed, it lets every call through; open, one in [`PAUSE`]: for everybody, or for one caller.
#[derive(Debug)]
pub(super) struct Breaker {
    everybody: Mutex<State<Everybody>>,
    /// Callers that had time-outs since their last response.
    callers: Mutex<HashMap<Caller, State<u32>>>,
    /// How many those are, so that they are not looked for while there are none.
    slow: AtomicUsize,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            everybody: Mutex::new(State::Closed(Everybody::default())),
            callers: Mutex::default(),
            slow: AtomicUsize::new(0),
        }
    }

    /// Whether `caller` may make a call now.
    pub(super) fn admits(&self, now: Instant, caller: Caller) -> bool {
        if self.slow.load(Ordering::Relaxed) > 0 {
            let mut callers = lock(&self.callers);
            if callers.get_mut(&caller).is_some_and(|state| !state.admits(now)) {
                return false;
            }
        }
        lock(&self.everybody).admits(now)
    }

    /// A call of `caller` was answered.
    pub(super) fn answered(&self, caller: Caller) {
        self.reached();
        if self.slow.load(Ordering::Relaxed) > 0 {
            let mut callers = lock(&self.callers);
            callers.remove(&caller);
            self.slow.store(callers.len(), Ordering::Relaxed);
        }
    }

    /// A health check got a response: the engine is there, even if callers get none.
    pub(super) fn reached(&self) {
        *lock(&self.everybody) = State::Closed(Everybody::default());
    }

    /// The engine could not be reached.
    pub(super) fn unreachable(&self, now: Instant) {
        lock(&self.everybody).failed(now, |everybody| {
            everybody.unreachable += 1;
            everybody.unreachable >= FAILURES
        });
    }

    /// A call of `caller` was not answered in time.
    pub(super) fn timed_out(&self, now: Instant, caller: Caller) {
        lock(&self.everybody).failed(now, |everybody| {
            everybody.slow += 1;
            let known = everybody.callers.contains(&caller);
            if !known && everybody.callers.len() < CALLERS {
                everybody.callers.push(caller);
            }
            everybody.slow >= FAILURES && everybody.callers.len() >= CALLERS
        });
        let mut callers = lock(&self.callers);
        if callers.len() >= REMEMBERED && !callers.contains_key(&caller) {
            callers.clear();
        }
        let state = callers.entry(caller).or_insert(State::Closed(0));
        state.failed(now, |failures| {
            *failures += 1;
            *failures >= FAILURES
        });
        self.slow.store(callers.len(), Ordering::Relaxed);
    }

    /// Whether it is open for everybody.
    pub(super) fn is_open(&self) -> bool {
        matches!(*lock(&self.everybody), State::Open { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Caller = Caller(1);
    const B: Caller = Caller(2);
    const C: Caller = Caller(3);

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_call_try() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for _ in 1..FAILURES {
            breaker.unreachable(start);
        }
        breaker.answered(A);
        for _ in 1..FAILURES {
            breaker.unreachable(start);
            assert!(breaker.admits(start, A), "a response in between starts the count again");
        }
        breaker.unreachable(start);
        assert!(breaker.is_open() && !breaker.admits(start, A));
        let later = start + PAUSE;
        assert!(breaker.admits(later, A), "one may try");
        assert!(!breaker.admits(later, B), "and only one");
        breaker.unreachable(later);
        assert!(!breaker.admits(later + PAUSE / 2, A));
        assert!(breaker.admits(later + PAUSE, A));
        breaker.answered(A);
        assert!(!breaker.is_open() && breaker.admits(later, A) && breaker.admits(later, A));
    }

    #[test]
    fn a_probe_that_never_reports_is_followed_by_another() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for _ in 0..FAILURES {
            breaker.unreachable(start);
        }
        assert!(breaker.admits(start + PAUSE, A));
        assert!(breaker.admits(start + PAUSE * 2, A));
    }

    #[test]
    fn the_time_outs_of_one_caller_affect_no_other() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for _ in 0..100 {
            breaker.timed_out(start, A);
        }
        assert!(!breaker.admits(start, A));
        assert!(breaker.admits(start, B) && !breaker.is_open());
        assert!(breaker.admits(start + PAUSE, A), "one of its calls may try");
        assert!(!breaker.admits(start + PAUSE, A), "and only one");
        breaker.answered(B);
        assert!(!breaker.admits(start + PAUSE, A), "the responses of others are not its own");
        breaker.answered(A);
        assert!(breaker.admits(start, A));
    }

    #[test]
    fn two_callers_do_not_open_it_for_the_others() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for _ in 0..100 {
            breaker.timed_out(start, A);
            breaker.timed_out(start, B);
        }
        assert!(breaker.admits(start, C) && !breaker.is_open());
    }

    #[test]
    fn time_outs_of_several_callers_open_it_until_the_engine_responds() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for caller in [A, B, C, A] {
            breaker.timed_out(start, caller);
        }
        assert!(!breaker.is_open());
        breaker.reached();
        for caller in [A, B, A, B, C] {
            breaker.timed_out(start, caller);
        }
        assert!(breaker.is_open() && !breaker.admits(start, Caller(4)));
        // The look at its health finds it well: the questions are to blame.
        breaker.reached();
        assert!(breaker.admits(start, Caller(4)));
    }

    #[test]
    fn no_more_callers_are_remembered_than_fit() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for caller in 0..3 * u128::try_from(REMEMBERED).unwrap() {
            breaker.timed_out(start, Caller(caller));
            breaker.reached();
        }
        assert!(lock(&breaker.callers).len() <= REMEMBERED);
    }
}

//! Time that passes when the test says so.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sentinel_core::clock::Clock;

/// A clock that does not move by itself. Microseconds, as stores keep them.
#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
    /// What passed by [`ManualClock::advance`], in microseconds.
    uptime: AtomicI64,
}

impl ManualClock {
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { micros: AtomicI64::new(now.as_microsecond()), uptime: AtomicI64::new(0) }
    }

    /// Sets the clock to `now`, backwards too: no time passes by that.
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.as_microsecond(), Ordering::SeqCst);
    }

    /// Lets so much time pass; returns the time after that.
    pub fn advance(&self, by: SignedDuration) -> Timestamp {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.uptime.fetch_add(micros, Ordering::SeqCst);
        let now = self.now().checked_add(by).unwrap();
        self.set(now);
        now
    }
}

impl Default for ManualClock {
    /// A clock at [`crate::build::NOW`].
    fn default() -> Self {
        Self::new(crate::build::NOW)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.micros.load(Ordering::SeqCst)).unwrap()
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.uptime.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_only_when_told() {
        let clock = ManualClock::default();
        assert_eq!(clock.now(), crate::build::NOW);
        let later = clock.advance(SignedDuration::from_secs(90));
        assert_eq!(later.duration_since(crate::build::NOW), SignedDuration::from_secs(90));
        assert_eq!(clock.now(), later);
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    }
}

//! The system's clock: the one place where the product reads the time.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sentinel_core::clock::Clock;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    /// To the microsecond: what is in memory is then exactly what a store keeps.
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    fn uptime(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

//! The system's clock: the one place where the product reads the time.

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
}

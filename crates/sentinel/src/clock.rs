//! The system's clock: the one place where the product reads the time.

use jiff::Timestamp;
use sentinel_core::clock::Clock;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

//! The only way the domain learns the time.

use std::time::Duration;

use jiff::Timestamp;

/// A source of the current time. Two real implementations exist: the system clock of the binary
/// and the manual clock of the tests.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current instant, UTC.
    fn now(&self) -> Timestamp;

    /// The time since some moment, by a clock that never jumps.
    fn uptime(&self) -> Duration;
}

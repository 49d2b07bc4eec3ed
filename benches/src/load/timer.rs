//! A timer that is precise to microseconds. Tokio's own rounds up to its next millisecond, which
//! is as long as the latencies to be measured.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

#[derive(Debug)]
pub(super) struct Timer {
    fd: AsyncFd<OwnedFd>,
}

impl Timer {
    #[expect(
        deprecated,
        reason = "the replacement is an unsafe function, for types that may lie about their file \
                  descriptor; an `OwnedFd` cannot"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { fd: AsyncFd::with_interest(fd, Interest::READABLE)? })
    }

    /// Waits until `due`; not at all when that has passed.
    pub(super) async fn wait_until(&self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Ok(());
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec::try_from(left).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: zero, it_value };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        let mut expirations = [0; 8];
        let read = |fd: &OwnedFd| Ok(rustix::io::read(fd, &mut expirations)?);
        self.fd.async_io(Interest::READABLE, read).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn never_fires_early_even_when_used_again() {
        let timer = Timer::new().unwrap();
        for micros in [300, 50, 1_500, 700] {
            let due = Instant::now() + Duration::from_micros(micros);
            timer.wait_until(due).await.unwrap();
            assert!(Instant::now() >= due);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_time_that_has_passed_is_no_wait() {
        let timer = Timer::new().unwrap();
        timer.wait_until(Instant::now()).await.unwrap();
    }
}

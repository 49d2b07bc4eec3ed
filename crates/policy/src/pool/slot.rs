//! What one thread of a pool is at, for the thread that watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;
use rustix::thread::{Pid, gettid};

const IDLE: u64 = 0;
const GIVEN_UP: u64 = u64::MAX;
/// The lowest there is: what is stuck gets what nothing else wants.
const LOWEST: i32 = 19;

/// Between the thread and its watcher. `began` decides which of the two sends to the asker: the
/// thread takes it back to [`IDLE`], the watcher to [`GIVEN_UP`], each from what it was, so that
/// exactly one of them wins.
pub(super) struct Slot<A> {
    /// When the work began, in nanoseconds since [`since_start`]'s zero.
    began: AtomicU64,
    asker: Mutex<Option<A>>,
    thread: OnceLock<Pid>,
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        Self { began: AtomicU64::new(IDLE), asker: Mutex::new(None), thread: OnceLock::new() }
    }
}

/// Time since the first call, never zero.
pub(super) fn since_start() -> u64 {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    let elapsed = ZERO.get_or_init(Instant::now).elapsed().as_nanos();
    u64::try_from(elapsed).unwrap_or(GIVEN_UP - 1).clamp(1, GIVEN_UP - 1)
}

impl<A> Slot<A> {
    /// To be called by the thread, before anything else.
    pub(super) fn enter(&self) {
        // Each thread has a slot of its own.
        self.thread.get_or_init(gettid);
    }

    /// Takes the asker of the work that comes.
    pub(super) fn hold(&self, asker: A) {
        *self.asker.lock().unwrap_or_else(PoisonError::into_inner) = Some(asker);
    }

    pub(super) fn begin(&self) {
        self.began.store(since_start(), Ordering::Release);
    }

    /// The asker that this thread has to send to, and how long the work took; `None` when it was
    /// given up.
    pub(super) fn end(&self) -> Option<(Option<A>, Duration)> {
        match self.began.swap(IDLE, Ordering::AcqRel) {
            GIVEN_UP => None,
            began => {
                let now = if began == IDLE { IDLE } else { since_start() };
                let took = Duration::from_nanos(now.saturating_sub(began));
                Some((self.asker.lock().unwrap_or_else(PoisonError::into_inner).take(), took))
            }
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.began.load(Ordering::Acquire) == IDLE
    }

    /// Gives the work up when it began `limit` or longer ago; returns the asker.
    pub(super) fn give_up(&self, limit: Duration) -> Option<Option<A>> {
        let began = self.began.load(Ordering::Acquire);
        if began == IDLE || Duration::from_nanos(since_start().saturating_sub(began)) < limit {
            return None;
        }
        // It may have ended in this moment, and even have begun with something else.
        self.began.compare_exchange(began, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).ok()?;
        if let Some(&thread) = self.thread.get()
            && let Err(error) = setpriority_process(Some(thread), LOWEST)
        {
            tracing::warn!(%error, "the priority of a stuck thread cannot be lowered");
        }
        Some(self.asker.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

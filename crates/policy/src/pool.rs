//! Threads that evaluate, apart from those that serve: a few, each with a stated stack, watched by
//! one more.
//!
//! The caller that submits work gets its outcome, or learns that it was given up: a thread whose
//! work takes longer than the limit is *stuck*. It is left alone (a thread cannot be ended from
//! outside), gets the lowest priority and is replaced, as long as no more than [`Limits::spares`]
//! are stuck at one time. One more, and the pool is *exhausted*: it refuses everything at once. A
//! stuck thread that returns ends; if it was not replaced, it is now.
//!
//! Invariants: at most `threads + spares` threads exist; the outcome of every accepted piece of
//! work is sent exactly once, unless the pool is dropped before; no lock is held while work runs.

mod slot;
mod watch;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_policy_analysis::interpreter::STACK;

use self::slot::Slot;

/// What the threads of a pool do.
pub(crate) trait Work: Send + 'static {
    /// What a thread keeps from one piece of work to the next.
    type State: Default;
    type Outcome;
    /// Where the outcome goes.
    type Asker: Send + 'static;

    /// What has to be there before: bounded by the size of data, so it is not timed.
    fn prepare(&self, state: &mut Self::State);

    fn run(self, state: &mut Self::State) -> Self::Outcome;

    /// Sends the outcome; `None` when the work was given up.
    fn tell(asker: Self::Asker, outcome: Option<Self::Outcome>);

    /// Called after each piece of work, with the time it took.
    fn rest(_took: Duration) {}
}

/// How large a pool is, and what it bears.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Threads that work at one time; at least one.
    pub(crate) threads: usize,
    /// Pieces of work that may wait.
    pub(crate) waiting: usize,
    /// Time after which a piece of work is given up.
    pub(crate) time: Duration,
    /// Stuck threads that are replaced, at one time.
    pub(crate) spares: usize,
}

/// Why work was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too much waits already.
    Full,
    /// More threads are stuck than may be replaced.
    Exhausted,
}

/// What a pool counted since its start, and how it is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Threads that work or wait for work.
    pub threads: usize,
    /// Threads that do not come back, as it seems.
    pub stuck: usize,
    /// Pieces of work that were given up.
    pub given_up: u64,
    /// Stuck threads that came back.
    pub reclaimed: u64,
    /// Pieces of work that were not accepted.
    pub refused: u64,
}

/// A pool of threads. They end when it is dropped, stuck ones once they return.
pub(crate) struct Pool<W: Work>(Arc<Shared<W>>);

struct Shared<W: Work> {
    name: &'static str,
    limits: Limits,
    inner: Mutex<Inner<W>>,
    /// Idle threads wait for work.
    work: Condvar,
    /// The watching thread waits for something to watch.
    watch: Condvar,
    exhausted: AtomicBool,
    given_up: AtomicU64,
    reclaimed: AtomicU64,
    refused: AtomicU64,
}

struct Inner<W: Work> {
    queue: VecDeque<(W, W::Asker)>,
    /// Threads that wait for work and have not been woken: at least as many as there are.
    idle: usize,
    /// Threads that are not stuck.
    live: Vec<Arc<Slot<W::Asker>>>,
    stuck: usize,
    /// Whether the watching thread looks from time to time, or waits to be notified.
    watching: bool,
    /// Work was accepted since the watching thread looked.
    active: bool,
    closed: bool,
}

impl<W: Work> Inner<W> {
    /// Whether a thread has to be woken for the work that was just queued. Each idle thread is woken
    /// once: a burst of work does not cost a system call for each piece.
    fn wake_one(&mut self) -> bool {
        let wakes = self.idle > 0;
        self.idle = self.idle.saturating_sub(1);
        wakes
    }
}

impl<W: Work> Pool<W> {
    /// Starts the threads; what cannot be started now is tried again by the watching thread.
    ///
    /// # Errors
    /// When the watching thread or all others cannot be started.
    pub(crate) fn start(name: &'static str, limits: Limits) -> std::io::Result<Self> {
        let limits = Limits { threads: limits.threads.max(1), ..limits };
        let shared = Arc::new(Shared {
            name,
            limits,
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                idle: 0,
                live: Vec::with_capacity(limits.threads),
                stuck: 0,
                watching: false,
                active: false,
                closed: false,
            }),
            work: Condvar::new(),
            watch: Condvar::new(),
            exhausted: AtomicBool::new(false),
            given_up: AtomicU64::new(0),
            reclaimed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        // From here on, a failure closes the pool, which ends what was started.
        let pool = Self(Arc::clone(&shared));
        let watched = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("{name}-watch"))
            .spawn(move || watch::watch(&watched))?;
        let mut inner = shared.lock();
        shared.fill(&mut inner);
        if inner.live.is_empty() {
            return Err(std::io::Error::other(format!("no thread `{name}` can be started")));
        }
        drop(inner);
        Ok(pool)
    }

    /// Hands work to the threads; never waits for one.
    ///
    /// # Errors
    /// Why it is not accepted, with the asker, to which nothing was sent.
    pub(crate) fn submit(&self, work: W, asker: W::Asker) -> Result<(), (Refused, W::Asker)> {
        let shared = &self.0;
        if shared.exhausted.load(Ordering::Acquire) {
            return Err((shared.refuse(Refused::Exhausted), asker));
        }
        let mut inner = shared.lock();
        // Looked at again under the lock: what is accepted after the queue was emptied would wait.
        let refused = if shared.exhausted.load(Ordering::Acquire) {
            Some(Refused::Exhausted)
        } else {
            (inner.queue.len() >= shared.limits.waiting).then_some(Refused::Full)
        };
        if let Some(refused) = refused {
            drop(inner);
            return Err((shared.refuse(refused), asker));
        }
        inner.queue.push_back((work, asker));
        inner.active = true;
        let wakes = inner.wake_one();
        let watching = std::mem::replace(&mut inner.watching, true);
        drop(inner);
        if wakes {
            shared.work.notify_one();
        }
        if !watching {
            shared.watch.notify_one();
        }
        Ok(())
    }

    /// Whether everything is refused, since too many threads are stuck.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.0.exhausted.load(Ordering::Acquire)
    }

    pub(crate) fn counts(&self) -> PoolCounts {
        let inner = self.0.lock();
        PoolCounts {
            threads: inner.live.len(),
            stuck: inner.stuck,
            given_up: self.0.given_up.load(Ordering::Relaxed),
            reclaimed: self.0.reclaimed.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }
}

impl<W: Work> Drop for Pool<W> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.closed = true;
        let waiting = std::mem::take(&mut inner.queue);
        drop(inner);
        self.0.work.notify_all();
        self.0.watch.notify_all();
        drop(waiting);
    }
}

impl<W: Work> std::fmt::Debug for Pool<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pool").field(&self.0.name).field(&self.counts()).finish()
    }
}

impl<W: Work> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, Inner<W>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, why: Refused) -> Refused {
        self.refused.fetch_add(1, Ordering::Relaxed);
        why
    }

    /// Starts threads until there are as many as there should be, or no more may be.
    fn fill(self: &Arc<Self>, inner: &mut Inner<W>) {
        let Limits { threads, spares, .. } = self.limits;
        while !inner.closed
            && inner.live.len() < threads
            && inner.live.len() + inner.stuck < threads + spares
        {
            let slot = Arc::new(Slot::default());
            let (shared, own) = (Arc::clone(self), Arc::clone(&slot));
            let thread = std::thread::Builder::new().name(self.name.to_owned()).stack_size(STACK);
            if let Err(error) = thread.spawn(move || shared.work(&own)) {
                tracing::error!(%error, pool = self.name, "a thread cannot be started");
                break;
            }
            inner.live.push(slot);
        }
        let exhausted = inner.stuck > spares || inner.live.is_empty();
        self.exhausted.store(exhausted, Ordering::Release);
    }

    /// What each thread does until the pool is dropped, or until it was taken for stuck.
    fn work(self: &Arc<Self>, slot: &Arc<Slot<W::Asker>>) {
        slot.enter();
        let mut state = W::State::default();
        while let Some((work, asker)) = self.next() {
            slot.hold(asker);
            let done = catch_unwind(AssertUnwindSafe(|| {
                work.prepare(&mut state);
                slot.begin();
                work.run(&mut state)
            }));
            let outcome = done.inspect_err(|_| state = W::State::default()).ok();
            let Some((asker, took)) = slot.end() else { return self.reclaim() };
            if let Some(asker) = asker {
                W::tell(asker, outcome);
            }
            W::rest(took);
        }
    }

    /// The next piece of work; `None` once the pool is dropped.
    fn next(&self) -> Option<(W, W::Asker)> {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some(next) = inner.queue.pop_front() {
                return Some(next);
            }
            // One that wakes without having been woken counts twice, which only costs a wake-up.
            inner.idle = (inner.idle + 1).min(self.limits.threads + self.limits.spares);
            inner = self.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A stuck thread has returned. It ends, having the lowest priority; another takes its place.
    fn reclaim(self: &Arc<Self>) {
        self.reclaimed.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.lock();
        inner.stuck = inner.stuck.saturating_sub(1);
        self.fill(&mut inner);
        let stuck = inner.stuck;
        drop(inner);
        tracing::warn!(pool = self.name, stuck, "a thread that was stuck has returned");
    }
}

#[cfg(test)]
mod tests;

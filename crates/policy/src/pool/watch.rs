//! The thread that watches the others.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Inner, Shared, Work};

/// Without work for this many looks, the watching thread waits to be notified of the next.
const QUIET: u32 = 20;

/// How often it looks while there is work: often enough that a limit is kept to within a quarter.
fn interval(limit: Duration) -> Duration {
    (limit / 4).clamp(Duration::from_millis(2), Duration::from_millis(50))
}

/// Looks until the pool is dropped.
pub(super) fn watch<W: Work>(shared: &Arc<Shared<W>>) {
    let interval = interval(shared.limits.time);
    let mut quiet = 0;
    let mut inner = shared.lock();
    while !inner.closed {
        if inner.watching {
            inner = shared
                .watch
                .wait_timeout(inner, interval)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(inner, _)| inner);
        } else {
            inner = shared.watch.wait(inner).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let given_up = look(shared, &mut inner);
        let active = std::mem::take(&mut inner.active) || !inner.queue.is_empty();
        let busy = inner.stuck > 0 || inner.live.iter().any(|slot| !slot.is_idle());
        quiet = if active || busy { 0 } else { quiet + 1 };
        inner.watching = quiet < QUIET || inner.live.len() < shared.limits.threads;
        if !given_up.is_empty() {
            drop(inner);
            for asker in given_up {
                W::tell(asker, None);
            }
            inner = shared.lock();
        }
    }
}

/// Gives up what takes too long. Returns the askers, which wait for it.
fn look<W: Work>(shared: &Arc<Shared<W>>, inner: &mut Inner<W>) -> Vec<W::Asker> {
    let mut given_up = Vec::new();
    let mut found = 0;
    inner.live.retain(|slot| match slot.give_up(shared.limits.time) {
        Some(asker) => {
            found += 1;
            given_up.extend(asker);
            false
        }
        None => true,
    });
    inner.stuck += found;
    shared.given_up.fetch_add(u64::try_from(found).unwrap_or(u64::MAX), Ordering::Relaxed);
    shared.fill(inner);
    if found > 0 {
        let (stuck, spares) = (inner.stuck, shared.limits.spares);
        tracing::error!(pool = shared.name, stuck, spares, "a thread is stuck in an evaluation");
    }
    if shared.exhausted.load(Ordering::Acquire) {
        // No thread comes for these in time.
        given_up.extend(inner.queue.drain(..).map(|(_, asker)| asker));
    } else if !inner.queue.is_empty() && inner.wake_one() {
        shared.work.notify_one();
    }
    given_up
}

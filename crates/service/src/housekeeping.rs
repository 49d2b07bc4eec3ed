//! Housekeeping: deletes what has expired and nothing needs any more. What that is, and what is
//! never deleted, docs/limits.md says table by table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_core::clock::Clock;
use sentinel_core::housekeeping::{AT_ONCE, Expiring, Reading, claims_before};
use sentinel_core::ports::{ExpiryStore, StoreError};
use uuid::Uuid;

/// How often it is looked whether there is something to delete.
pub const INTERVAL: Duration = Duration::from_secs(600);
/// Time for others between two batches.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a run goes on before it takes the housekeeping again, well below what it gets.
const RUN: Duration = Duration::from_secs(30);

/// Rows that were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    pub claims: u64,
    pub counters: u64,
    pub permits: u64,
}

impl Removed {
    const fn total(self) -> u64 {
        self.claims + self.counters + self.permits
    }
}

/// Keeps house in one store, for one replica.
#[derive(Debug)]
pub struct Housekeeper {
    store: Arc<dyn ExpiryStore>,
    clock: Arc<dyn Clock>,
    holder: Uuid,
    /// When the housekeeping was last taken, by a clock that cannot be set.
    taken: Instant,
}

impl Housekeeper {
    #[must_use]
    pub fn new(store: Arc<dyn ExpiryStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, holder: Uuid::new_v4(), taken: Instant::now() }
    }

    /// Keeps house until it is dropped. That the store is away changes nothing: what was not
    /// deleted is deleted later.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.keep().await {
                Ok(removed) if removed.total() > 0 => tracing::debug!(
                    claims = removed.claims,
                    quota_counters = removed.counters,
                    permits = removed.permits,
                    "what has expired was deleted"
                ),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "what has expired was not deleted"),
            }
        }
    }

    async fn keep(&mut self) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        loop {
            let reading = Reading { now: self.clock.now(), elapsed: self.taken.elapsed() };
            let taken = Instant::now();
            let Some(step) = keep_house(self.store.as_ref(), self.holder, reading).await? else {
                return Ok(removed);
            };
            self.taken = taken;
            removed.claims += step.removed.claims;
            removed.counters += step.removed.counters;
            removed.permits += step.removed.permits;
            if step.done {
                return Ok(removed);
            }
        }
    }
}

/// What a part of a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    pub removed: Removed,
    /// Whether nothing that has expired is left.
    pub done: bool,
}

/// Deletes what has expired, for a while; `None` when another replica does.
///
/// # Errors
/// When the store does not answer.
pub async fn keep_house(
    store: &dyn ExpiryStore,
    holder: Uuid,
    reading: Reading,
) -> Result<Option<Kept>, StoreError> {
    let Some(believed) = store.take_housekeeping(holder, reading).await? else { return Ok(None) };
    let until = Instant::now() + RUN;
    let claims = store.expire_claims(claims_before(believed)).await?;
    let mut removed = Removed { claims, ..Removed::default() };
    for what in Expiring::ALL {
        loop {
            let deleted = store.expire(what, what.before(believed)).await?;
            match what {
                Expiring::Counters => removed.counters += deleted,
                Expiring::Permits => removed.permits += deleted,
            }
            if deleted < AT_ONCE {
                break;
            }
            if Instant::now() >= until {
                return Ok(Some(Kept { removed, done: false }));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(Some(Kept { removed, done: true }))
}

//! Faults to plant on purpose, so that the checker of the chaos suite can be seen to find them.
//! Compiled with the feature `planted-faults` only, which no part of the product turns on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sentinel_core::commit::Batch;
use sentinel_core::quota::{CounterKey, Grant};
use sentinel_core::store::StoreError;

use crate::PostgresStore;
use crate::error::unavailable;
use crate::options::Options;

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A commit takes the epoch that it was decided under for the one of the store.
    SkipEpochRead,
    /// Each replica counts quotas for itself.
    CountQuotasLocally,
    /// Decisions are answered while their transaction is still being committed.
    AnswerBeforeCommit,
}

/// The fault of one store; by default none.
#[derive(Debug, Default)]
pub(crate) struct Planted {
    fault: Option<Fault>,
    counted: Mutex<HashMap<CounterKey, u64>>,
}

impl Planted {
    pub(crate) const fn is_none(&self) -> bool {
        self.fault.is_none()
    }

    pub(crate) fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Counts in memory what belongs into the database, if that is the fault.
    pub(crate) fn counts(&self, batch: &mut Batch) -> bool {
        if !self.is(Fault::CountQuotasLocally) {
            return false;
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for reservation in batch.reservations() {
            let used = counted.entry(reservation.key).or_default();
            let grant = Grant { before: *used, granted: reservation.fitting(*used) };
            *used += grant.granted;
            batch.settle_quota(&reservation.key, grant);
        }
        true
    }
}

impl PostgresStore {
    /// [`PostgresStore::open`] with a fault.
    ///
    /// # Errors
    /// Those of [`PostgresStore::open`].
    pub async fn open_with_fault(
        url: &str,
        options: Options,
        fault: Fault,
    ) -> Result<Self, StoreError> {
        let mut store = Self::open(url, options).await?;
        let committers = Arc::get_mut(&mut store.committers)
            .ok_or_else(|| unavailable("the committers are in use already"))?;
        committers.planted = Planted { fault: Some(fault), ..Planted::default() };
        Ok(store)
    }
}

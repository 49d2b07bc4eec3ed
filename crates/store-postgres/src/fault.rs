//! Faults to plant on purpose, so that the checker of the chaos suite can be seen to find them.
//! Compiled with the feature `planted-faults` only, which no part of the product turns on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::commit::Batch;
use sentinel_core::ports::StoreError;
use sentinel_core::quota::{CounterKey, Grant};

use crate::commit;
use crate::committers::{Committers, Committing};
use crate::error::Result as Work;
use crate::options::Options;
use crate::store::PostgresStore;

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A commit takes the epoch that it was decided under for the one of the store.
    SkipEpochRead,
    /// Each replica counts quotas for itself.
    CountQuotasLocally,
    /// Callers get decisions while their transaction is still being committed.
    AnswerBeforeCommit,
}

/// Commits in the steps that are right but for one.
#[derive(Debug)]
struct Planted {
    committers: Committers,
    fault: Fault,
    counted: Mutex<HashMap<CounterKey, u64>>,
}

#[async_trait]
impl Committing for Planted {
    async fn commit(&self, mut batch: Batch, claims_expire_before: Timestamp) -> Work<Batch> {
        let (schema, mut committer) = (self.committers.schema, self.committers.take().await?);
        let (epoch, now) = committer.begin().await?;
        let connection = &mut committer.connection;
        let known = if self.fault == Fault::SkipEpochRead { batch.epoch() } else { epoch };
        commit::refresh(connection, &mut batch, known).await?;
        batch.at(now);
        commit::settle(connection, &mut batch, claims_expire_before).await?;
        let reservations = if self.fault == Fault::CountQuotasLocally {
            self.count(&mut batch);
            Vec::new()
        } else {
            batch.reservations()
        };
        commit::insert(connection, schema, &mut batch, epoch, &reservations).await?;
        if self.fault == Fault::AnswerBeforeCommit {
            tokio::spawn(committer.commit());
            return Ok(batch);
        }
        committer.commit().await?;
        Ok(batch)
    }
}

impl Planted {
    /// Counts in memory what belongs into the database.
    fn count(&self, batch: &mut Batch) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for reservation in batch.reservations() {
            let used = counted.entry(reservation.key).or_default();
            let grant = Grant { before: *used, granted: reservation.fitting(*used) };
            *used += grant.granted;
            batch.settle_quota(&reservation, grant);
        }
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
        let mut store = Self::open(url, options.clone()).await?;
        let committers = Committers::new(store.connect.clone(), &options, store.schema);
        store.committing = Arc::new(Planted { committers, fault, counted: Mutex::default() });
        Ok(store)
    }
}

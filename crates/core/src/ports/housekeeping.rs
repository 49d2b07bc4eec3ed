//! The ports of housekeeping: deleting what has expired, and what a store does for itself.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use crate::housekeeping::{Expiring, Reading};

/// Deletes what has expired; see [`crate::housekeeping`].
#[async_trait]
pub trait ExpiryStore: Send + Sync + std::fmt::Debug {
    /// Takes or keeps the lease of housekeeping, and returns the time by which things may be
    /// deleted. `None` when another replica has the lease.
    async fn take_housekeeping(
        &self,
        holder: Uuid,
        reading: Reading,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Deletes claims made before `before`; returns how many.
    async fn expire_claims(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Deletes at most [`AT_ONCE`](crate::housekeeping::AT_ONCE) rows that expired before `before`,
    /// in a transaction of their own that no commit and no kill waits for; returns how many. A
    /// smaller number means that none is left.
    async fn expire(&self, what: Expiring, before: Timestamp) -> Result<u64, StoreError>;
}

/// Work that a store does for itself from time to time, beside deleting what has expired. A store
/// that needs none does not implement this.
#[async_trait]
pub trait Upkeep: Send + Sync + std::fmt::Debug {
    /// Prepares the store for the coming months; returns how many things were missing and were
    /// made. To be called every day or so, by any number of replicas.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; nothing is lost by trying again later.
    async fn prepare(&self, now: Timestamp) -> Result<u32, StoreError>;
}

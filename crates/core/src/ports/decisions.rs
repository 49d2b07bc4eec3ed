//! The port of decisions: commit, permits, the audit log.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::StoreError;
use crate::audit::{DecisionFilter, DecisionRecord};
use crate::commit::Batch;
use crate::control::ControlState;
use crate::id::DecisionId;
use crate::page::{Page, Paged};
use crate::permit::{Redeemed, Redemption};

/// Commits decisions, redeems their permits, and reads the audit log.
#[async_trait]
pub trait DecisionStore: Send + Sync + std::fmt::Debug {
    /// Commits a batch as [`crate::commit`] describes. Claims made before `claims_expire_before`
    /// count as absent.
    async fn commit_decisions(
        &self,
        batch: Batch,
        claims_expire_before: Timestamp,
    ) -> Result<Batch, StoreError>;

    /// Redeems a permit as [`crate::permit`] describes; returns how that ended, and the control
    /// state that holds for it.
    async fn redeem_permit(
        &self,
        redemption: Redemption,
    ) -> Result<(Redeemed, Arc<ControlState>), StoreError>;

    /// One decision.
    async fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError>;

    /// Whether decisions of this time were moved to an archive, so that the absence of one does not
    /// mean that it was never recorded. False in a store that moves none.
    async fn has_archived(&self, _at: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Decisions, newest first.
    async fn decisions(
        &self,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Paged<DecisionRecord>, StoreError>;
}

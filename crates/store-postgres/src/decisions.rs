//! Decisions: the port of them, and the listing of the audit log.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::commit::Batch;
use sentinel_core::control::ControlState;
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::DecisionId;
use sentinel_core::page::{Page, Paged};
use sentinel_core::permit::{Redeemed, Redemption};
use sentinel_core::ports::{DecisionStore, StoreError};
use sentinel_core::self_test;
use sqlx::PgPool;

use crate::error::Result as Work;
use crate::listing::{Listing, Order};
use crate::row::by_id;
use crate::store::PostgresStore;
use crate::time::Time;
use crate::{commit, partitions};

#[async_trait]
impl DecisionStore for PostgresStore {
    async fn commit_decisions(
        &self,
        batch: Batch,
        claims_expire_before: Timestamp,
    ) -> Result<Batch, StoreError> {
        let committing = Arc::clone(&self.committing);
        self.to_end(async move { committing.commit(batch, claims_expire_before).await }).await
    }

    async fn redeem_permit(
        &self,
        redemption: Redemption,
    ) -> Result<(Redeemed, Arc<ControlState>), StoreError> {
        let pool = self.pool.clone();
        let redeemed = self.to_end(async move { commit::redeem(&pool, redemption).await }).await;
        redeemed.map(|(redemption, marked)| redemption.end(marked))
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
        self.read(async { by_id(&mut *self.pool.acquire().await?, id.0).await }).await
    }

    async fn has_archived(&self, at: Timestamp) -> Result<bool, StoreError> {
        self.read(async { partitions::is_gone(&mut *self.pool.acquire().await?, at).await }).await
    }

    async fn decisions(
        &self,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Paged<DecisionRecord>, StoreError> {
        self.read(decisions(&self.listings, &filter, &page)).await
    }
}

async fn decisions(
    pool: &PgPool,
    filter: &DecisionFilter,
    page: &Page,
) -> Work<Paged<DecisionRecord>> {
    listing_of(filter).page(pool, page, Order::NewestFirst).await
}

fn listing_of(filter: &DecisionFilter) -> Listing {
    let mut listing = Listing::of::<DecisionRecord>("sequence::text");
    if !filter.self_tests {
        listing.bound("tenant_id IS DISTINCT FROM", self_test::TENANT.0);
    }
    listing
        .bound_optional("tenant_id =", filter.tenant_id.map(|id| id.0))
        .bound_optional("tool_name =", filter.tool.as_ref().map(|tool| tool.as_str()))
        .bound_optional("agent =", filter.agent.as_ref().map(AsRef::<str>::as_ref))
        .bound_optional("code =", filter.code.map(ReasonCode::as_str))
        .bound_optional("created_at >=", filter.from.map(Time::bound))
        .bound_optional("created_at <", filter.to.map(Time::bound));
    // Literals, so that the planner sees that the index of denies fits.
    if filter.allow == Some(true) {
        listing.fixed("decision = 'allow'");
    }
    let denied = filter.code.is_some_and(|code| code != ReasonCode::Allowed);
    if denied || filter.allow == Some(false) {
        listing.fixed("decision = 'deny'");
    }
    listing
}

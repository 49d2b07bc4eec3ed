//! Quota counters, as listed.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::id::TenantId;
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{QuotaStore, StoreError};
use sentinel_core::quota::Counter;
use sentinel_store_rows::CounterCursor;
use sqlx::PgPool;

use crate::error::Result as Work;
use crate::listing::{Listing, paged};
use crate::store::PostgresStore;
use crate::time::Time;

#[async_trait]
impl QuotaStore for PostgresStore {
    async fn counters(
        &self,
        tenant: Option<TenantId>,
        at: Timestamp,
        page: Page,
    ) -> Result<Paged<Counter>, StoreError> {
        self.read(counters(&self.pool, tenant, at, &page)).await
    }
}

/// Counters whose window contains `at`, in the order of their cursors, which [`CounterCursor`]
/// reads.
async fn counters(
    pool: &PgPool,
    tenant: Option<TenantId>,
    at: Timestamp,
    page: &Page,
) -> Work<Paged<Counter>> {
    let mut listing = Listing::of::<Counter>("concat_ws('.', tenant_id, tool_id, quota_window)");
    listing.bound("window_start <=", Time::bound(at)).bound("window_end >", Time::bound(at));
    listing.bound_optional("tenant_id =", tenant.map(|id| id.0));
    if let Some(cursor) = &page.cursor {
        let after: CounterCursor = cursor.parse()?;
        listing
            .bound("(tenant_id, tool_id, quota_window) > (", after.tenant_id.0)
            .and(", ", after.tool_id.0)
            .and(", ", after.window.to_string())
            .push(")");
    }
    let rows = listing.rows(pool, page, "tenant_id, tool_id, quota_window").await?;
    paged(&rows)
}

//! Quota counters, as listed.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use sentinel_core::id::TenantId;
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{QuotaStore, StoreError};
use sentinel_core::quota::Counter;
use sentinel_store_rows::{CounterCursor, Stored as _};

use crate::error::Result as Work;
use crate::listing::{Conditions, Source, blob, paged};
use crate::row::select_list;
use crate::store::SqliteStore;

#[async_trait]
impl QuotaStore for SqliteStore {
    async fn counters(
        &self,
        tenant: Option<TenantId>,
        at: Timestamp,
        page: Page,
    ) -> Result<Paged<Counter>, StoreError> {
        self.readers.run(move |read| counters(read, tenant, at, &page)).await
    }
}

/// Counters whose window contains `at`, in the order of their cursors.
fn counters(
    connection: &Connection,
    tenant: Option<TenantId>,
    at: Timestamp,
    page: &Page,
) -> Work<Paged<Counter>> {
    let mut conditions = Conditions::default();
    conditions.bound("window_start <=", at.as_microsecond());
    conditions.bound("window_end >", at.as_microsecond());
    conditions.bound_optional("tenant_id =", tenant.map(|id| blob(id.0)));
    if let Some(cursor) = &page.cursor {
        let after: CounterCursor = cursor.parse()?;
        conditions.after(
            "(tenant_id, tool_id, quota_window) > (?, ?, ?)",
            [blob(after.tenant_id.0), blob(after.tool_id.0), after.window.to_string().into()],
        );
    }
    let source = Source {
        columns: &select_list::<Counter>(),
        from: Counter::TABLE,
        table: Counter::TABLE,
        order: "tenant_id, tool_id, quota_window",
    };
    let rows = conditions.rows(connection, page, &source, |row| Ok(Counter::read(row)?))?;
    let cursor = |counter: &Counter| CounterCursor::of(&counter.key).to_string();
    Ok(paged(rows, cursor, |counter| counter))
}

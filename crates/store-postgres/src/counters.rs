//! Quota counters, as listed.

use jiff::Timestamp;
use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::quota::{Counter, CounterKey, Span, Window};
use sentinel_core::store::StoreError;
use sqlx::PgPool;

use crate::error::Result;
use crate::listing::{Listing, paged};
use crate::row::{Columns, Stored};
use crate::time::Time;

impl Stored for Counter {
    const TABLE: &'static str = "quota_counters";
    const COLUMNS: &'static str =
        "tenant_id, tool_id, quota_window, window_start, window_end, used, quota_limit";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        let key = CounterKey {
            tenant_id: TenantId(columns.uuid()?),
            tool_id: ToolId(columns.uuid()?),
            window: columns.parse()?,
            span: Span { start: columns.time()?, end: columns.time()? },
        };
        Ok(Self { key, used: columns.count()?, limit: columns.count_optional()? })
    }
}

/// Counters whose window contains `at`. At one instant a tool has one counter of a window, so
/// tenant, tool and window order them fully, and make up the cursor.
pub(crate) async fn counters(
    pool: &PgPool,
    tenant: Option<TenantId>,
    at: Timestamp,
    page: &Page,
) -> Result<Paged<Counter>> {
    let mut listing = Listing::of::<Counter>("concat_ws('.', tenant_id, tool_id, quota_window)");
    listing.bound("window_start <=", Time::bound(at)).bound("window_end >", Time::bound(at));
    listing.bound_optional("tenant_id =", tenant.map(|id| id.0));
    if let Some(cursor) = &page.cursor {
        let (tenant, tool, window) = parse_cursor(cursor).ok_or(StoreError::BadCursor)?;
        listing
            .bound("(tenant_id, tool_id, quota_window) > (", tenant.0)
            .and(", ", tool.0)
            .and(", ", window.to_string())
            .push(")");
    }
    let rows = listing.rows(pool, page, "tenant_id, tool_id, quota_window").await?;
    paged(&rows)
}

fn parse_cursor(cursor: &str) -> Option<(TenantId, ToolId, Window)> {
    let mut parts = cursor.split('.');
    let parsed =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(parsed)
}

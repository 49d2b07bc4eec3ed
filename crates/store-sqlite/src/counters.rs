//! Quota counters, as listed.

use jiff::Timestamp;
use rusqlite::Connection;
use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::quota::{Counter, CounterKey, Span, Window};
use sentinel_core::store::StoreError;

use crate::error::Result;
use crate::listing::{Conditions, Source, blob, paged};
use crate::row::{Columns, Stored};

impl Stored for Counter {
    const TABLE: &'static str = "quota_counters";
    const COLUMNS: &'static str =
        "tenant_id, tool_id, quota_window, window_start, window_end, used, quota_limit";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
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
pub(crate) fn counters(
    connection: &Connection,
    tenant: Option<TenantId>,
    at: Timestamp,
    page: &Page,
) -> Result<Paged<Counter>> {
    let mut conditions = Conditions::default();
    conditions.bound("window_start <=", at.as_microsecond());
    conditions.bound("window_end >", at.as_microsecond());
    conditions.bound_optional("tenant_id =", tenant.map(|id| blob(id.0)));
    if let Some(cursor) = &page.cursor {
        let (tenant, tool, window) = parse_cursor(cursor).ok_or(StoreError::BadCursor)?;
        conditions.after(
            "(tenant_id, tool_id, quota_window) > (?, ?, ?)",
            [blob(tenant.0), blob(tool.0), window.to_string().into()],
        );
    }
    let source = Source {
        columns: Counter::COLUMNS,
        from: Counter::TABLE,
        table: Counter::TABLE,
        order: "tenant_id, tool_id, quota_window",
    };
    let rows = conditions.rows(connection, page, &source, Counter::read)?;
    let cursor = |counter: &Counter| cursor_of(&counter.key);
    Ok(paged(rows, cursor, |counter| counter))
}

fn cursor_of(key: &CounterKey) -> String {
    format!("{}.{}.{}", key.tenant_id, key.tool_id, key.window)
}

fn parse_cursor(cursor: &str) -> Option<(TenantId, ToolId, Window)> {
    let mut parts = cursor.split('.');
    let parsed =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(parsed)
}

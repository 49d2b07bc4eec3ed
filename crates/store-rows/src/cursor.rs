//! Cursors of listings, and how long a page is.

use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::page::Page;
use sentinel_core::ports::StoreError;
use sentinel_core::quota::{CounterKey, Window};

/// The rows of a page: what was asked for, within what a caller may ask for.
#[must_use]
pub fn limit_of(page: &Page) -> u32 {
    page.limit.clamp(1, Page::MAX_LIMIT)
}

/// The sequence that a cursor names, in exactly the form in which it was issued.
///
/// # Errors
/// [`StoreError::BadCursor`].
pub fn sequence_of(cursor: &str) -> Result<i64, StoreError> {
    let sequence = cursor.parse::<i64>().map_err(|_| StoreError::BadCursor)?;
    if sequence > 0 && sequence.to_string() == cursor {
        Ok(sequence)
    } else {
        Err(StoreError::BadCursor)
    }
}

/// The cursor of a listing of counters. At one instant a tool has one counter of a window, so these
/// order the counters fully.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterCursor {
    pub tenant_id: TenantId,
    pub tool_id: ToolId,
    pub window: Window,
}

impl CounterCursor {
    #[must_use]
    pub const fn of(key: &CounterKey) -> Self {
        Self { tenant_id: key.tenant_id, tool_id: key.tool_id, window: key.window }
    }
}

impl std::fmt::Display for CounterCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.tenant_id, self.tool_id, self.window)
    }
}

impl std::str::FromStr for CounterCursor {
    type Err = StoreError;

    fn from_str(cursor: &str) -> Result<Self, StoreError> {
        let mut parts = cursor.split('.');
        let mut parsed = || {
            let cursor = Self {
                tenant_id: parts.next()?.parse().ok()?,
                tool_id: parts.next()?.parse().ok()?,
                window: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(cursor)
        };
        parsed().ok_or(StoreError::BadCursor)
    }
}

//! What is used of each tool's quotas, as of the last commit: what policy sees. The exact count is
//! taken in the store.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use sentinel_core::id::ToolId;
use sentinel_core::quota::{Counter, CounterKey, QuotaError, Window};

/// Last known usage of each tool in each window: what one call states changes nothing for another.
#[derive(Debug, Default)]
pub struct UsageCache {
    windows: RwLock<HashMap<(ToolId, Window), Known, RandomState>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// Where the counted window starts; usage of an earlier window counts for nothing.
    start: Timestamp,
    used: u64,
}

impl UsageCache {
    /// Takes the counters of the windows under way from the store, after a start.
    #[must_use]
    pub fn from_counters(counters: &[Counter]) -> Self {
        let cache = Self::default();
        let used: Vec<_> = counters.iter().map(|counter| (counter.key, counter.used)).collect();
        cache.observe(&used);
        cache
    }

    /// What was used of a window of the tool by `at`.
    ///
    /// # Errors
    /// When the window is outside the calendar.
    pub fn of(&self, tool: ToolId, window: Window, at: Timestamp) -> Result<u64, QuotaError> {
        let start = window.span(at)?.start;
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        let known = windows.get(&(tool, window)).filter(|known| known.start == start);
        Ok(known.map_or(0, |known| known.used))
    }

    /// A commit left these counters.
    pub fn observe(&self, used: &[(CounterKey, u64)]) {
        if used.is_empty() {
            return;
        }
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        for (key, used) in used {
            let fresh = Known { start: key.span.start, used: *used };
            let known = windows.entry((key.tool_id, key.window)).or_insert(fresh);
            if known.start < fresh.start {
                *known = fresh;
            } else if known.start == fresh.start {
                known.used = known.used.max(fresh.used);
            }
        }
    }
}

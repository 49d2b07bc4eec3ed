//! What is used of each tool's quota, as of the last commit: what policy sees. The exact count is
//! taken in the store.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;
use sentinel_core::id::ToolId;
use sentinel_core::quota::{Counter, CounterKey, QuotaError, Window};

/// Last known usage of each tool, in the window that policy last stated for it.
#[derive(Debug, Default)]
pub struct UsageCache {
    tools: RwLock<HashMap<ToolId, Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    window: Window,
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
        for (key, _) in &used {
            cache.state_window(key.tool_id, key.window);
        }
        cache.observe(&used);
        cache
    }

    /// The window last stated for the tool, and what was used of it by `at`.
    ///
    /// # Errors
    /// When the window lies outside the calendar.
    pub fn of(&self, tool: ToolId, at: Timestamp) -> Result<(Window, u64), QuotaError> {
        let known = self.read().get(&tool).copied();
        let Some(known) = known else { return Ok((Window::DAY, 0)) };
        let start = known.window.span(at)?.start;
        Ok((known.window, if known.start == start { known.used } else { 0 }))
    }

    /// Policy stated `window` for the tool.
    pub fn state_window(&self, tool: ToolId, window: Window) {
        let same = self.read().get(&tool).is_some_and(|known| known.window == window);
        if !same {
            let fresh = Known { window, start: Timestamp::MIN, used: 0 };
            self.write().insert(tool, fresh);
        }
    }

    /// A commit left these counters.
    pub fn observe(&self, used: &[(CounterKey, u64)]) {
        if used.is_empty() {
            return;
        }
        let mut tools = self.write();
        for (key, used) in used {
            let fresh = Known { window: key.window, start: key.span.start, used: 0 };
            let known = tools.entry(key.tool_id).or_insert(fresh);
            if known.window != key.window || known.start > key.span.start {
                continue;
            }
            let base = if known.start == key.span.start { known.used } else { 0 };
            *known = Known { used: base.max(*used), ..fresh };
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<ToolId, Known>> {
        self.tools.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ToolId, Known>> {
        self.tools.write().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Limits of the lists, and how they are shown.

use std::time::Duration;

#[derive(Clone)]
pub struct Settings {
    /// Shows what policy denies too. What is quarantined stays hidden.
    pub show_all: bool,
    /// How long a list of an upstream counts as current.
    pub fresh: Duration,
    /// How long a list is used while the upstream cannot be asked for a newer one.
    pub stale: Duration,
    /// How long a list of a client waits for one upstream. Some clients wait 5 seconds in all.
    pub list_budget: Duration,
    /// How long a call waits for the list that it needs.
    pub call_budget: Duration,
    /// How long an upstream may take for one list with all its pages.
    pub fetch_limit: Duration,
    /// How long an upstream that failed to list is left alone.
    pub retry_after: Duration,
    /// Items of one list of one upstream; what follows is left out. The registry takes 1,000 tools.
    pub max_items: usize,
    /// Pages of one list of one upstream; what follows is left out.
    pub max_pages: usize,
    /// Bytes of one list of one upstream; what follows is left out.
    pub max_bytes: usize,
    /// Items of one page that a client gets. Many clients read the first page only.
    pub page_items: usize,
    /// Bytes of one page that a client gets; a larger item has a page for itself.
    pub page_bytes: usize,
    /// `ttlMs` of lists: how long a client may keep them.
    pub client_ttl: Duration,
    /// Authenticates cursors. Replicas that share it accept each other's.
    pub cursor_key: [u8; 32],
}

impl Settings {
    #[must_use]
    pub const fn new(cursor_key: [u8; 32]) -> Self {
        Self {
            show_all: false,
            fresh: Duration::from_secs(60),
            stale: Duration::from_mins(10),
            list_budget: Duration::from_secs(4),
            call_budget: Duration::from_secs(10),
            fetch_limit: Duration::from_secs(30),
            retry_after: Duration::from_secs(2),
            max_items: 1_000,
            max_pages: 100,
            max_bytes: 8 * 1024 * 1024,
            page_items: 1_000,
            page_bytes: 2 * 1024 * 1024,
            client_ttl: Duration::from_secs(5),
            cursor_key,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out.
        f.debug_struct("Settings").field("show_all", &self.show_all).finish_non_exhaustive()
    }
}

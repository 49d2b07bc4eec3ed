//! Cursor pagination, the same for every listing.

/// What part of a listing is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Rows at most; callers clamp it to 1..=1000.
    pub limit: u32,
    /// Where the previous page ended; opaque to everyone but the store that issued it.
    pub cursor: Option<String>,
}

impl Page {
    /// Largest page a caller may ask for.
    pub const MAX_LIMIT: u32 = 1000;

    /// Bytes, as they are stored, after which a page ends before it is full, with the row that goes
    /// beyond: what a caller sends decides how large a decision is, and a thousand of the largest
    /// would take gigabytes.
    pub const MAX_BYTES: usize = 4 * 1024 * 1024;

    /// The first `limit` rows.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    pub items: Vec<T>,
    /// Present when there may be more.
    pub next_cursor: Option<String>,
}

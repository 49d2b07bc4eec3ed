//! The API keys of a store.

use sentinel_core::page::Page;
use sentinel_core::store::{Store, StoreError};

/// Whether a caller could authenticate: there is a key that is not revoked.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn any_valid(store: &dyn Store) -> Result<bool, StoreError> {
    let mut page = Page::first(Page::MAX_LIMIT);
    loop {
        let keys = store.keys(None, page.clone()).await?;
        if keys.items.iter().any(|key| key.revoked_at.is_none()) {
            return Ok(true);
        }
        match keys.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(false),
        }
    }
}

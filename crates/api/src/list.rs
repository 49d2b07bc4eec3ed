use sentinel_core::page::Paged;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Pass it as `cursor` to get the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A page, each item in the form that `form` gives it.
    pub fn of<R>(page: Paged<R>, form: impl FnMut(R) -> T) -> Self {
        let items = page.items.into_iter().map(form).collect();
        Self { items, next_cursor: page.next_cursor }
    }
}

//! The forms of what is listed and shown by more than one endpoint.

use serde::Serialize;
use utoipa::ToSchema;

mod address;
mod decision;
mod key;
mod kill;
mod manifest;
mod policy_change;
mod reason;
mod tenant;
mod tombstone;
mod tool;

pub(crate) use address::Address;
pub(crate) use decision::DecisionAnswer;
pub(crate) use key::KeyAnswer;
pub(crate) use kill::{KillAnswer, ScopeName, TargetBody};
pub(crate) use manifest::{ManifestAnswer, payload_hash};
pub(crate) use policy_change::PolicyChangeAnswer;
pub(crate) use reason::{Reason, reason_code};
pub(crate) use tenant::TenantAnswer;
pub(crate) use tombstone::TombstoneAnswer;
pub(crate) use tool::ToolAnswer;

use sentinel_core::page::Paged;

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    /// Pass it as `cursor` to get the next page; `null` on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    pub(crate) fn of<R>(page: Paged<R>, form: impl FnMut(R) -> T) -> Self {
        let items = page.items.into_iter().map(form).collect();
        Self { items, next_cursor: page.next_cursor }
    }
}

//! The port of upstreams and pins.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::error::StoreError;
use crate::epoch::Epoch;
use crate::id::{TenantId, ToolId, UpstreamId};
use crate::name::ToolName;
use crate::page::{Page, Paged};
use crate::pin::{DefinitionDigest, Pin};
use crate::tool::Tool;
use crate::upstream::Upstream;

/// Keeps upstreams, and what their tools are pinned to.
#[async_trait]
pub trait UpstreamStore: Send + Sync + std::fmt::Debug {
    /// Adds an upstream and registers its doors, which take over what a removed upstream of the
    /// same name, or a person, has registered under their names.
    /// [`Conflict::UpstreamExists`](super::Conflict::UpstreamExists) when the tenant has one of
    /// that name; [`Conflict::ToolConfusable`](super::Conflict::ToolConfusable) when a door has the
    /// skeleton of another tool;
    /// [`Conflict::ServersWithoutPins`](super::Conflict::ServersWithoutPins) while servers are
    /// connected that do not know pins.
    async fn add_upstream(&self, upstream: Upstream, doors: Vec<Tool>)
    -> Result<Epoch, StoreError>;

    /// Removes an upstream, and quarantines what it offers with
    /// [`QuarantineCause::UpstreamRemoved`](crate::pin::QuarantineCause::UpstreamRemoved); `None`
    /// when there is none. One that is removed keeps its first time, and the epoch stays.
    async fn remove_upstream(
        &self,
        id: UpstreamId,
        at: Timestamp,
    ) -> Result<Option<(Upstream, Epoch)>, StoreError>;

    /// Upstreams that are not removed, of one tenant or of all, by creation.
    async fn upstreams(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<Upstream>, StoreError>;

    /// Makes every change in one transaction and one epoch; none that contradicts what is stored,
    /// of which the result says so in its place. When no change was made, the epoch stays.
    async fn change_pins(
        &self,
        changes: Vec<PinChange>,
        at: Timestamp,
    ) -> Result<(Vec<PinChanged>, Epoch), StoreError>;

    /// The definitions that are kept for a tool: those of its pin.
    async fn definitions(
        &self,
        tool: ToolId,
    ) -> Result<Vec<(DefinitionDigest, Map<String, Value>)>, StoreError>;
}

/// A change of what a tool is pinned to.
#[derive(Debug, Clone)]
pub enum PinChange {
    /// Registers a tool with its pin.
    Register { tool: Tool, definition: Arc<Map<String, Value>> },
    /// Changes the pin of a tool that has the pin `before`.
    Move {
        tool: ToolId,
        before: Option<Pin>,
        after: Pin,
        /// Metadata that replaces that of the tool.
        metadata: Option<Map<String, Value>>,
        /// The definition that is new in `after`.
        definition: Option<(DefinitionDigest, Arc<Map<String, Value>>)>,
    },
}

/// What a change of a pin came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinChanged {
    Done,
    /// A tool of that name is registered already, or has another pin by now. Nothing was changed.
    Moved,
    /// Another tool has the skeleton of the name. Nothing was changed.
    Confusable(ToolName),
}

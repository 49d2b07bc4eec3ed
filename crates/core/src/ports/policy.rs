//! The port of what the store keeps of policy: the record of its changes, data that was put, and
//! rollouts.

use async_trait::async_trait;

use super::error::StoreError;
use crate::epoch::Epoch;
use crate::id::RolloutId;
use crate::page::{Page, Paged};
use crate::policy_change::PolicyChange;
use crate::policy_data::{DataEntries, DataPath};
use crate::rollout::{PolicyFiles, Rollout, RolloutState};

/// Records changes of policy, keeps policy data, and moves rollouts on.
///
/// # Contract
/// A change is recorded in the transaction that makes it.
#[async_trait]
pub trait PolicyStore: Send + Sync + std::fmt::Debug {
    /// Records what a source brought; `false` when it [repeats](PolicyChange::repeats) the last
    /// that the same source brought. No change of control state.
    async fn record_policy_change(&self, change: PolicyChange) -> Result<bool, StoreError>;

    /// Changes of policy, newest first.
    async fn policy_changes(&self, page: Page) -> Result<Paged<PolicyChange>, StoreError>;

    /// Changes policy data, when the data still has the version that the change is based on; `None`
    /// when it has not.
    async fn change_policy_data(&self, change: DataChange) -> Result<Option<Epoch>, StoreError>;

    /// Changes of data, newest first, each with the value that was put: all of them, or those at
    /// `path`, above it and below it.
    async fn policy_data_history(
        &self,
        path: Option<DataPath>,
        page: Page,
    ) -> Result<Paged<RecordedData>, StoreError>;

    /// Begins to monitor a candidate; `None` when one is monitored already.
    async fn start_rollout(
        &self,
        rollout: Rollout,
        files: PolicyFiles,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError>;

    /// Moves a rollout on; `None` when it is not in the state `from`. What was in the state `to`
    /// before, other than dropped, is dropped.
    async fn move_rollout(
        &self,
        step: RolloutStep,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError>;

    /// The files of a candidate.
    async fn rollout_files(&self, id: RolloutId) -> Result<Option<PolicyFiles>, StoreError>;
}

/// A change of policy data.
#[derive(Debug, Clone)]
pub struct DataChange {
    /// The version of the data that the change is based on; it makes the next one.
    pub base: u64,
    pub entries: DataEntries,
    pub change: PolicyChange,
    /// What was put, for the history.
    pub value: Option<serde_json::Value>,
}

/// A change of policy data as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedData {
    pub change: PolicyChange,
    /// What was put; `None` when it was removed.
    pub value: Option<serde_json::Value>,
}

/// A step of a rollout.
#[derive(Debug, Clone)]
pub struct RolloutStep {
    pub id: RolloutId,
    pub from: RolloutState,
    pub to: RolloutState,
    /// What it replaces; see [`Rollout::over`].
    pub over: Option<String>,
}

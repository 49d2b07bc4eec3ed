//! The port of the control state and of kills.

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::StoreError;
use crate::control::ControlChanges;
use crate::epoch::Epoch;
use crate::id::{KillId, TenantId};
use crate::kill::{Kill, RestoreOrder};
use crate::page::{Page, Paged};

/// Reads the control state, kills and restores.
///
/// # Contract
/// A kill is linearizable: no decision that commits after [`ControlStore::kill`] has returned, and
/// after the kill's start, allows what it covers.
#[async_trait]
pub trait ControlStore: Send + Sync + std::fmt::Debug {
    /// What changed after `since`; everything (restored kills and revoked keys left out) when
    /// `since` is zero. One consistent snapshot.
    async fn control_changes(&self, since: Epoch) -> Result<ControlChanges, StoreError>;

    /// Brings `kill` into force, or makes it known when it starts later; the store sets its `epoch`
    /// field and returns that. A kill of a self-test ends the one before it of the same run in the
    /// same epoch, and deletes what [`self_test::kept_since`](crate::self_test::kept_since) says is
    /// old. [`Conflict::OlderServers`](super::Conflict::OlderServers) for a kind of kill that a
    /// connected replica of an older version does not know.
    async fn kill(&self, kill: Kill) -> Result<Epoch, StoreError>;

    /// Restores every kill of exactly the scope, those that have not started included, as
    /// [`plan_restore`](crate::kill::plan_restore) decides.
    async fn restore(&self, order: RestoreOrder) -> Result<Restored, StoreError>;

    /// Records which kills have begun, and ends those of `over` that have expired; returns them.
    /// `now` is the time by the caller's clock; a store that has a clock of its own begins kills by
    /// that, and ends none that it says has not expired. No change of control state when there are
    /// none.
    async fn turn_kills(&self, over: Vec<KillId>, now: Timestamp) -> Result<Vec<Kill>, StoreError>;

    /// How many replicas are known to be connected, this one included. Commits of each are bound
    /// by the epoch.
    async fn replicas(&self) -> Result<u64, StoreError> {
        Ok(1)
    }

    /// Kills, newest first: those in force only, or the whole history with those that have not
    /// started; none of self-tests. The kills of one tenant are those of the tenant itself, of what
    /// belongs to it, and the wider ones that cover it.
    async fn kills(
        &self,
        tenant: Option<TenantId>,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<Kill>, StoreError>;
}

/// What restoring did.
#[derive(Debug, Clone)]
pub enum Restored {
    /// These kills ended; none when nothing of that scope was killed.
    Done { kills: Vec<Kill>, epoch: Epoch },
    /// A wider kill still covers it, so nothing was changed.
    StillCovered(Kill),
    /// A principal bound to no tenant made this kill, and only such a principal restores it;
    /// nothing was changed.
    NotYours(Kill),
}

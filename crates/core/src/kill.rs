//! Kills: what is stopped, by whom, for how long, and which calls that covers.

mod changes;
mod restore;
mod scope;
mod state;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::id::KillId;
use crate::name::Reason;
use crate::self_test;

pub use changes::KillChange;
pub use restore::{RestoreOrder, RestorePlan, plan_restore};
pub use scope::{Call, Caller, KillScope, tags_of};
pub use state::KillState;

/// One kill, in force until `restored_at` is set; one with `starts_at` from then on only.
///
/// Its end is always written down: no clock by itself makes a kill end, so one that jumps ahead
/// allows nothing. Its beginning is not waited for: see [`Kill::covers_at`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    pub id: KillId,
    pub scope: KillScope,
    pub reason: Reason,
    /// Identifier of the principal that killed.
    pub actor: String,
    /// Whether that principal was bound to no tenant: then only such a one restores.
    #[serde(default)]
    pub by_platform: bool,
    pub created_at: Timestamp,
    /// When it comes into force; `None` for one that did at once.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// When it was written down that the time of `starts_at` had come.
    #[serde(default)]
    pub begun_at: Option<Timestamp>,
    /// When it ends by itself; `None` for one that only a restore ends.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// The epoch that this kill began; nothing it covers is allowed from there on. Of one that is
    /// still to come, the epoch that it was made in.
    pub epoch: Epoch,
    pub restored_at: Option<Timestamp>,
    pub restored_by: Option<String>,
}

impl Kill {
    /// Who ends the kills that have expired.
    pub const EXPIRY: &'static str = "system:expiry";

    /// Whether it is known to be in force, by the store and not by a clock.
    #[must_use]
    pub const fn is_in_force(&self) -> bool {
        self.restored_at.is_none() && !self.is_pending()
    }

    /// Whether it is still to come into force, as far as the store says.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.restored_at.is_none() && self.starts_at.is_some() && self.begun_at.is_none()
    }

    /// Whether it covers what happens at `now`. The latest of all clocks that were asked is to be
    /// given: a clock that is behind then never delays a kill.
    #[must_use]
    pub fn covers_at(&self, now: Timestamp) -> bool {
        let has_begun = || self.starts_at.is_none_or(|start| start <= now);
        self.is_in_force() || (self.is_pending() && has_begun())
    }

    /// Whether it is one by which a replica proves that kills work.
    #[must_use]
    pub fn is_self_test(&self) -> bool {
        self.scope.tenant_id() == Some(self_test::TENANT)
    }

    /// Whether a version from before these could be asked for would misread it: it would refuse
    /// the scope, or take a kill that is to come for one that is in force.
    #[must_use]
    pub const fn is_of_new_kind(&self) -> bool {
        self.starts_at.is_some() || self.expires_at.is_some() || self.scope.is_of_new_kind()
    }
}

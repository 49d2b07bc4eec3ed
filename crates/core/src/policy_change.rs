//! The record of every change of what policy is in force: what, by whom, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::id::{PolicyChangeId, RolloutId};
use crate::name::Reason;
use crate::policy_data::DataPath;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $event:literal;)+) => {
        /// What happened to policy.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum PolicyChangeKind { $($(#[doc = $doc])+ $variant,)+ }

        impl PolicyChangeKind {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The name of the event that reports it.
            #[must_use]
            pub const fn event(self) -> &'static str {
                match self { $(Self::$variant => $event,)+ }
            }
        }
    };
}

kinds! {
    /// A revision of the source came into force.
    Activated = "activated", "policy.activated";
    /// A revision of the source was refused; what was in force stayed.
    Refused = "refused", "policy.refused";
    /// Data was put at a path.
    DataPut = "data_put", "policy.data_put";
    /// Data was removed from a path.
    DataRemoved = "data_removed", "policy.data_removed";
    /// A candidate is monitored beside what is in force.
    RolloutStarted = "rollout_started", "policy.rollout_started";
    /// A candidate came into force.
    RolloutPromoted = "rollout_promoted", "policy.rollout_promoted";
    /// A candidate was given up, or one that was in force was taken back.
    RolloutDropped = "rollout_dropped", "policy.rollout_dropped";
}

impl std::str::FromStr for PolicyChangeKind {
    type Err = UnknownPolicyChange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find(|kind| kind.as_str() == text).copied().ok_or(UnknownPolicyChange)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of policy change")]
pub struct UnknownPolicyChange;

/// One change. Never edited, never deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    pub id: PolicyChangeId,
    pub kind: PolicyChangeKind,
    /// Identifier of the principal, or `source:` and the directory or bundle that a server loaded
    /// by itself.
    pub actor: String,
    /// Who that is by name: of the key, or the author that a bundle's manifest states.
    pub author: Option<String>,
    /// The revision that came into force, or is monitored.
    pub revision: Option<String>,
    /// Where data changed.
    pub path: Option<DataPath>,
    /// The version of the data afterwards.
    pub data_version: Option<u64>,
    pub rollout_id: Option<RolloutId>,
    /// As the principal gave it.
    pub reason: Option<Reason>,
    /// Why a revision was refused; whom a rollout is for.
    pub detail: Option<String>,
    /// The epoch that it began, set by the store; none of what a source brings.
    pub epoch: Option<Epoch>,
    pub at: Timestamp,
}

impl PolicyChange {
    /// Whether it says what `latest`, the last that this source brought, says already: replicas
    /// load the same, and restarts load it again.
    #[must_use]
    pub fn repeats(&self, latest: &Self) -> bool {
        let by_source =
            matches!(self.kind, PolicyChangeKind::Activated | PolicyChangeKind::Refused);
        by_source
            && self.kind == latest.kind
            && self.actor == latest.actor
            && self.revision == latest.revision
            && self.detail == latest.detail
    }
}

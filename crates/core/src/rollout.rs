//! Staged rollout: a candidate policy beside the one in force, first watched, then promoted or
//! dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::{DecisionId, RolloutId};
use crate::name::{AgentName, TenantSlug, ToolName};
use crate::policy_data::PolicyData;
use crate::shadow::ShadowAnswer;

/// A policy as text, by path within it.
pub type PolicyFiles = BTreeMap<String, String>;

/// The state of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Evaluated beside what decides, without influence.
    Monitored,
    /// It decides.
    Promoted,
    /// Over: given up, taken back, or replaced by a later one.
    Dropped,
}

impl RolloutState {
    pub const ALL: [Self; 3] = [Self::Monitored, Self::Promoted, Self::Dropped];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monitored => "monitored",
            Self::Promoted => "promoted",
            Self::Dropped => "dropped",
        }
    }

    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Dropped)
    }
}

impl std::str::FromStr for RolloutState {
    type Err = UnknownRolloutState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownRolloutState)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown state of a rollout")]
pub struct UnknownRolloutState;

/// A share of calls, 1 to 100 of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    pub const ALL: Self = Self(100);

    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Percent {
    type Error = NoPercent;

    fn try_from(number: u8) -> Result<Self, NoPercent> {
        if (1..=100).contains(&number) { Ok(Self(number)) } else { Err(NoPercent) }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a share is 1 to 100 percent")]
pub struct NoPercent;

/// A candidate, without its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    pub id: RolloutId,
    pub revision: String,
    /// Of the candidate's files.
    pub digest: String,
    /// The tenants whose calls are compared; all when empty.
    pub tenants: BTreeSet<TenantSlug>,
    /// The share of their calls that is compared.
    pub percent: Percent,
    pub state: RolloutState,
    /// Digest of the source's policy that it took the place of when it was promoted. A source that
    /// brings something else decides again.
    pub over: Option<String>,
    /// Identifier of the principal that started it.
    pub actor: String,
    pub started_at: Timestamp,
}

impl Rollout {
    /// Whether a call is among those that are compared. Which ones follows from what is recorded of
    /// the call, not from chance or the replica, so it can be told afterwards.
    #[must_use]
    pub fn watches(
        &self,
        tenant: &TenantSlug,
        tool: &ToolName,
        agent: Option<&AgentName>,
        at: Timestamp,
    ) -> bool {
        if !self.tenants.is_empty() && !self.tenants.contains(tenant) {
            return false;
        }
        if self.percent == Percent::ALL {
            return true;
        }
        let mut hash = Sha256::new();
        hash.update(self.id.0.as_bytes());
        hash.update(at.as_microsecond().to_be_bytes());
        for part in [tenant.as_str(), tool.as_str(), agent.map_or("", AsRef::as_ref)] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let [first, second, ..]: [u8; 32] = hash.finalize().into();
        u16::from_be_bytes([first, second]) % 100 < u16::from(self.percent.0)
    }
}

/// How a candidate's decisions compare with those that counted, on one server since it loaded it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutReport {
    pub agreed: u64,
    /// Denied by what decides, allowed by the candidate.
    pub newly_allowed: u64,
    /// Allowed by what decides, denied by the candidate.
    pub newly_denied: u64,
    /// Both allow, or both deny, but not alike: another quota, obligation or reason.
    pub otherwise: u64,
    /// The candidate failed, among those above: it would deny.
    pub errors: u64,
    /// Not compared, so that decisions are not slowed down.
    pub dropped: u64,
    /// The latest disagreements, newest first.
    pub examples: Vec<RolloutExample>,
}

/// A call on which they disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutExample {
    pub decision_id: DecisionId,
    /// When it was decided.
    pub at: Timestamp,
    pub tenant: TenantSlug,
    pub tool: ToolName,
    /// The decision that counted.
    pub decided: ShadowAnswer,
    pub candidate: ShadowAnswer,
}

/// What the store says of policy: part of the control state, so that a decision rests on one
/// version of it.
#[derive(Debug, Clone, Default)]
pub struct PolicyState {
    pub data: Arc<PolicyData>,
    pub monitored: Option<Arc<Rollout>>,
    pub promoted: Option<Arc<Rollout>>,
}

impl PolicyState {
    /// Whether decisions made under both rest on the same.
    #[must_use]
    pub fn decides_as(&self, other: &Self) -> bool {
        let id = |state: &Self| state.promoted.as_ref().map(|rollout| rollout.id);
        self.data.version() == other.data.version() && id(self) == id(other)
    }

    /// Takes a rollout into account in its present state.
    pub fn apply(&mut self, rollout: Rollout) {
        for slot in [&mut self.monitored, &mut self.promoted] {
            slot.take_if(|known| known.id == rollout.id);
        }
        match rollout.state {
            RolloutState::Monitored => self.monitored = Some(Arc::new(rollout)),
            RolloutState::Promoted => self.promoted = Some(Arc::new(rollout)),
            RolloutState::Dropped => {}
        }
    }
}

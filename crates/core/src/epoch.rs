//! The epoch: a counter in the store that every change of control state increments.

use serde::{Deserialize, Serialize};

/// Version of the control state (kills, tools, tenants, keys, policy data, rollouts). A decision may only be committed
/// under the epoch whose state it was checked against; this is what makes a kill linearizable.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

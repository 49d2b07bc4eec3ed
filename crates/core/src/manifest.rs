//! The stored form of a provenance manifest.

use jiff::Timestamp;

use crate::id::{DecisionId, ManifestId, TenantId};
use crate::log::LogPlace;
use crate::name::{Action, Purpose, ToolName};
use crate::payload::SealedPayload;

/// One signed manifest. The envelope is the truth; the other columns are for finding it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub id: ManifestId,
    pub tenant_id: TenantId,
    pub tool: ToolName,
    pub action: Action,
    pub purpose: Option<Purpose>,
    pub decision_id: Option<DecisionId>,
    /// SHA-256 of salt and payload.
    pub payload_digest: [u8; 32],
    /// Sigstore bundle v0.3, JSON, exactly as issued. A retry reads this and never signs again.
    pub bundle: String,
    pub created_at: Timestamp,
    pub phase: Phase,
    /// The key of the tenant with which the salt was made; `None` is the tenant's secret.
    pub key_generation: Option<u32>,
    /// Set by the store. `None` when a version without a log stored it.
    pub place: Option<LogPlace>,
}

/// What a manifest says of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// What was decided on it, before it was carried out.
    Decision,
    /// What became of it.
    Outcome,
}

impl Phase {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Outcome => "outcome",
        }
    }
}

impl std::str::FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Decision, Self::Outcome];
        all.into_iter().find(|phase| phase.as_str() == text).ok_or(UnknownPhase)
    }
}

/// A phase that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown phase of a manifest")]
pub struct UnknownPhase;

/// Which manifests are wanted; every field narrows.
#[derive(Debug, Clone, Default)]
pub struct ManifestFilter {
    pub tenant_id: Option<TenantId>,
    pub tool: Option<ToolName>,
    pub decision_id: Option<DecisionId>,
    pub phase: Option<Phase>,
}

/// A manifest to store and log.
#[derive(Debug, Clone)]
pub struct NewManifest {
    pub manifest: Manifest,
    pub leaf: Vec<u8>,
    /// The payload, when it is to be kept.
    pub payload: Option<SealedPayload>,
}

impl NewManifest {
    /// How much there is to write, in bytes, to within what every manifest has besides.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let payload = self.payload.as_ref().map_or(0, |payload| payload.sealed.len());
        self.manifest.bundle.len() + self.leaf.len() + payload
    }
}

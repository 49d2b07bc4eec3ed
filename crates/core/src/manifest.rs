//! The stored form of a provenance manifest.

use jiff::Timestamp;

use crate::id::{DecisionId, ManifestId, TenantId};
use crate::name::{Action, Purpose, ToolName};

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
}

/// Which manifests are wanted; every field narrows.
#[derive(Debug, Clone, Default)]
pub struct ManifestFilter {
    pub tenant_id: Option<TenantId>,
    pub tool: Option<ToolName>,
    pub decision_id: Option<DecisionId>,
}

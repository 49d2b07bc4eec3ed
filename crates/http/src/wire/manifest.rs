use jiff::Timestamp;
use sentinel_core::control::ControlState;
use sentinel_core::id::{DecisionId, ManifestId, TenantId};
use sentinel_core::manifest::Manifest;
use sentinel_core::name::{Action, Purpose, TenantSlug, ToolName};
use serde::Serialize;
use utoipa::ToSchema;

/// A stored manifest, without its bundle.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ManifestRecord)]
pub(crate) struct ManifestAnswer {
    #[schema(value_type = uuid::Uuid)]
    id: ManifestId,
    #[schema(value_type = uuid::Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantSlug>,
    #[schema(value_type = String)]
    tool: ToolName,
    #[schema(value_type = String)]
    action: Action,
    #[schema(value_type = Option<String>)]
    purpose: Option<Purpose>,
    #[schema(value_type = Option<uuid::Uuid>)]
    decision_id: Option<DecisionId>,
    /// SHA-256 of salt and payload.
    payload_hash: String,
    created_at: Timestamp,
}

impl ManifestAnswer {
    pub(crate) fn of(control: &ControlState, manifest: Manifest) -> Self {
        let payload_hash = payload_hash(&manifest);
        let tenant = control.tenant_by_id(manifest.tenant_id).map(|tenant| tenant.slug.clone());
        let Manifest { id, tenant_id, tool, action, purpose, decision_id, created_at, .. } =
            manifest;
        Self { id, tenant_id, tenant, tool, action, purpose, decision_id, payload_hash, created_at }
    }
}

/// The payload commitment as it is shown.
pub(crate) fn payload_hash(manifest: &Manifest) -> String {
    format!("sha256:{}", hex::encode(manifest.payload_digest))
}

use std::borrow::Cow;

use jiff::Timestamp;
use sentinel_core::id::{DecisionId, ManifestId, TenantId};
use sentinel_core::manifest;
use sentinel_core::name::{Action, AgentName, IdempotencyKey, Purpose, TenantSlug, ToolName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A stored manifest, without its bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestRecord {
    #[schema(value_type = uuid::Uuid)]
    pub id: ManifestId,
    #[schema(value_type = uuid::Uuid)]
    pub tenant_id: TenantId,
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantSlug>,
    #[schema(value_type = String)]
    pub tool: ToolName,
    #[schema(value_type = String)]
    pub action: Action,
    #[schema(value_type = Option<String>)]
    pub purpose: Option<Purpose>,
    #[schema(value_type = Option<uuid::Uuid>)]
    pub decision_id: Option<DecisionId>,
    /// SHA-256 of salt and payload.
    pub payload_hash: String,
    pub created_at: Timestamp,
}

impl ManifestRecord {
    /// A manifest, with the slug of its tenant.
    #[must_use]
    pub fn new(manifest: manifest::Manifest, tenant: Option<TenantSlug>) -> Self {
        let payload_hash = payload_hash(&manifest);
        let manifest::Manifest { id, tenant_id, tool, action, purpose, decision_id, .. } = manifest;
        let created_at = manifest.created_at;
        Self { id, tenant_id, tenant, tool, action, purpose, decision_id, payload_hash, created_at }
    }
}

/// The payload commitment as it is shown: `sha256:` and hex.
#[must_use]
pub fn payload_hash(manifest: &manifest::Manifest) -> String {
    sentinel_core::check::ArgumentHash(manifest.payload_digest).to_string()
}

/// The action that is to be signed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    #[schema(value_type = String, example = "platform-eng")]
    pub tenant_slug: TenantSlug,
    #[schema(value_type = String, example = "langsmith-docs-search")]
    pub tool_name: ToolName,
    #[schema(value_type = String, example = "invoke")]
    pub action: Action,
    /// Any JSON value. The manifest commits to its exact bytes.
    #[schema(value_type = Value)]
    pub payload: Box<RawValue>,
    /// Keeps the payload, encrypted; without it nothing of it is kept. Fails with 422
    /// (`payloads_not_kept`) where the deployment keeps none.
    #[serde(default)]
    pub keep_payload: bool,
    /// That of the decision when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub purpose: Option<Purpose>,
    /// The agent that acted; a key bound to an agent may leave it out, and may name no other. That
    /// of the decision when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// The decision that the action rests on. It must be of the same tenant, tool, action, purpose,
    /// agent and principal; else 409 (`decision_mismatch`) names what differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub decision_id: Option<DecisionId>,
    /// Makes signing the outcome of a decision idempotent: the same key of the same caller for the
    /// same decision gives the manifest that is there already. With another payload it is 409
    /// `idempotency_conflict`. Needs `decision_id`. 1 to 200 graphic ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub idempotency_key: Option<IdempotencyKey>,
    /// Signed as it is, and public.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

impl SignRequest {
    /// An action with its payload; the other fields are left out, and the payload is not kept.
    #[must_use]
    pub const fn new(
        tenant_slug: TenantSlug,
        tool_name: ToolName,
        action: Action,
        payload: Box<RawValue>,
    ) -> Self {
        Self {
            tenant_slug,
            tool_name,
            action,
            payload,
            keep_payload: false,
            purpose: None,
            agent: None,
            decision_id: None,
            idempotency_key: None,
            metadata: None,
        }
    }
}

/// The manifest, which is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignAnswer {
    #[schema(value_type = uuid::Uuid)]
    pub manifest_id: ManifestId,
    /// The DSSE signature, base64.
    pub signature: String,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// SHA-256 of salt and payload.
    pub payload_hash: String,
    /// Where the manifest is in the transparency log.
    pub log_index: u64,
    /// Hex; needed, with the payload, to show what was committed to. Keep it as you keep the
    /// payload.
    pub salt: String,
}

/// The salt of a payload commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Salt {
    #[schema(value_type = uuid::Uuid)]
    pub manifest_id: ManifestId,
    /// Hex.
    pub salt: String,
}

/// The result of verifying a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerifyAnswer {
    #[schema(value_type = uuid::Uuid)]
    pub manifest_id: ManifestId,
    /// Whether every check that could be made passed.
    pub verified: bool,
    pub manifest: Manifest,
    pub checks: Vec<Check>,
}

/// What the manifest says. When its signature does not hold, these are the columns under which it
/// is stored, and `verified` is false.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    #[schema(value_type = uuid::Uuid)]
    pub id: ManifestId,
    pub timestamp: Timestamp,
    pub tenant: Option<String>,
    pub tool: String,
    pub action: String,
    pub purpose: Option<String>,
    pub agent: Option<String>,
    pub principal: Option<String>,
    /// SHA-256 of salt and payload.
    pub payload_hash: String,
    /// The DSSE signature, base64; `null` when the envelope cannot be read.
    pub signature: Option<String>,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    #[schema(value_type = Option<uuid::Uuid>)]
    pub decision_id: Option<DecisionId>,
    /// What was decided, as signed; `false` with an outcome says that a denied call was made all
    /// the same. `null` when no decision is linked, or the signature does not hold.
    pub decision_allow: Option<bool>,
    /// `decision` (made before the call) or `outcome` (what became of it); `null` when the
    /// signature does not hold.
    #[schema(value_type = Option<String>)]
    pub phase: Option<Cow<'static, str>>,
}

/// One check and its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// `envelope`, `signature`, `statement`, `checkpoint`, `inclusion`, `key`, `witness`,
    /// `payload_commitment`, `record_match`, `decision_link`.
    #[schema(value_type = Value)]
    pub name: Cow<'static, str>,
    /// `passed`, `failed` or `skipped`.
    #[schema(value_type = String)]
    pub outcome: CheckOutcome,
    pub detail: String,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// It was made and holds.
    Passed,
    /// It was made and does not hold.
    Failed,
    /// It was not made.
    Skipped,
}

use jiff::Timestamp;
use sentinel_core::id::StatementId;
use sentinel_core::name::{Reason, TenantSlug};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose payloads are to be destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DestroyRequest {
    #[schema(value_type = String, example = "platform-eng")]
    pub tenant_slug: TenantSlug,
    /// Why, for people. It becomes part of the signed tombstone.
    #[schema(value_type = String, example = "erasure request 4711")]
    pub reason: Reason,
}

/// What was destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DestroyAnswer {
    /// Payloads that were kept under the key.
    pub payloads_destroyed: u64,
    pub tombstone: Tombstone,
}

/// The signed statement that a payload key was destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tombstone {
    #[schema(value_type = uuid::Uuid)]
    pub id: StatementId,
    pub tenant: String,
    /// Which key of the tenant, counting from one.
    pub key_generation: u32,
    /// Who had it destroyed.
    pub principal: String,
    pub reason: Option<String>,
    pub destroyed_at: Timestamp,
    /// Which shard of the transparency log it is in, counting from one.
    pub log_shard: u32,
    /// Where it is in that.
    pub log_index: u64,
}

use jiff::Timestamp;
use sentinel_core::id::StatementId;
use sentinel_service::payloads::Tombstone;
use serde::Serialize;
use utoipa::ToSchema;

/// The signed statement that a payload key was destroyed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tombstone)]
pub(crate) struct TombstoneAnswer {
    #[schema(value_type = uuid::Uuid)]
    id: StatementId,
    tenant: String,
    /// Which key of the tenant, counting from one.
    key_generation: u32,
    /// Who had it destroyed.
    principal: String,
    reason: Option<String>,
    destroyed_at: Timestamp,
    /// Which shard of the transparency log it is in, counting from one.
    log_shard: u32,
    /// Where it is in that.
    log_index: u64,
}

impl From<Tombstone> for TombstoneAnswer {
    fn from(tombstone: Tombstone) -> Self {
        let Tombstone { id, said, place, .. } = tombstone;
        Self {
            id,
            tenant: said.tenant,
            key_generation: said.key_generation,
            principal: said.principal,
            reason: said.reason,
            destroyed_at: said.timestamp,
            log_shard: place.shard,
            log_index: place.index,
        }
    }
}

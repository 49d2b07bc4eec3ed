//! Payloads that are kept, each sealed with a key of its tenant.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::id::{ManifestId, TenantId};
use crate::log::NewStatement;
use crate::store::StoreError;

/// A payload that nobody can read without the key of its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPayload {
    /// Which key of the tenant, counting from one.
    pub generation: u32,
    /// Nonce, ciphertext and tag.
    pub sealed: Vec<u8>,
}

/// A key of a tenant, wrapped by the key of the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadKey {
    pub tenant_id: TenantId,
    /// Counting from one.
    pub generation: u32,
    /// The wrapped key; `None` once it is destroyed.
    pub wrapped: Option<Vec<u8>>,
    pub created_at: Timestamp,
    pub destroyed_at: Option<Timestamp>,
}

/// Keys and sealed payloads.
#[async_trait]
pub trait PayloadStore: Send + Sync + std::fmt::Debug {
    /// The newest key of a tenant, also when it is destroyed.
    async fn payload_key(&self, tenant: TenantId) -> Result<Option<PayloadKey>, StoreError>;

    /// One key of a tenant.
    async fn payload_key_of(
        &self,
        tenant: TenantId,
        generation: u32,
    ) -> Result<Option<PayloadKey>, StoreError>;

    /// Adds a key; answers the one of that generation, which another may have added first.
    async fn add_payload_key(&self, key: PayloadKey) -> Result<PayloadKey, StoreError>;

    /// Destroys a key and the payloads sealed with it, and logs the tombstone, in one transaction;
    /// `false` when it was destroyed before.
    async fn destroy_payload_key(
        &self,
        tenant: TenantId,
        generation: u32,
        at: Timestamp,
        tombstone: NewStatement,
    ) -> Result<bool, StoreError>;

    /// The sealed payload of a manifest.
    async fn payload(&self, manifest: ManifestId) -> Result<Option<SealedPayload>, StoreError>;
}

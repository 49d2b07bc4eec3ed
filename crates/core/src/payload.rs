//! Payloads that are kept, each sealed with a key of its tenant.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::id::{ManifestId, TenantId};
use crate::log::{LogPlace, NewStatement};
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

/// What destroying a key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestroyedPayloads {
    /// Payloads that were kept under it.
    pub payloads: u64,
    /// Where the tombstone is in the log.
    pub place: LogPlace,
}

/// Keys and sealed payloads.
///
/// # Contract
/// A manifest that names a key which is destroyed, or not there, is not stored, with or without a
/// payload: [`Store::insert_manifests`](crate::store::Store::insert_manifests) answers
/// [`Conflict::PayloadKeyDestroyed`](crate::store::Conflict::PayloadKeyDestroyed). Whatever was
/// stored under a key before it is destroyed is destroyed with it, also by a transaction that was
/// under way.
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

    /// The key that was added last of all that are not destroyed, of any tenant.
    async fn live_payload_key(&self) -> Result<Option<PayloadKey>, StoreError>;

    /// Destroys a key and the payloads sealed with it, and logs the tombstone, in one transaction;
    /// `None` when there is no such key, or it was destroyed before: nothing was changed.
    async fn destroy_payload_key(
        &self,
        tenant: TenantId,
        generation: u32,
        at: Timestamp,
        tombstone: NewStatement,
    ) -> Result<Option<DestroyedPayloads>, StoreError>;

    /// The sealed payload of a manifest.
    async fn payload(&self, manifest: ManifestId) -> Result<Option<SealedPayload>, StoreError>;
}

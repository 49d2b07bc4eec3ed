//! The port of payloads that are kept.

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::StoreError;
use crate::id::{ManifestId, TenantId};
use crate::log::NewStatement;
use crate::payload::{DestroyedPayloads, PayloadKey, SealedPayload};

/// Keeps keys and sealed payloads.
///
/// # Contract
/// A manifest that names a key which is destroyed, or not there, is not stored, with or without a
/// payload: [`ManifestStore::insert_manifests`](super::ManifestStore::insert_manifests) returns
/// [`Conflict::PayloadKeyDestroyed`](super::Conflict::PayloadKeyDestroyed). What was stored under a
/// key before it is destroyed is destroyed with it, also by a transaction that was under way.
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

    /// Adds a key; returns the one of that generation, which another may have added first.
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

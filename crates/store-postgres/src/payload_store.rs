//! The port of payloads, on the pool.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::id::{ManifestId, TenantId};
use sentinel_core::log::NewStatement;
use sentinel_core::payload::{DestroyedPayloads, PayloadKey, PayloadStore, SealedPayload};
use sentinel_core::store::StoreError;

use crate::{PostgresStore, payloads};

#[async_trait]
impl PayloadStore for PostgresStore {
    async fn payload_key(&self, tenant: TenantId) -> Result<Option<PayloadKey>, StoreError> {
        self.read(payloads::newest_key(&self.pool, tenant)).await
    }

    async fn payload_key_of(
        &self,
        tenant: TenantId,
        generation: u32,
    ) -> Result<Option<PayloadKey>, StoreError> {
        self.read(async {
            payloads::key(&mut *self.pool.acquire().await?, tenant, generation).await
        })
        .await
    }

    async fn live_payload_key(&self) -> Result<Option<PayloadKey>, StoreError> {
        self.read(payloads::live_key(&self.pool)).await
    }

    async fn add_payload_key(&self, key: PayloadKey) -> Result<PayloadKey, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { payloads::add_key(&pool, key).await }).await
    }

    /// The server keeps what the rows were until it vacuums them and recycles its write-ahead log.
    async fn destroy_payload_key(
        &self,
        tenant: TenantId,
        generation: u32,
        at: Timestamp,
        tombstone: NewStatement,
    ) -> Result<Option<DestroyedPayloads>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(
            async move { payloads::destroy_key(&pool, tenant, generation, at, tombstone).await },
        )
        .await
    }

    async fn payload(&self, manifest: ManifestId) -> Result<Option<SealedPayload>, StoreError> {
        self.read(payloads::payload(&self.pool, manifest)).await
    }
}

//! The port of payloads, on the writer and the readers.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::id::{ManifestId, TenantId};
use sentinel_core::log::NewStatement;
use sentinel_core::payload::{DestroyedPayloads, PayloadKey, PayloadStore, SealedPayload};
use sentinel_core::store::StoreError;

use crate::{SqliteStore, payloads};

#[async_trait]
impl PayloadStore for SqliteStore {
    async fn payload_key(&self, tenant: TenantId) -> Result<Option<PayloadKey>, StoreError> {
        self.readers.run(move |read| payloads::newest_key(read, tenant)).await
    }

    async fn payload_key_of(
        &self,
        tenant: TenantId,
        generation: u32,
    ) -> Result<Option<PayloadKey>, StoreError> {
        self.readers.run(move |read| payloads::key(read, tenant, generation)).await
    }

    async fn live_payload_key(&self) -> Result<Option<PayloadKey>, StoreError> {
        self.readers.run(|read| payloads::live_key(read)).await
    }

    async fn add_payload_key(&self, key: PayloadKey) -> Result<PayloadKey, StoreError> {
        self.writer.run(move |write| payloads::add_key(write, &key)).await
    }

    /// The key and the payloads are overwritten in the file, and the write-ahead log, which holds
    /// pages from before, is cut off.
    async fn destroy_payload_key(
        &self,
        tenant: TenantId,
        generation: u32,
        at: Timestamp,
        tombstone: NewStatement,
    ) -> Result<Option<DestroyedPayloads>, StoreError> {
        let destroyed = self
            .writer
            .run(move |write| payloads::destroy_key(write, tenant, generation, at, tombstone))
            .await?;
        if destroyed.is_some() && self.writer.cut_log().await != Ok(true) {
            tracing::warn!(
                "the write-ahead log could not be cut off after a payload key was destroyed: what \
                 was sealed stays in it until it starts over or the server stops"
            );
        }
        Ok(destroyed)
    }

    async fn payload(&self, manifest: ManifestId) -> Result<Option<SealedPayload>, StoreError> {
        self.readers.run(move |read| payloads::payload(read, manifest)).await
    }
}

//! Keys of tenants, wrapped, and the payloads sealed with them.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::id::{ManifestId, TenantId};
use sentinel_core::log::NewStatement;
use sentinel_core::payload::{DestroyedPayloads, PayloadKey, SealedPayload};
use sentinel_core::ports::{PayloadStore, StoreError};

use crate::error::{Result as Work, unavailable};
use crate::log_append;
use crate::row::one;
use crate::store::SqliteStore;

#[async_trait]
impl PayloadStore for SqliteStore {
    async fn payload_key(&self, tenant: TenantId) -> Result<Option<PayloadKey>, StoreError> {
        self.readers.run(move |read| newest_key(read, tenant)).await
    }

    async fn payload_key_of(
        &self,
        tenant: TenantId,
        generation: u32,
    ) -> Result<Option<PayloadKey>, StoreError> {
        self.readers.run(move |read| key(read, tenant, generation)).await
    }

    async fn add_payload_key(&self, key: PayloadKey) -> Result<PayloadKey, StoreError> {
        self.writer.run(move |write| add_key(write, &key)).await
    }

    async fn live_payload_key(&self) -> Result<Option<PayloadKey>, StoreError> {
        self.readers.run(|read| live_key(read)).await
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
            .run(move |write| destroy_key(write, tenant, generation, at, tombstone))
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
        self.readers.run(move |read| payload(read, manifest)).await
    }
}

fn newest_key(connection: &Connection, tenant: TenantId) -> Work<Option<PayloadKey>> {
    one(connection, "tenant_id = ?1 ORDER BY generation DESC", [tenant.0.as_bytes()])
}

fn key(connection: &Connection, tenant: TenantId, generation: u32) -> Work<Option<PayloadKey>> {
    one(connection, "tenant_id = ?1 AND generation = ?2", params![tenant.0.as_bytes(), generation])
}

fn live_key(connection: &Connection) -> Work<Option<PayloadKey>> {
    one(connection, "destroyed_at IS NULL ORDER BY created_at DESC", [])
}

fn add_key(transaction: &Transaction<'_>, key: &PayloadKey) -> Work<PayloadKey> {
    let sql = "INSERT INTO payload_keys (tenant_id, generation, wrapped, created_at)
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let (tenant, at) = (key.tenant_id.0.as_bytes(), key.created_at.as_microsecond());
    transaction.execute(sql, params![tenant, key.generation, key.wrapped, at])?;
    let stored = self::key(transaction, key.tenant_id, key.generation)?;
    stored.ok_or_else(|| unavailable("a payload key was not stored"))
}

fn destroy_key(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    generation: u32,
    at: Timestamp,
    tombstone: NewStatement,
) -> Work<Option<DestroyedPayloads>> {
    let sql = "UPDATE payload_keys SET wrapped = NULL, destroyed_at = ?3
        WHERE tenant_id = ?1 AND generation = ?2 AND destroyed_at IS NULL";
    let tenant = tenant.0.as_bytes();
    if transaction.execute(sql, params![tenant, generation, at.as_microsecond()])? == 0 {
        return Ok(None);
    }
    let sql = "DELETE FROM payloads WHERE tenant_id = ?1 AND generation = ?2";
    let payloads = transaction.execute(sql, params![tenant, generation])? as u64;
    let places = log_append::append_statements(transaction, &[tombstone])?;
    let place = places.first().copied().ok_or_else(|| unavailable("no place was given"))?;
    Ok(Some(DestroyedPayloads { payloads, place }))
}

fn payload(connection: &Connection, manifest: ManifestId) -> Work<Option<SealedPayload>> {
    one(connection, "manifest_id = ?1", [manifest.0.as_bytes()])
}

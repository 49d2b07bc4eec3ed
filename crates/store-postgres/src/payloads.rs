//! Keys of tenants, wrapped, and the payloads sealed with them.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::id::{ManifestId, TenantId};
use sentinel_core::log::NewStatement;
use sentinel_core::payload::{DestroyedPayloads, PayloadKey, SealedPayload};
use sentinel_core::ports::{PayloadStore, StoreError};
use sqlx::{PgConnection, PgPool, query};

use crate::error::{Result as Work, unavailable};
use crate::log_append;
use crate::row::one;
use crate::store::PostgresStore;
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

#[async_trait]
impl PayloadStore for PostgresStore {
    async fn payload_key(&self, tenant: TenantId) -> Result<Option<PayloadKey>, StoreError> {
        self.read(newest_key(&self.pool, tenant)).await
    }

    async fn payload_key_of(
        &self,
        tenant: TenantId,
        generation: u32,
    ) -> Result<Option<PayloadKey>, StoreError> {
        self.read(async { key(&mut *self.pool.acquire().await?, tenant, generation).await }).await
    }

    async fn add_payload_key(&self, key: PayloadKey) -> Result<PayloadKey, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { add_key(&pool, key).await }).await
    }

    async fn live_payload_key(&self) -> Result<Option<PayloadKey>, StoreError> {
        self.read(live_key(&self.pool)).await
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
        self.to_end(async move { destroy_key(&pool, tenant, generation, at, tombstone).await })
            .await
    }

    async fn payload(&self, manifest: ManifestId) -> Result<Option<SealedPayload>, StoreError> {
        self.read(payload(&self.pool, manifest)).await
    }
}

async fn newest_key(pool: &PgPool, tenant: TenantId) -> Work<Option<PayloadKey>> {
    let condition = "WHERE tenant_id = $1 ORDER BY generation DESC LIMIT 1";
    one(&mut *pool.acquire().await?, condition, |query| query.bind(tenant.0)).await
}

async fn key(
    connection: &mut PgConnection,
    tenant: TenantId,
    generation: u32,
) -> Work<Option<PayloadKey>> {
    let condition = "WHERE tenant_id = $1 AND generation = $2";
    one(connection, condition, |query| query.bind(tenant.0).bind(generation.cast_signed())).await
}

async fn live_key(pool: &PgPool) -> Work<Option<PayloadKey>> {
    let condition = "WHERE destroyed_at IS NULL ORDER BY created_at DESC LIMIT 1";
    one(&mut *pool.acquire().await?, condition, |query| query).await
}

async fn add_key(pool: &PgPool, key: PayloadKey) -> Work<PayloadKey> {
    let sql = "INSERT INTO payload_keys (tenant_id, generation, wrapped, created_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let (tenant, generation) = (key.tenant_id, key.generation);
    query(sql)
        .bind(tenant.0)
        .bind(generation.cast_signed())
        .bind(key.wrapped)
        .bind(Time(key.created_at))
        .execute(pool)
        .await?;
    let stored = self::key(&mut *pool.acquire().await?, tenant, generation).await?;
    stored.ok_or_else(|| unavailable("a payload key was not stored"))
}

async fn destroy_key(
    pool: &PgPool,
    tenant: TenantId,
    generation: u32,
    at: Timestamp,
    tombstone: NewStatement,
) -> Work<Option<DestroyedPayloads>> {
    let mut transaction = Transaction::begin(pool, "destroy_payload_key", Begin::Rows).await?;
    let destroyed = destroy(&mut transaction, tenant, generation, at, tombstone).await;
    transaction.end(destroyed).await
}

async fn destroy(
    connection: &mut PgConnection,
    tenant: TenantId,
    generation: u32,
    at: Timestamp,
    tombstone: NewStatement,
) -> Work<Option<DestroyedPayloads>> {
    // Before all else: storing a manifest takes the same lock, so nothing can be stored under the
    // key between here and the commit, and what was stored before is seen below.
    log_append::hold(connection).await?;
    let sql = "UPDATE payload_keys SET wrapped = NULL, destroyed_at = $3
        WHERE tenant_id = $1 AND generation = $2 AND destroyed_at IS NULL";
    let number = generation.cast_signed();
    let update = query(sql).bind(tenant.0).bind(number).bind(Time(at));
    if update.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let sql = "DELETE FROM payloads WHERE tenant_id = $1 AND generation = $2";
    let deleted = query(sql).bind(tenant.0).bind(number).execute(&mut *connection).await?;
    let places = log_append::append_statements(connection, &[tombstone]).await?;
    let place = places.first().copied().ok_or_else(|| unavailable("no place was given"))?;
    Ok(Some(DestroyedPayloads { payloads: deleted.rows_affected(), place }))
}

async fn payload(pool: &PgPool, manifest: ManifestId) -> Work<Option<SealedPayload>> {
    let condition = "WHERE manifest_id = $1";
    one(&mut *pool.acquire().await?, condition, |query| query.bind(manifest.0)).await
}

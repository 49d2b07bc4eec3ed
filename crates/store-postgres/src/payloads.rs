//! Keys of tenants, wrapped, and the payloads sealed with them.

use jiff::Timestamp;
use sentinel_core::id::{ManifestId, TenantId};
use sentinel_core::log::NewStatement;
use sentinel_core::payload::{DestroyedPayloads, PayloadKey, SealedPayload};
use sqlx::{PgConnection, PgPool, query};

use crate::error::{Result, unavailable};
use crate::log_append;
use crate::row::{Columns, Stored, one};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

impl Stored for PayloadKey {
    const TABLE: &'static str = "payload_keys";
    const COLUMNS: &'static str = "tenant_id, generation, wrapped, created_at, destroyed_at";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            tenant_id: TenantId(columns.uuid()?),
            generation: columns.small()?,
            wrapped: columns.take()?,
            created_at: columns.time()?,
            destroyed_at: columns.time_optional()?,
        })
    }
}

impl Stored for SealedPayload {
    const TABLE: &'static str = "payloads";
    const COLUMNS: &'static str = "generation, sealed";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self { generation: columns.small()?, sealed: columns.take()? })
    }
}

pub(crate) async fn newest_key(pool: &PgPool, tenant: TenantId) -> Result<Option<PayloadKey>> {
    let condition = "WHERE tenant_id = $1 ORDER BY generation DESC LIMIT 1";
    one(&mut *pool.acquire().await?, condition, |query| query.bind(tenant.0)).await
}

pub(crate) async fn key(
    connection: &mut PgConnection,
    tenant: TenantId,
    generation: u32,
) -> Result<Option<PayloadKey>> {
    let condition = "WHERE tenant_id = $1 AND generation = $2";
    one(connection, condition, |query| query.bind(tenant.0).bind(generation.cast_signed())).await
}

pub(crate) async fn live_key(pool: &PgPool) -> Result<Option<PayloadKey>> {
    let condition = "WHERE destroyed_at IS NULL ORDER BY created_at DESC LIMIT 1";
    one(&mut *pool.acquire().await?, condition, |query| query).await
}

pub(crate) async fn add_key(pool: &PgPool, key: PayloadKey) -> Result<PayloadKey> {
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

pub(crate) async fn destroy_key(
    pool: &PgPool,
    tenant: TenantId,
    generation: u32,
    at: Timestamp,
    tombstone: NewStatement,
) -> Result<Option<DestroyedPayloads>> {
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
) -> Result<Option<DestroyedPayloads>> {
    // Before all else: whoever stores a manifest holds it too, so that nothing can be stored under
    // the key between here and the commit, and what was stored before is seen below.
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

pub(crate) async fn payload(pool: &PgPool, manifest: ManifestId) -> Result<Option<SealedPayload>> {
    let condition = "WHERE manifest_id = $1";
    one(&mut *pool.acquire().await?, condition, |query| query.bind(manifest.0)).await
}

//! Keys of tenants, wrapped, and the payloads sealed with them.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::id::{ManifestId, TenantId};
use sentinel_core::log::NewStatement;
use sentinel_core::payload::{DestroyedPayloads, PayloadKey, SealedPayload};

use crate::error::{Result, unavailable};
use crate::log_append;
use crate::row::{Columns, Stored, one};

impl Stored for PayloadKey {
    const TABLE: &'static str = "payload_keys";
    const COLUMNS: &'static str = "tenant_id, generation, wrapped, created_at, destroyed_at";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            tenant_id: TenantId(columns.uuid()?),
            generation: columns.take()?,
            wrapped: columns.take()?,
            created_at: columns.time()?,
            destroyed_at: columns.time_optional()?,
        })
    }
}

impl Stored for SealedPayload {
    const TABLE: &'static str = "payloads";
    const COLUMNS: &'static str = "generation, sealed";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self { generation: columns.take()?, sealed: columns.take()? })
    }
}

pub(crate) fn newest_key(connection: &Connection, tenant: TenantId) -> Result<Option<PayloadKey>> {
    one(connection, "tenant_id = ?1 ORDER BY generation DESC", [tenant.0.as_bytes()])
}

pub(crate) fn key(
    connection: &Connection,
    tenant: TenantId,
    generation: u32,
) -> Result<Option<PayloadKey>> {
    one(connection, "tenant_id = ?1 AND generation = ?2", params![tenant.0.as_bytes(), generation])
}

pub(crate) fn live_key(connection: &Connection) -> Result<Option<PayloadKey>> {
    one(connection, "destroyed_at IS NULL ORDER BY created_at DESC", [])
}

pub(crate) fn add_key(transaction: &Transaction<'_>, key: &PayloadKey) -> Result<PayloadKey> {
    let sql = "INSERT INTO payload_keys (tenant_id, generation, wrapped, created_at)
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let (tenant, at) = (key.tenant_id.0.as_bytes(), key.created_at.as_microsecond());
    transaction.execute(sql, params![tenant, key.generation, key.wrapped, at])?;
    let stored = self::key(transaction, key.tenant_id, key.generation)?;
    stored.ok_or_else(|| unavailable("a payload key was not stored"))
}

pub(crate) fn destroy_key(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    generation: u32,
    at: Timestamp,
    tombstone: NewStatement,
) -> Result<Option<DestroyedPayloads>> {
    let sql = "UPDATE payload_keys SET wrapped = NULL, destroyed_at = ?3
        WHERE tenant_id = ?1 AND generation = ?2 AND destroyed_at IS NULL";
    let tenant = tenant.0.as_bytes();
    if transaction.execute(sql, params![tenant, generation, at.as_microsecond()])? == 0 {
        return Ok(None);
    }
    let sql = "DELETE FROM payloads WHERE tenant_id = ?1 AND generation = ?2";
    let payloads = transaction.execute(sql, params![tenant, generation])? as u64;
    let places = log_append::statements(transaction, &[tombstone])?;
    let place = places.first().copied().ok_or_else(|| unavailable("no place was given"))?;
    Ok(Some(DestroyedPayloads { payloads, place }))
}

pub(crate) fn payload(
    connection: &Connection,
    manifest: ManifestId,
) -> Result<Option<SealedPayload>> {
    one(connection, "manifest_id = ?1", [manifest.0.as_bytes()])
}

//! Tenants, tools and keys: their rows, and every change of them.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KeyId, TenantId, ToolId};
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::principal::{ApiKey, KeyHash};
use sentinel_core::self_test;
use sentinel_core::store::{Conflict, Registered, StoreError};
use sentinel_core::tenant::{Tenant, TenantSecret};
use sentinel_core::tool::{Health, HealthStatus, Tool, ToolChange};

use crate::error::{Result, unavailable};
use crate::listing::{Conditions, Order, Source, blob, paged};
use crate::meta;
use crate::row::{Columns, Stored, one};

impl Stored for Tenant {
    const TABLE: &'static str = "tenants";
    const COLUMNS: &'static str = "id, slug, display_name, created_at, secret";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: TenantId(columns.uuid()?),
            slug: columns.parse()?,
            display_name: columns.parse()?,
            created_at: columns.time()?,
            secret: TenantSecret(columns.take()?),
        })
    }
}

impl Stored for Tool {
    const TABLE: &'static str = "tools";
    const COLUMNS: &'static str = "id, tenant_id, name, url, owner, scopes, extra_metadata, \
        healthcheck, created_at, updated_at, retired_at";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: ToolId(columns.uuid()?),
            tenant_id: TenantId(columns.uuid()?),
            name: columns.parse()?,
            url: columns.parse()?,
            owner: columns.parse()?,
            scopes: columns.json()?,
            metadata: columns.json()?,
            healthcheck: columns.parse_optional()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
            retired_at: columns.time_optional()?,
        })
    }
}

impl Stored for (Tool, Option<Health>) {
    const TABLE: &'static str = Tool::TABLE;
    const COLUMNS: &'static str = "id, tenant_id, name, url, owner, scopes, extra_metadata, \
        healthcheck, created_at, updated_at, retired_at, \
        health_status, health_checked_at, health_latency_ms, health_detail";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        let tool = Tool::read(columns)?;
        let Some(status) = columns.take::<Option<String>>()? else { return Ok((tool, None)) };
        let health = Health {
            status: status_of(&status).ok_or_else(|| columns.wrong(&"unknown status"))?,
            checked_at: columns.time()?,
            latency_ms: columns.count()?,
            detail: columns.take()?,
        };
        Ok((tool, Some(health)))
    }
}

fn status_of(text: &str) -> Option<HealthStatus> {
    [HealthStatus::Healthy, HealthStatus::Unhealthy, HealthStatus::Refused]
        .into_iter()
        .find(|status| status.as_str() == text)
}

impl Stored for ApiKey {
    const TABLE: &'static str = "api_keys";
    const COLUMNS: &'static str =
        "id, hash, name, role, tenant_id, agent, owner, created_at, revoked_at";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: KeyId(columns.uuid()?),
            hash: KeyHash(columns.take()?),
            name: columns.parse()?,
            role: columns.parse()?,
            tenant_id: columns.uuid_optional()?.map(TenantId),
            agent: columns.parse_optional()?,
            owner: columns.parse_optional()?,
            created_at: columns.time()?,
            revoked_at: columns.time_optional()?,
        })
    }
}

pub(crate) fn create_tenant(transaction: &Transaction<'_>, tenant: &Tenant) -> Result<Epoch> {
    if tenant_by_slug(transaction, &tenant.slug)?.is_some() {
        return Err(Conflict::TenantExists(tenant.slug.clone()).into());
    }
    let epoch = meta::advance(transaction)?;
    insert_tenant(transaction, tenant, epoch)?;
    Ok(epoch)
}

pub(crate) fn register_tool(
    transaction: &Transaction<'_>,
    tenant: &Tenant,
    mut tool: Tool,
) -> Result<Registered> {
    let epoch = meta::advance(transaction)?;
    let existing = tenant_by_slug(transaction, &tenant.slug)?;
    let tenant_created = existing.is_none();
    if tenant_created {
        insert_tenant(transaction, tenant, epoch)?;
    }
    let tenant = match existing {
        Some(tenant) => tenant,
        None => tenant_by_slug(transaction, &tenant.slug)?
            .ok_or_else(|| unavailable("the new tenant is not there"))?,
    };
    tool.tenant_id = tenant.id;
    refuse_taken(transaction, &tool)?;
    insert_tool(transaction, &tool, epoch)?;
    let tool = one(transaction, "id = ?1", [tool.id.0.as_bytes()])?
        .ok_or_else(|| unavailable("the new tool is not there"))?;
    Ok(Registered { tenant, tenant_created, tool, epoch })
}

fn refuse_taken(transaction: &Transaction<'_>, tool: &Tool) -> Result<()> {
    let tenant = tool.tenant_id.0.as_bytes();
    let name = tool.name.as_str();
    if one::<Tool>(transaction, "tenant_id = ?1 AND name = ?2", params![tenant, name])?.is_some() {
        return Err(Conflict::ToolExists(tool.name.clone()).into());
    }
    let skeleton = tool.name.skeleton();
    let confusable =
        one::<Tool>(transaction, "tenant_id = ?1 AND skeleton = ?2", params![tenant, skeleton])?;
    match confusable {
        None => Ok(()),
        Some(existing) => {
            let wanted: ToolName = tool.name.clone();
            Err(Conflict::ToolConfusable { wanted, existing: existing.name }.into())
        }
    }
}

pub(crate) fn update_tool(
    transaction: &Transaction<'_>,
    id: ToolId,
    change: ToolChange,
    at: Timestamp,
) -> Result<Option<(Tool, Epoch)>> {
    let Some(mut tool) = one::<Tool>(transaction, "id = ?1", [id.0.as_bytes()])? else {
        return Ok(None);
    };
    tool.url = change.url.unwrap_or(tool.url);
    tool.owner = change.owner.unwrap_or(tool.owner);
    tool.scopes = change.scopes.unwrap_or(tool.scopes);
    tool.metadata = change.metadata.unwrap_or(tool.metadata);
    tool.healthcheck = change.healthcheck.unwrap_or(tool.healthcheck);
    tool.updated_at = at;
    if change.retire {
        tool.retired_at = tool.retired_at.or(Some(at));
    }
    let epoch = meta::advance(transaction)?;
    let sql = "UPDATE tools SET url = ?2, owner = ?3, scopes = ?4, extra_metadata = ?5,
        healthcheck = ?6, updated_at = ?7, retired_at = ?8, epoch = ?9 WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute(params![
        id.0.as_bytes(),
        tool.url.as_str(),
        tool.owner.as_str(),
        json(&tool.scopes)?,
        json(&tool.metadata)?,
        tool.healthcheck.as_ref().map(|url| url.as_str()),
        at.as_microsecond(),
        tool.retired_at.map(Timestamp::as_microsecond),
        epoch.0.cast_signed(),
    ])?;
    let stored = one(transaction, "id = ?1", [id.0.as_bytes()])?;
    Ok(stored.map(|tool| (tool, epoch)))
}

pub(crate) fn create_key(transaction: &Transaction<'_>, key: &ApiKey) -> Result<Epoch> {
    let epoch = meta::advance(transaction)?;
    let sql = "INSERT INTO api_keys (id, hash, name, role, tenant_id, agent, owner,
        created_at, revoked_at, epoch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    transaction.prepare_cached(sql)?.execute(params![
        key.id.0.as_bytes(),
        key.hash.0,
        key.name.as_str(),
        key.role.as_str(),
        key.tenant_id.as_ref().map(|id| id.0.as_bytes()),
        key.agent.as_ref().map(AsRef::<str>::as_ref),
        key.owner.as_ref().map(AsRef::<str>::as_ref),
        key.created_at.as_microsecond(),
        key.revoked_at.map(Timestamp::as_microsecond),
        epoch.0.cast_signed(),
    ])?;
    Ok(epoch)
}

/// Revokes a key. One that is revoked already is left as it is, and the epoch too.
pub(crate) fn revoke_key(
    transaction: &Transaction<'_>,
    id: KeyId,
    at: Timestamp,
) -> Result<Option<(ApiKey, Epoch)>> {
    let find = || one::<ApiKey>(transaction, "id = ?1", [id.0.as_bytes()]);
    let Some(key) = find()? else { return Ok(None) };
    if key.revoked_at.is_some() {
        return Ok(Some((key, meta::read(transaction)?.epoch)));
    }
    let epoch = meta::advance(transaction)?;
    let sql = "UPDATE api_keys SET revoked_at = ?2, epoch = ?3 WHERE id = ?1";
    transaction
        .execute(sql, params![id.0.as_bytes(), at.as_microsecond(), epoch.0.cast_signed()])?;
    Ok(find()?.map(|key| (key, epoch)))
}

pub(crate) fn record_health(
    transaction: &Transaction<'_>,
    id: ToolId,
    health: &Health,
) -> Result<()> {
    let sql = "UPDATE tools SET health_status = ?2, health_checked_at = ?3,
        health_latency_ms = ?4, health_detail = ?5 WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute(params![
        id.0.as_bytes(),
        health.status.as_str(),
        health.checked_at.as_microsecond(),
        health.latency_ms.cast_signed(),
        health.detail,
    ])?;
    Ok(())
}

/// Tenants by slug; the cursor is the slug of the last one of the page before.
pub(crate) fn tenants(connection: &Connection, page: &Page) -> Result<Paged<Tenant>> {
    let mut conditions = Conditions::default();
    conditions.bound("id <>", blob(self_test::TENANT.0));
    if let Some(cursor) = &page.cursor {
        let after: TenantSlug = cursor.parse().map_err(|_| StoreError::BadCursor)?;
        conditions.bound("slug >", after.as_str().to_owned());
    }
    let source = Source {
        columns: Tenant::COLUMNS,
        from: Tenant::TABLE,
        table: Tenant::TABLE,
        order: "slug",
    };
    let rows = conditions.rows(connection, page, &source, Tenant::read)?;
    Ok(paged(rows, |tenant| tenant.slug.to_string(), |tenant| tenant))
}

pub(crate) fn tools(
    connection: &Connection,
    tenant: Option<TenantId>,
    page: &Page,
) -> Result<Paged<(Tool, Option<Health>)>> {
    let mut conditions = Conditions::default();
    conditions.bound_optional("tenant_id =", tenant.map(|id| blob(id.0)));
    conditions.bound("id <>", blob(self_test::TOOL.0));
    conditions.page(connection, page, Order::OldestFirst)
}

pub(crate) fn keys(
    connection: &Connection,
    tenant: Option<TenantId>,
    page: &Page,
) -> Result<Paged<ApiKey>> {
    let mut conditions = Conditions::default();
    conditions.bound_optional("tenant_id =", tenant.map(|id| blob(id.0)));
    conditions.page(connection, page, Order::NewestFirst)
}

fn tenant_by_slug(connection: &Connection, slug: &TenantSlug) -> Result<Option<Tenant>> {
    one(connection, "slug = ?1", [slug.as_str()])
}

fn insert_tenant(transaction: &Transaction<'_>, tenant: &Tenant, epoch: Epoch) -> Result<()> {
    let sql = "INSERT INTO tenants (id, slug, display_name, secret, created_at, epoch)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    transaction.prepare_cached(sql)?.execute(params![
        tenant.id.0.as_bytes(),
        tenant.slug.as_str(),
        tenant.display_name.as_str(),
        tenant.secret.0,
        tenant.created_at.as_microsecond(),
        epoch.0.cast_signed(),
    ])?;
    Ok(())
}

fn insert_tool(transaction: &Transaction<'_>, tool: &Tool, epoch: Epoch) -> Result<()> {
    let sql = "INSERT INTO tools (id, tenant_id, name, skeleton, url, owner, scopes,
        extra_metadata, healthcheck, created_at, updated_at, retired_at, epoch)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    transaction.prepare_cached(sql)?.execute(params![
        tool.id.0.as_bytes(),
        tool.tenant_id.0.as_bytes(),
        tool.name.as_str(),
        tool.name.skeleton(),
        tool.url.as_str(),
        tool.owner.as_str(),
        json(&tool.scopes)?,
        json(&tool.metadata)?,
        tool.healthcheck.as_ref().map(|url| url.as_str()),
        tool.created_at.as_microsecond(),
        tool.updated_at.as_microsecond(),
        tool.retired_at.map(Timestamp::as_microsecond),
        epoch.0.cast_signed(),
    ])?;
    Ok(())
}

/// A value as JSON text.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| unavailable(error.to_string()))
}

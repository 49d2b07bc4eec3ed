//! Tenants, tools and keys: their rows, and every change of them.

use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KeyId, TenantId, ToolId};
use sentinel_core::name::TenantSlug;
use sentinel_core::page::{Page, Paged};
use sentinel_core::principal::{ApiKey, KeyHash};
use sentinel_core::self_test;
use sentinel_core::store::{Conflict, Registered, StoreError};
use sentinel_core::tenant::{Tenant, TenantSecret};
use sentinel_core::tool::{Health, HealthStatus, Tool, ToolChange};
use sqlx::{PgConnection, PgPool, query};

use crate::error::{Result, unavailable};
use crate::listing::{Listing, Order, paged};
use crate::meta;
use crate::row::{Columns, Stored, by_id, one};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

impl Stored for Tenant {
    const TABLE: &'static str = "tenants";
    const COLUMNS: &'static str = "id, slug, display_name, created_at, secret";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: TenantId(columns.uuid()?),
            slug: columns.parse()?,
            display_name: columns.parse()?,
            created_at: columns.time()?,
            secret: TenantSecret(columns.bytes()?),
        })
    }
}

impl Stored for Tool {
    const TABLE: &'static str = "tools";
    const COLUMNS: &'static str = "id, tenant_id, name, url, owner, scopes::text, \
        extra_metadata::text, \
        healthcheck, created_at, updated_at, retired_at";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
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
    const COLUMNS: &'static str = "id, tenant_id, name, url, owner, scopes::text, \
        extra_metadata::text, \
        healthcheck, created_at, updated_at, retired_at, \
        health_status, health_checked_at, health_latency_ms, health_detail";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
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

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: KeyId(columns.uuid()?),
            hash: KeyHash(columns.bytes()?),
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

pub(crate) async fn create_tenant(pool: &PgPool, tenant: &Tenant) -> Result<Epoch> {
    let mut transaction = Transaction::begin(pool, "create_tenant", Begin::Exclusive).await?;
    let epoch = add_tenant(&mut transaction, tenant).await;
    transaction.end(epoch).await
}

async fn add_tenant(connection: &mut PgConnection, tenant: &Tenant) -> Result<Epoch> {
    if tenant_by_slug(connection, &tenant.slug).await?.is_some() {
        return Err(Conflict::TenantExists(tenant.slug.clone()).into());
    }
    let epoch = meta::advance(connection).await?;
    insert_tenant(connection, tenant, epoch).await?;
    Ok(epoch)
}

pub(crate) async fn register_tool(
    pool: &PgPool,
    tenant: &Tenant,
    tool: Tool,
) -> Result<Registered> {
    let mut transaction = Transaction::begin(pool, "register_tool", Begin::Exclusive).await?;
    let registered = add_tool(&mut transaction, tenant, tool).await;
    transaction.end(registered).await
}

async fn add_tool(
    connection: &mut PgConnection,
    tenant: &Tenant,
    mut tool: Tool,
) -> Result<Registered> {
    let epoch = meta::advance(connection).await?;
    let existing = tenant_by_slug(connection, &tenant.slug).await?;
    let tenant_created = existing.is_none();
    if tenant_created {
        insert_tenant(connection, tenant, epoch).await?;
    }
    let tenant = match existing {
        Some(tenant) => tenant,
        None => tenant_by_slug(connection, &tenant.slug)
            .await?
            .ok_or_else(|| unavailable("the new tenant is not there"))?,
    };
    tool.tenant_id = tenant.id;
    refuse_taken(connection, &tool).await?;
    insert_tool(connection, &tool, epoch).await?;
    let tool = by_id(connection, tool.id.0)
        .await?
        .ok_or_else(|| unavailable("the new tool is not there"))?;
    Ok(Registered { tenant, tenant_created, tool, epoch })
}

async fn refuse_taken(connection: &mut PgConnection, tool: &Tool) -> Result<()> {
    let (tenant, name) = (tool.tenant_id.0, tool.name.as_str());
    let condition = "WHERE tenant_id = $1 AND name = $2";
    if one::<Tool>(connection, condition, |query| query.bind(tenant).bind(name)).await?.is_some() {
        return Err(Conflict::ToolExists(tool.name.clone()).into());
    }
    let skeleton = tool.name.skeleton();
    let condition = "WHERE tenant_id = $1 AND skeleton = $2";
    let confusable =
        one::<Tool>(connection, condition, |query| query.bind(tenant).bind(skeleton)).await?;
    match confusable {
        None => Ok(()),
        Some(existing) => {
            let wanted = tool.name.clone();
            Err(Conflict::ToolConfusable { wanted, existing: existing.name }.into())
        }
    }
}

pub(crate) async fn update_tool(
    pool: &PgPool,
    id: ToolId,
    change: ToolChange,
    at: Timestamp,
) -> Result<Option<(Tool, Epoch)>> {
    let mut transaction = Transaction::begin(pool, "update_tool", Begin::Exclusive).await?;
    let updated = change_tool(&mut transaction, id, change, at).await;
    transaction.end(updated).await
}

async fn change_tool(
    connection: &mut PgConnection,
    id: ToolId,
    change: ToolChange,
    at: Timestamp,
) -> Result<Option<(Tool, Epoch)>> {
    let Some(mut tool) = by_id::<Tool>(connection, id.0).await? else { return Ok(None) };
    tool.url = change.url.unwrap_or(tool.url);
    tool.owner = change.owner.unwrap_or(tool.owner);
    tool.scopes = change.scopes.unwrap_or(tool.scopes);
    tool.metadata = change.metadata.unwrap_or(tool.metadata);
    tool.healthcheck = change.healthcheck.unwrap_or(tool.healthcheck);
    if change.retire {
        tool.retired_at = tool.retired_at.or(Some(at));
    }
    let epoch = meta::advance(connection).await?;
    let sql = "UPDATE tools SET url = $2, owner = $3, scopes = $4::text::jsonb,
        extra_metadata = $5::text::jsonb, healthcheck = $6, updated_at = $7, retired_at = $8,
        epoch = $9 WHERE id = $1";
    query(sql)
        .bind(id.0)
        .bind(tool.url.as_str())
        .bind(tool.owner.as_str())
        .bind(json(&tool.scopes)?)
        .bind(json(&tool.metadata)?)
        .bind(tool.healthcheck.as_ref().map(|url| url.as_str()))
        .bind(Time(at))
        .bind(tool.retired_at.map(Time))
        .bind(epoch.0.cast_signed())
        .execute(&mut *connection)
        .await?;
    Ok(by_id(connection, id.0).await?.map(|tool| (tool, epoch)))
}

pub(crate) async fn create_key(pool: &PgPool, key: &ApiKey) -> Result<Epoch> {
    let mut transaction = Transaction::begin(pool, "create_key", Begin::Exclusive).await?;
    let epoch = add_key(&mut transaction, key).await;
    transaction.end(epoch).await
}

async fn add_key(connection: &mut PgConnection, key: &ApiKey) -> Result<Epoch> {
    let epoch = meta::advance(connection).await?;
    let sql = "INSERT INTO api_keys (id, hash, name, role, tenant_id, agent, owner,
        created_at, revoked_at, epoch) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    query(sql)
        .bind(key.id.0)
        .bind(key.hash.0.as_slice())
        .bind(key.name.as_str())
        .bind(key.role.as_str())
        .bind(key.tenant_id.map(|id| id.0))
        .bind(key.agent.as_ref().map(AsRef::<str>::as_ref))
        .bind(key.owner.as_ref().map(AsRef::<str>::as_ref))
        .bind(Time(key.created_at))
        .bind(key.revoked_at.map(Time))
        .bind(epoch.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(epoch)
}

/// Revokes a key. One that is revoked already is left as it is, and the epoch too.
pub(crate) async fn revoke_key(
    pool: &PgPool,
    id: KeyId,
    at: Timestamp,
) -> Result<Option<(ApiKey, Epoch)>> {
    let mut transaction = Transaction::begin(pool, "revoke_key", Begin::Exclusive).await?;
    let revoked = end_key(&mut transaction, id, at).await;
    transaction.end(revoked).await
}

async fn end_key(
    connection: &mut PgConnection,
    id: KeyId,
    at: Timestamp,
) -> Result<Option<(ApiKey, Epoch)>> {
    let Some(key) = by_id::<ApiKey>(connection, id.0).await? else { return Ok(None) };
    if key.revoked_at.is_some() {
        return Ok(Some((key, meta::epoch(connection).await?)));
    }
    let epoch = meta::advance(connection).await?;
    query("UPDATE api_keys SET revoked_at = $2, epoch = $3 WHERE id = $1")
        .bind(id.0)
        .bind(Time(at))
        .bind(epoch.0.cast_signed())
        .execute(&mut *connection)
        .await?;
    Ok(by_id(connection, id.0).await?.map(|key| (key, epoch)))
}

pub(crate) async fn record_health(pool: &PgPool, id: ToolId, health: &Health) -> Result<()> {
    let sql = "UPDATE tools SET health_status = $2, health_checked_at = $3,
        health_latency_ms = $4, health_detail = $5 WHERE id = $1";
    query(sql)
        .bind(id.0)
        .bind(health.status.as_str())
        .bind(Time(health.checked_at))
        .bind(health.latency_ms.cast_signed())
        .bind(&health.detail)
        .execute(pool)
        .await?;
    Ok(())
}

/// Tenants by slug; the cursor is the slug of the last one of the page before.
pub(crate) async fn tenants(pool: &PgPool, page: &Page) -> Result<Paged<Tenant>> {
    let mut listing = Listing::of::<Tenant>("slug");
    listing.bound("id <>", self_test::TENANT.0);
    if let Some(cursor) = &page.cursor {
        let after: TenantSlug = cursor.parse().map_err(|_| StoreError::BadCursor)?;
        listing.bound("slug >", after.as_str());
    }
    let rows = listing.rows(pool, page, "slug").await?;
    paged(&rows)
}

pub(crate) async fn tools(
    pool: &PgPool,
    tenant: Option<TenantId>,
    page: &Page,
) -> Result<Paged<(Tool, Option<Health>)>> {
    let mut listing = Listing::of::<(Tool, Option<Health>)>("sequence::text");
    listing.bound("id <>", self_test::TOOL.0);
    listing.bound_optional("tenant_id =", tenant.map(|id| id.0));
    listing.page(pool, page, Order::OldestFirst).await
}

pub(crate) async fn keys(
    pool: &PgPool,
    tenant: Option<TenantId>,
    page: &Page,
) -> Result<Paged<ApiKey>> {
    let mut listing = Listing::of::<ApiKey>("sequence::text");
    listing.bound_optional("tenant_id =", tenant.map(|id| id.0));
    listing.page(pool, page, Order::NewestFirst).await
}

async fn tenant_by_slug(
    connection: &mut PgConnection,
    slug: &TenantSlug,
) -> Result<Option<Tenant>> {
    one(connection, "WHERE slug = $1", |query| query.bind(slug.as_str())).await
}

async fn insert_tenant(connection: &mut PgConnection, tenant: &Tenant, epoch: Epoch) -> Result<()> {
    let sql = "INSERT INTO tenants (id, slug, display_name, secret, created_at, epoch)
        VALUES ($1, $2, $3, $4, $5, $6)";
    query(sql)
        .bind(tenant.id.0)
        .bind(tenant.slug.as_str())
        .bind(tenant.display_name.as_str())
        .bind(tenant.secret.0.as_slice())
        .bind(Time(tenant.created_at))
        .bind(epoch.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert_tool(connection: &mut PgConnection, tool: &Tool, epoch: Epoch) -> Result<()> {
    let sql = "INSERT INTO tools (id, tenant_id, name, skeleton, url, owner, scopes,
        extra_metadata, healthcheck, created_at, updated_at, retired_at, epoch)
        VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8::text::jsonb, $9, $10, $11, $12, $13)";
    query(sql)
        .bind(tool.id.0)
        .bind(tool.tenant_id.0)
        .bind(tool.name.as_str())
        .bind(tool.name.skeleton())
        .bind(tool.url.as_str())
        .bind(tool.owner.as_str())
        .bind(json(&tool.scopes)?)
        .bind(json(&tool.metadata)?)
        .bind(tool.healthcheck.as_ref().map(|url| url.as_str()))
        .bind(Time(tool.created_at))
        .bind(Time(tool.updated_at))
        .bind(tool.retired_at.map(Time))
        .bind(epoch.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// A value as JSON text.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| unavailable(error.to_string()))
}

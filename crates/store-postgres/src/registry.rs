//! Tenants, tools and keys: every change of them, and their listings.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KeyId, TenantId, ToolId};
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{Conflict, Registered, RegistryStore, StoreError};
use sentinel_core::principal::ApiKey;
use sentinel_core::self_test;
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::{Health, Tool, ToolChange};
use sentinel_store_rows::{Value, json};
use sqlx::{PgConnection, PgPool, query};

use crate::epoch;
use crate::error::{Result as Work, unavailable};
use crate::listing::{Listing, Order, paged};
use crate::row::{self, by_id, one};
use crate::store::PostgresStore;
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

#[async_trait]
impl RegistryStore for PostgresStore {
    async fn create_tenant(&self, tenant: Tenant) -> Result<Epoch, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { create_tenant(&pool, &tenant).await }).await
    }

    async fn register_tool(&self, tenant: Tenant, tool: Tool) -> Result<Registered, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { register_tool(&pool, &tenant, tool).await }).await
    }

    async fn update_tool(
        &self,
        id: ToolId,
        change: ToolChange,
        at: Timestamp,
    ) -> Result<Option<(Tool, Epoch)>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { update_tool(&pool, id, change, at).await }).await
    }

    async fn record_health(&self, id: ToolId, health: Health) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { record_health(&pool, id, &health).await }).await
    }

    async fn create_key(&self, key: ApiKey) -> Result<Epoch, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { create_key(&pool, &key).await }).await
    }

    async fn revoke_key(
        &self,
        id: KeyId,
        at: Timestamp,
    ) -> Result<Option<(ApiKey, Epoch)>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { revoke_key(&pool, id, at).await }).await
    }

    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>, StoreError> {
        self.read(tenants(&self.listings, &page)).await
    }

    async fn tools(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<(Tool, Option<Health>)>, StoreError> {
        self.read(tools(&self.listings, tenant, &page)).await
    }

    async fn tool(&self, id: ToolId) -> Result<Option<(Tool, Option<Health>)>, StoreError> {
        self.read(async { by_id(&mut *self.pool.acquire().await?, id.0).await }).await
    }

    async fn keys(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<ApiKey>, StoreError> {
        self.read(keys(&self.pool, tenant, &page)).await
    }
}

async fn create_tenant(pool: &PgPool, tenant: &Tenant) -> Work<Epoch> {
    let mut transaction = Transaction::begin(pool, "create_tenant", Begin::Exclusive).await?;
    let epoch = add_tenant(&mut transaction, tenant).await;
    transaction.end(epoch).await
}

async fn add_tenant(connection: &mut PgConnection, tenant: &Tenant) -> Work<Epoch> {
    if tenant_by_slug(connection, &tenant.slug).await?.is_some() {
        return Err(Conflict::TenantExists(tenant.slug.clone()).into());
    }
    let epoch = epoch::advance(connection).await?;
    row::insert(connection, tenant, &[("epoch", Value::count(epoch.0))]).await?;
    Ok(epoch)
}

async fn register_tool(pool: &PgPool, tenant: &Tenant, tool: Tool) -> Work<Registered> {
    let mut transaction = Transaction::begin(pool, "register_tool", Begin::Exclusive).await?;
    let registered = add_tool(&mut transaction, tenant, tool).await;
    transaction.end(registered).await
}

async fn add_tool(
    connection: &mut PgConnection,
    tenant: &Tenant,
    mut tool: Tool,
) -> Work<Registered> {
    let epoch = epoch::advance(connection).await?;
    let existing = tenant_by_slug(connection, &tenant.slug).await?;
    let tenant_created = existing.is_none();
    if tenant_created {
        row::insert(connection, tenant, &[("epoch", Value::count(epoch.0))]).await?;
    }
    let tenant = match existing {
        Some(tenant) => tenant,
        None => tenant_by_slug(connection, &tenant.slug)
            .await?
            .ok_or_else(|| unavailable("the new tenant is not there"))?,
    };
    tool.tenant_id = tenant.id;
    match name_taken(connection, &tool).await? {
        None => insert_tool(connection, &tool, epoch).await?,
        Some(NameTaken::Same(_)) => return Err(Conflict::ToolExists(tool.name).into()),
        Some(NameTaken::Confusable(existing)) => {
            return Err(Conflict::ToolConfusable { wanted: tool.name, existing }.into());
        }
    }
    let tool = by_id(connection, tool.id.0)
        .await?
        .ok_or_else(|| unavailable("the new tool is not there"))?;
    Ok(Registered { tenant, tenant_created, tool, epoch })
}

/// Who has the name of a tool already.
pub(crate) enum NameTaken {
    Same(Box<Tool>),
    Confusable(ToolName),
}

pub(crate) async fn name_taken(
    connection: &mut PgConnection,
    tool: &Tool,
) -> Work<Option<NameTaken>> {
    let (tenant, name) = (tool.tenant_id.0, tool.name.as_str());
    let condition = "WHERE tenant_id = $1 AND name = $2";
    let same = one(connection, condition, |query| query.bind(tenant).bind(name)).await?;
    if let Some(same) = same {
        return Ok(Some(NameTaken::Same(Box::new(same))));
    }
    let skeleton = tool.name.skeleton();
    let condition = "WHERE tenant_id = $1 AND skeleton = $2";
    let confusable =
        one::<Tool>(connection, condition, |query| query.bind(tenant).bind(skeleton)).await?;
    Ok(confusable.map(|tool| NameTaken::Confusable(tool.name)))
}

pub(crate) async fn insert_tool(
    connection: &mut PgConnection,
    tool: &Tool,
    epoch: Epoch,
) -> Work<()> {
    let more = [("skeleton", tool.name.skeleton().into()), ("epoch", Value::count(epoch.0))];
    row::insert(connection, tool, &more).await
}

async fn update_tool(
    pool: &PgPool,
    id: ToolId,
    change: ToolChange,
    at: Timestamp,
) -> Work<Option<(Tool, Epoch)>> {
    let mut transaction = Transaction::begin(pool, "update_tool", Begin::Exclusive).await?;
    let updated = change_tool(&mut transaction, id, change, at).await;
    transaction.end(updated).await
}

async fn change_tool(
    connection: &mut PgConnection,
    id: ToolId,
    change: ToolChange,
    at: Timestamp,
) -> Work<Option<(Tool, Epoch)>> {
    let Some(mut tool) = by_id::<Tool>(connection, id.0).await? else { return Ok(None) };
    tool.apply(change, at);
    let epoch = epoch::advance(connection).await?;
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

async fn create_key(pool: &PgPool, key: &ApiKey) -> Work<Epoch> {
    let mut transaction = Transaction::begin(pool, "create_key", Begin::Exclusive).await?;
    let epoch = add_key(&mut transaction, key).await;
    transaction.end(epoch).await
}

async fn add_key(connection: &mut PgConnection, key: &ApiKey) -> Work<Epoch> {
    let epoch = epoch::advance(connection).await?;
    row::insert(connection, key, &[("epoch", Value::count(epoch.0))]).await?;
    Ok(epoch)
}

/// Revokes a key. One that is revoked already is left as it is, and the epoch too.
async fn revoke_key(pool: &PgPool, id: KeyId, at: Timestamp) -> Work<Option<(ApiKey, Epoch)>> {
    let mut transaction = Transaction::begin(pool, "revoke_key", Begin::Exclusive).await?;
    let revoked = end_key(&mut transaction, id, at).await;
    transaction.end(revoked).await
}

async fn end_key(
    connection: &mut PgConnection,
    id: KeyId,
    at: Timestamp,
) -> Work<Option<(ApiKey, Epoch)>> {
    let Some(key) = by_id::<ApiKey>(connection, id.0).await? else { return Ok(None) };
    if key.revoked_at.is_some() {
        return Ok(Some((key, epoch::epoch(connection).await?)));
    }
    let epoch = epoch::advance(connection).await?;
    query("UPDATE api_keys SET revoked_at = $2, epoch = $3 WHERE id = $1")
        .bind(id.0)
        .bind(Time(at))
        .bind(epoch.0.cast_signed())
        .execute(&mut *connection)
        .await?;
    Ok(by_id(connection, id.0).await?.map(|key| (key, epoch)))
}

async fn record_health(pool: &PgPool, id: ToolId, health: &Health) -> Work<()> {
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
async fn tenants(pool: &PgPool, page: &Page) -> Work<Paged<Tenant>> {
    let mut listing = Listing::of::<Tenant>("slug");
    listing.bound("id <>", self_test::TENANT.0);
    if let Some(cursor) = &page.cursor {
        let after: TenantSlug = cursor.parse().map_err(|_| StoreError::BadCursor)?;
        listing.bound("slug >", after.as_str());
    }
    let rows = listing.rows(pool, page, "slug").await?;
    paged(&rows)
}

async fn tools(
    pool: &PgPool,
    tenant: Option<TenantId>,
    page: &Page,
) -> Work<Paged<(Tool, Option<Health>)>> {
    let mut listing = Listing::of::<(Tool, Option<Health>)>("sequence::text");
    listing.bound("id <>", self_test::TOOL.0);
    listing.bound_optional("tenant_id =", tenant.map(|id| id.0));
    listing.page(pool, page, Order::OldestFirst).await
}

async fn keys(pool: &PgPool, tenant: Option<TenantId>, page: &Page) -> Work<Paged<ApiKey>> {
    let mut listing = Listing::of::<ApiKey>("sequence::text");
    listing.bound_optional("tenant_id =", tenant.map(|id| id.0));
    listing.page(pool, page, Order::NewestFirst).await
}

async fn tenant_by_slug(connection: &mut PgConnection, slug: &TenantSlug) -> Work<Option<Tenant>> {
    one(connection, "WHERE slug = $1", |query| query.bind(slug.as_str())).await
}

//! Tenants, tools and keys: their rows, and every change of them.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KeyId, TenantId, ToolId};
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{Conflict, Registered, RegistryStore, StoreError};
use sentinel_core::principal::ApiKey;
use sentinel_core::self_test;
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::{Health, Tool, ToolChange};
use sentinel_store_rows::{Stored, Value, json};

use crate::epoch;
use crate::error::{Result as Work, unavailable};
use crate::listing::{Conditions, Order, Source, blob, paged};
use crate::row::{self, one, select_list};
use crate::store::SqliteStore;

#[async_trait]
impl RegistryStore for SqliteStore {
    async fn create_tenant(&self, tenant: Tenant) -> Result<Epoch, StoreError> {
        self.writer.run(move |write| create_tenant(write, &tenant)).await
    }

    async fn register_tool(&self, tenant: Tenant, tool: Tool) -> Result<Registered, StoreError> {
        self.writer.run(move |write| register_tool(write, &tenant, tool)).await
    }

    async fn update_tool(
        &self,
        id: ToolId,
        change: ToolChange,
        at: Timestamp,
    ) -> Result<Option<(Tool, Epoch)>, StoreError> {
        self.writer.run(move |write| update_tool(write, id, change, at)).await
    }

    async fn record_health(&self, id: ToolId, health: Health) -> Result<(), StoreError> {
        self.writer.run(move |write| record_health(write, id, &health)).await
    }

    async fn create_key(&self, key: ApiKey) -> Result<Epoch, StoreError> {
        self.writer.run(move |write| create_key(write, &key)).await
    }

    async fn revoke_key(
        &self,
        id: KeyId,
        at: Timestamp,
    ) -> Result<Option<(ApiKey, Epoch)>, StoreError> {
        self.writer.run(move |write| revoke_key(write, id, at)).await
    }

    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>, StoreError> {
        self.readers.run(move |read| tenants(read, &page)).await
    }

    async fn tools(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<(Tool, Option<Health>)>, StoreError> {
        self.readers.run(move |read| tools(read, tenant, &page)).await
    }

    async fn tool(&self, id: ToolId) -> Result<Option<(Tool, Option<Health>)>, StoreError> {
        self.readers.run(move |read| one(read, "id = ?1", [id.0.as_bytes()])).await
    }

    async fn keys(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<ApiKey>, StoreError> {
        self.readers.run(move |read| keys(read, tenant, &page)).await
    }
}

fn create_tenant(transaction: &Transaction<'_>, tenant: &Tenant) -> Work<Epoch> {
    if tenant_by_slug(transaction, &tenant.slug)?.is_some() {
        return Err(Conflict::TenantExists(tenant.slug.clone()).into());
    }
    let epoch = epoch::advance(transaction)?;
    row::insert(transaction, tenant, &[("epoch", Value::count(epoch.0))])?;
    Ok(epoch)
}

fn register_tool(
    transaction: &Transaction<'_>,
    tenant: &Tenant,
    mut tool: Tool,
) -> Work<Registered> {
    let epoch = epoch::advance(transaction)?;
    let existing = tenant_by_slug(transaction, &tenant.slug)?;
    let tenant_created = existing.is_none();
    if tenant_created {
        row::insert(transaction, tenant, &[("epoch", Value::count(epoch.0))])?;
    }
    let tenant = match existing {
        Some(tenant) => tenant,
        None => tenant_by_slug(transaction, &tenant.slug)?
            .ok_or_else(|| unavailable("the new tenant is not there"))?,
    };
    tool.tenant_id = tenant.id;
    match name_taken(transaction, &tool)? {
        None => insert_tool(transaction, &tool, epoch)?,
        Some(NameTaken::Same(_)) => return Err(Conflict::ToolExists(tool.name).into()),
        Some(NameTaken::Confusable(existing)) => {
            return Err(Conflict::ToolConfusable { wanted: tool.name, existing }.into());
        }
    }
    let tool = one(transaction, "id = ?1", [tool.id.0.as_bytes()])?
        .ok_or_else(|| unavailable("the new tool is not there"))?;
    Ok(Registered { tenant, tenant_created, tool, epoch })
}

/// Who has the name of a tool already.
pub(crate) enum NameTaken {
    Same(Box<Tool>),
    Confusable(ToolName),
}

pub(crate) fn name_taken(transaction: &Transaction<'_>, tool: &Tool) -> Work<Option<NameTaken>> {
    let tenant = tool.tenant_id.0.as_bytes();
    let (name, skeleton) = (tool.name.as_str(), tool.name.skeleton());
    let same = one::<Tool>(transaction, "tenant_id = ?1 AND name = ?2", params![tenant, name])?;
    if let Some(same) = same {
        return Ok(Some(NameTaken::Same(Box::new(same))));
    }
    let condition = "tenant_id = ?1 AND skeleton = ?2";
    let confusable = one::<Tool>(transaction, condition, params![tenant, skeleton])?;
    Ok(confusable.map(|tool| NameTaken::Confusable(tool.name)))
}

pub(crate) fn insert_tool(transaction: &Transaction<'_>, tool: &Tool, epoch: Epoch) -> Work<()> {
    let more = [("skeleton", tool.name.skeleton().into()), ("epoch", Value::count(epoch.0))];
    row::insert(transaction, tool, &more)
}

fn update_tool(
    transaction: &Transaction<'_>,
    id: ToolId,
    change: ToolChange,
    at: Timestamp,
) -> Work<Option<(Tool, Epoch)>> {
    let Some(mut tool) = one::<Tool>(transaction, "id = ?1", [id.0.as_bytes()])? else {
        return Ok(None);
    };
    tool.apply(change, at);
    let epoch = epoch::advance(transaction)?;
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

fn create_key(transaction: &Transaction<'_>, key: &ApiKey) -> Work<Epoch> {
    let epoch = epoch::advance(transaction)?;
    row::insert(transaction, key, &[("epoch", Value::count(epoch.0))])?;
    Ok(epoch)
}

/// Revokes a key. One that is revoked already is left as it is, and the epoch too.
fn revoke_key(
    transaction: &Transaction<'_>,
    id: KeyId,
    at: Timestamp,
) -> Work<Option<(ApiKey, Epoch)>> {
    let find = || one::<ApiKey>(transaction, "id = ?1", [id.0.as_bytes()]);
    let Some(key) = find()? else { return Ok(None) };
    if key.revoked_at.is_some() {
        return Ok(Some((key, epoch::read(transaction)?.epoch)));
    }
    let epoch = epoch::advance(transaction)?;
    let sql = "UPDATE api_keys SET revoked_at = ?2, epoch = ?3 WHERE id = ?1";
    transaction
        .execute(sql, params![id.0.as_bytes(), at.as_microsecond(), epoch.0.cast_signed()])?;
    Ok(find()?.map(|key| (key, epoch)))
}

fn record_health(transaction: &Transaction<'_>, id: ToolId, health: &Health) -> Work<()> {
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
fn tenants(connection: &Connection, page: &Page) -> Work<Paged<Tenant>> {
    let mut conditions = Conditions::default();
    conditions.bound("id <>", blob(self_test::TENANT.0));
    if let Some(cursor) = &page.cursor {
        let after: TenantSlug = cursor.parse().map_err(|_| StoreError::BadCursor)?;
        conditions.bound("slug >", after.as_str().to_owned());
    }
    let source = Source {
        columns: &select_list::<Tenant>(),
        from: Tenant::TABLE,
        table: Tenant::TABLE,
        order: "slug",
    };
    let rows = conditions.rows(connection, page, &source, |row| Ok(Tenant::read(row)?))?;
    Ok(paged(rows, |tenant| tenant.slug.to_string(), |tenant| tenant))
}

fn tools(
    connection: &Connection,
    tenant: Option<TenantId>,
    page: &Page,
) -> Work<Paged<(Tool, Option<Health>)>> {
    let mut conditions = Conditions::default();
    conditions.bound_optional("tenant_id =", tenant.map(|id| blob(id.0)));
    conditions.bound("id <>", blob(self_test::TOOL.0));
    conditions.page(connection, page, Order::OldestFirst)
}

fn keys(connection: &Connection, tenant: Option<TenantId>, page: &Page) -> Work<Paged<ApiKey>> {
    let mut conditions = Conditions::default();
    conditions.bound_optional("tenant_id =", tenant.map(|id| blob(id.0)));
    conditions.page(connection, page, Order::NewestFirst)
}

fn tenant_by_slug(connection: &Connection, slug: &TenantSlug) -> Work<Option<Tenant>> {
    one(connection, "slug = ?1", [slug.as_str()])
}

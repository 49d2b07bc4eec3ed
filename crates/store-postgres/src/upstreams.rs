//! Upstreams, and what their tools are pinned to.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{TenantId, ToolId, UpstreamId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::pin::{DefinitionDigest, Pin, QuarantineCause};
use sentinel_core::ports::{Conflict, PinChange, PinChanged, StoreError, UpstreamStore};
use sentinel_core::tool::Tool;
use sentinel_core::upstream::Upstream;
use sentinel_store_rows::{PinRow, Value, json};
use serde_json::Map;
use sqlx::{PgConnection, PgPool, query};

use crate::epoch;
use crate::error::Result as Work;
use crate::listing::{Listing, Order};
use crate::migrations;
use crate::registry::{NameTaken, insert_tool, name_taken};
use crate::row::{self, by_id, columns, one};
use crate::store::PostgresStore;
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

type Definition = Map<String, serde_json::Value>;

#[async_trait]
impl UpstreamStore for PostgresStore {
    async fn add_upstream(
        &self,
        upstream: Upstream,
        doors: Vec<Tool>,
    ) -> Result<Epoch, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { add_upstream(&pool, &upstream, doors).await }).await
    }

    async fn remove_upstream(
        &self,
        id: UpstreamId,
        at: Timestamp,
    ) -> Result<Option<(Upstream, Epoch)>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { remove_upstream(&pool, id, at).await }).await
    }

    async fn upstreams(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<Upstream>, StoreError> {
        self.read(upstreams(&self.listings, tenant, &page)).await
    }

    async fn change_pins(
        &self,
        changes: Vec<PinChange>,
        at: Timestamp,
    ) -> Result<(Vec<PinChanged>, Epoch), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { change_pins(&pool, changes, at).await }).await
    }

    async fn definitions(
        &self,
        tool: ToolId,
    ) -> Result<Vec<(DefinitionDigest, Definition)>, StoreError> {
        self.read(definitions(&self.pool, tool)).await
    }
}

async fn add_upstream(pool: &PgPool, upstream: &Upstream, doors: Vec<Tool>) -> Work<Epoch> {
    let mut transaction = Transaction::begin(pool, "add_upstream", Begin::Exclusive).await?;
    let epoch = add(&mut transaction, upstream, doors).await;
    transaction.end(epoch).await
}

async fn add(connection: &mut PgConnection, upstream: &Upstream, doors: Vec<Tool>) -> Work<Epoch> {
    // A server that starts later reads quarantines; one that is connected may not know them.
    let older = migrations::connections_before(connection, migrations::UPSTREAMS.version).await?;
    if older > 0 {
        return Err(Conflict::ServersWithoutPins(older).into());
    }
    let (tenant, name) = (upstream.tenant_id.0, upstream.name.as_str());
    let taken = "WHERE tenant_id = $1 AND name = $2 AND removed_at IS NULL";
    let taken = one::<Upstream>(connection, taken, |query| query.bind(tenant).bind(name)).await?;
    if taken.is_some() {
        return Err(Conflict::UpstreamExists(upstream.name.clone()).into());
    }
    let epoch = epoch::advance(connection).await?;
    row::insert(connection, upstream, &[("epoch", Value::count(epoch.0))]).await?;
    for door in doors {
        match name_taken(connection, &door).await? {
            None => insert_tool(connection, &door, epoch).await?,
            Some(NameTaken::Same(existing)) => {
                let at = (upstream.created_at, epoch);
                let metadata = Some(&door.metadata);
                move_pin(connection, existing.id, door.pin.as_ref(), metadata, at).await?;
            }
            Some(NameTaken::Confusable(existing)) => {
                return Err(Conflict::ToolConfusable { wanted: door.name, existing }.into());
            }
        }
    }
    Ok(epoch)
}

async fn remove_upstream(
    pool: &PgPool,
    id: UpstreamId,
    at: Timestamp,
) -> Work<Option<(Upstream, Epoch)>> {
    let mut transaction = Transaction::begin(pool, "remove_upstream", Begin::Exclusive).await?;
    let removed = remove(&mut transaction, id, at).await;
    transaction.end(removed).await
}

async fn remove(
    connection: &mut PgConnection,
    id: UpstreamId,
    at: Timestamp,
) -> Work<Option<(Upstream, Epoch)>> {
    let Some(upstream) = by_id::<Upstream>(connection, id.0).await? else { return Ok(None) };
    if upstream.removed_at.is_some() {
        return Ok(Some((upstream, epoch::epoch(connection).await?)));
    }
    let epoch = epoch::advance(connection).await?;
    query("UPDATE upstreams SET removed_at = $2, epoch = $3 WHERE id = $1")
        .bind(id.0)
        .bind(Time(at))
        .bind(epoch.0.cast_signed())
        .execute(&mut *connection)
        .await?;
    let sql = "UPDATE tools SET pin_cause = $2, pin_offered = NULL, pin_since = $3, epoch = $4
        WHERE upstream_id = $1";
    query(sql)
        .bind(id.0)
        .bind(QuarantineCause::UpstreamRemoved.as_str())
        .bind(Time(at))
        .bind(epoch.0.cast_signed())
        .execute(&mut *connection)
        .await?;
    Ok(by_id(connection, id.0).await?.map(|upstream| (upstream, epoch)))
}

async fn upstreams(pool: &PgPool, tenant: Option<TenantId>, page: &Page) -> Work<Paged<Upstream>> {
    let mut listing = Listing::of::<Upstream>("sequence::text");
    listing.fixed("removed_at IS NULL");
    listing.bound_optional("tenant_id =", tenant.map(|id| id.0));
    listing.page(pool, page, Order::OldestFirst).await
}

async fn change_pins(
    pool: &PgPool,
    changes: Vec<PinChange>,
    at: Timestamp,
) -> Work<(Vec<PinChanged>, Epoch)> {
    let mut transaction = Transaction::begin(pool, "change_pins", Begin::Exclusive).await?;
    let changed = change_all(&mut transaction, changes, at).await;
    transaction.end(changed).await
}

/// Makes the changes. The epoch begins with the first one that can be made.
async fn change_all(
    connection: &mut PgConnection,
    changes: Vec<PinChange>,
    at: Timestamp,
) -> Work<(Vec<PinChanged>, Epoch)> {
    let before = epoch::epoch(connection).await?;
    let mut epoch = None;
    let mut changed = Vec::with_capacity(changes.len());
    for change in changes {
        let refused = refusal(connection, &change).await?;
        if refused.is_none() {
            let epoch = match epoch {
                Some(epoch) => epoch,
                None => *epoch.insert(epoch::advance(connection).await?),
            };
            apply(connection, change, (at, epoch)).await?;
        }
        changed.push(refused.unwrap_or(PinChanged::Done));
    }
    Ok((changed, epoch.unwrap_or(before)))
}

/// Why a change cannot be made.
async fn refusal(connection: &mut PgConnection, change: &PinChange) -> Work<Option<PinChanged>> {
    match change {
        PinChange::Register { tool, .. } => Ok(match name_taken(connection, tool).await? {
            None => None,
            Some(NameTaken::Same(_)) => Some(PinChanged::Moved),
            Some(NameTaken::Confusable(existing)) => Some(PinChanged::Confusable(existing)),
        }),
        PinChange::Move { tool, before, .. } => {
            let stored = by_id::<Tool>(connection, tool.0).await?;
            let is_as_known = stored.is_some_and(|stored| stored.pin == *before);
            Ok((!is_as_known).then_some(PinChanged::Moved))
        }
    }
}

async fn apply(
    connection: &mut PgConnection,
    change: PinChange,
    (at, epoch): (Timestamp, Epoch),
) -> Work<()> {
    match change {
        PinChange::Register { tool, definition } => {
            insert_tool(connection, &tool, epoch).await?;
            for digest in tool.pin.iter().flat_map(Pin::definitions) {
                keep(connection, tool.id, digest, &definition).await?;
            }
            Ok(())
        }
        PinChange::Move { tool, after, metadata, definition, .. } => {
            move_pin(connection, tool, Some(&after), metadata.as_ref(), (at, epoch)).await?;
            if let Some((digest, definition)) = definition {
                keep(connection, tool, digest, &definition).await?;
            }
            forget(connection, tool, &after).await
        }
    }
}

async fn move_pin(
    connection: &mut PgConnection,
    tool: ToolId,
    pin: Option<&Pin>,
    metadata: Option<&Definition>,
    (at, epoch): (Timestamp, Epoch),
) -> Work<()> {
    let sql = "UPDATE tools SET upstream_id = $2, pin_approved = $3, pin_cause = $4,
        pin_offered = $5, pin_since = $6,
        extra_metadata = coalesce($7::text::jsonb, extra_metadata), updated_at = $8, epoch = $9
        WHERE id = $1";
    let pin = PinRow::of(pin);
    query(sql)
        .bind(tool.0)
        .bind(pin.upstream)
        .bind(pin.approved)
        .bind(pin.cause)
        .bind(pin.offered)
        .bind(pin.since.map(Time))
        .bind(metadata.map(json).transpose()?)
        .bind(Time(at))
        .bind(epoch.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

async fn keep(
    connection: &mut PgConnection,
    tool: ToolId,
    digest: DefinitionDigest,
    definition: &Definition,
) -> Work<()> {
    let sql = "INSERT INTO tool_definitions (tool_id, digest, definition) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    query(sql)
        .bind(tool.0)
        .bind(digest.0.to_vec())
        .bind(json(definition)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes the definitions that the pin no longer refers to.
async fn forget(connection: &mut PgConnection, tool: ToolId, pin: &Pin) -> Work<()> {
    let sql = "DELETE FROM tool_definitions WHERE tool_id = $1
        AND digest IS DISTINCT FROM $2 AND digest IS DISTINCT FROM $3";
    let row = PinRow::of(Some(pin));
    query(sql).bind(tool.0).bind(row.approved).bind(row.offered).execute(connection).await?;
    Ok(())
}

async fn definitions(pool: &PgPool, tool: ToolId) -> Work<Vec<(DefinitionDigest, Definition)>> {
    let sql = "SELECT digest, definition FROM tool_definitions WHERE tool_id = $1";
    let rows = query(sql).bind(tool.0).fetch_all(pool).await?;
    let read = |row| {
        let mut columns = columns(row, "tool_definitions");
        Ok((DefinitionDigest(columns.array()?), columns.json()?))
    };
    rows.iter().map(read).collect()
}

//! Upstreams, and what their tools are pinned to.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{TenantId, ToolId, UpstreamId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::pin::{DefinitionDigest, Pin, QuarantineCause};
use sentinel_core::ports::{Conflict, PinChange, PinChanged, StoreError, UpstreamStore};
use sentinel_core::tool::Tool;
use sentinel_core::upstream::Upstream;
use sentinel_store_rows::{PinRow, Value, json};
use serde_json::Map;

use crate::epoch;
use crate::error::Result as Work;
use crate::listing::{Conditions, Order, blob};
use crate::registry::{NameTaken, insert_tool, name_taken};
use crate::row::{self, one, select_with};
use crate::store::SqliteStore;

type Definition = Map<String, serde_json::Value>;

#[async_trait]
impl UpstreamStore for SqliteStore {
    async fn add_upstream(
        &self,
        upstream: Upstream,
        doors: Vec<Tool>,
    ) -> Result<Epoch, StoreError> {
        self.writer.run(move |write| add(write, &upstream, doors)).await
    }

    async fn remove_upstream(
        &self,
        id: UpstreamId,
        at: Timestamp,
    ) -> Result<Option<(Upstream, Epoch)>, StoreError> {
        self.writer.run(move |write| remove(write, id, at)).await
    }

    async fn upstreams(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<Upstream>, StoreError> {
        self.readers.run(move |read| upstreams(read, tenant, &page)).await
    }

    async fn change_pins(
        &self,
        changes: Vec<PinChange>,
        at: Timestamp,
    ) -> Result<(Vec<PinChanged>, Epoch), StoreError> {
        self.writer.run(move |write| change_pins(write, changes, at)).await
    }

    async fn definitions(
        &self,
        tool: ToolId,
    ) -> Result<Vec<(DefinitionDigest, Definition)>, StoreError> {
        self.readers.run(move |read| definitions(read, tool)).await
    }
}

fn add(transaction: &Transaction<'_>, upstream: &Upstream, doors: Vec<Tool>) -> Work<Epoch> {
    let (tenant, name) = (upstream.tenant_id.0, upstream.name.as_str());
    let taken = "tenant_id = ?1 AND name = ?2 AND removed_at IS NULL";
    if one::<Upstream>(transaction, taken, params![tenant.as_bytes(), name])?.is_some() {
        return Err(Conflict::UpstreamExists(upstream.name.clone()).into());
    }
    let epoch = epoch::advance(transaction)?;
    row::insert(transaction, upstream, &[("epoch", Value::count(epoch.0))])?;
    for door in doors {
        match name_taken(transaction, &door)? {
            None => insert_tool(transaction, &door, epoch)?,
            Some(NameTaken::Same(existing)) => {
                let at = upstream.created_at;
                let metadata = Some(&door.metadata);
                move_pin(transaction, existing.id, door.pin.as_ref(), metadata, (at, epoch))?;
            }
            Some(NameTaken::Confusable(existing)) => {
                return Err(Conflict::ToolConfusable { wanted: door.name, existing }.into());
            }
        }
    }
    Ok(epoch)
}

fn remove(
    transaction: &Transaction<'_>,
    id: UpstreamId,
    at: Timestamp,
) -> Work<Option<(Upstream, Epoch)>> {
    let find = || one::<Upstream>(transaction, "id = ?1", [id.0.as_bytes()]);
    let Some(upstream) = find()? else { return Ok(None) };
    if upstream.removed_at.is_some() {
        return Ok(Some((upstream, epoch::read(transaction)?.epoch)));
    }
    let epoch = epoch::advance(transaction)?;
    let (key, time) = (id.0.as_bytes(), at.as_microsecond());
    let sql = "UPDATE upstreams SET removed_at = ?2, epoch = ?3 WHERE id = ?1";
    transaction.execute(sql, params![key, time, epoch.0.cast_signed()])?;
    let sql = "UPDATE tools SET pin_cause = ?2, pin_offered = NULL, pin_since = ?3, epoch = ?4
        WHERE upstream_id = ?1";
    let cause = QuarantineCause::UpstreamRemoved.as_str();
    transaction.execute(sql, params![key, cause, time, epoch.0.cast_signed()])?;
    Ok(find()?.map(|upstream| (upstream, epoch)))
}

fn upstreams(
    connection: &Connection,
    tenant: Option<TenantId>,
    page: &Page,
) -> Work<Paged<Upstream>> {
    let mut conditions = Conditions::default();
    conditions.fixed("removed_at IS NULL");
    conditions.bound_optional("tenant_id =", tenant.map(|id| blob(id.0)));
    conditions.page(connection, page, Order::OldestFirst)
}

/// Makes the changes. The epoch begins with the first one that can be made.
fn change_pins(
    transaction: &Transaction<'_>,
    changes: Vec<PinChange>,
    at: Timestamp,
) -> Work<(Vec<PinChanged>, Epoch)> {
    let before = epoch::read(transaction)?.epoch;
    let mut epoch = None;
    let mut changed = Vec::with_capacity(changes.len());
    for change in changes {
        let refused = refusal(transaction, &change)?;
        if refused.is_none() {
            let epoch = match epoch {
                Some(epoch) => epoch,
                None => *epoch.insert(epoch::advance(transaction)?),
            };
            apply(transaction, change, (at, epoch))?;
        }
        changed.push(refused.unwrap_or(PinChanged::Done));
    }
    Ok((changed, epoch.unwrap_or(before)))
}

/// Why a change cannot be made.
fn refusal(transaction: &Transaction<'_>, change: &PinChange) -> Work<Option<PinChanged>> {
    match change {
        PinChange::Register { tool, .. } => Ok(match name_taken(transaction, tool)? {
            None => None,
            Some(NameTaken::Same(_)) => Some(PinChanged::Moved),
            Some(NameTaken::Confusable(existing)) => Some(PinChanged::Confusable(existing)),
        }),
        PinChange::Move { tool, before, .. } => {
            let stored = one::<Tool>(transaction, "id = ?1", [tool.0.as_bytes()])?;
            let is_as_known = stored.is_some_and(|stored| stored.pin == *before);
            Ok((!is_as_known).then_some(PinChanged::Moved))
        }
    }
}

fn apply(
    transaction: &Transaction<'_>,
    change: PinChange,
    (at, epoch): (Timestamp, Epoch),
) -> Work<()> {
    match change {
        PinChange::Register { tool, definition } => {
            insert_tool(transaction, &tool, epoch)?;
            let digests = tool.pin.iter().flat_map(Pin::definitions);
            for digest in digests {
                keep(transaction, tool.id, digest, &definition)?;
            }
            Ok(())
        }
        PinChange::Move { tool, after, metadata, definition, .. } => {
            move_pin(transaction, tool, Some(&after), metadata.as_ref(), (at, epoch))?;
            if let Some((digest, definition)) = definition {
                keep(transaction, tool, digest, &definition)?;
            }
            forget(transaction, tool, &after)
        }
    }
}

fn move_pin(
    transaction: &Transaction<'_>,
    tool: ToolId,
    pin: Option<&Pin>,
    metadata: Option<&Definition>,
    (at, epoch): (Timestamp, Epoch),
) -> Work<()> {
    let sql = "UPDATE tools SET upstream_id = ?2, pin_approved = ?3, pin_cause = ?4,
        pin_offered = ?5, pin_since = ?6, extra_metadata = ifnull(?7, extra_metadata),
        updated_at = ?8, epoch = ?9 WHERE id = ?1";
    let pin = PinRow::of(pin);
    transaction.prepare_cached(sql)?.execute(params![
        tool.0.as_bytes(),
        pin.upstream.as_ref().map(uuid::Uuid::as_bytes),
        pin.approved,
        pin.cause,
        pin.offered,
        pin.since.map(Timestamp::as_microsecond),
        metadata.map(json).transpose()?,
        at.as_microsecond(),
        epoch.0.cast_signed(),
    ])?;
    Ok(())
}

fn keep(
    transaction: &Transaction<'_>,
    tool: ToolId,
    digest: DefinitionDigest,
    definition: &Definition,
) -> Work<()> {
    let sql = "INSERT INTO tool_definitions (tool_id, digest, definition) VALUES (?1, ?2, ?3)
        ON CONFLICT DO NOTHING";
    let params = params![tool.0.as_bytes(), digest.0, json(definition)?];
    transaction.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// Deletes the definitions that the pin no longer refers to.
fn forget(transaction: &Transaction<'_>, tool: ToolId, pin: &Pin) -> Work<()> {
    let sql = "DELETE FROM tool_definitions
        WHERE tool_id = ?1 AND digest IS NOT ?2 AND digest IS NOT ?3";
    let row = PinRow::of(Some(pin));
    transaction.prepare_cached(sql)?.execute(params![
        tool.0.as_bytes(),
        row.approved,
        row.offered
    ])?;
    Ok(())
}

fn definitions(connection: &Connection, tool: ToolId) -> Work<Vec<(DefinitionDigest, Definition)>> {
    let sql = "SELECT digest, definition FROM tool_definitions WHERE tool_id = ?1";
    select_with(connection, sql, [tool.0.as_bytes()], "tool_definitions", |row| {
        Ok((DefinitionDigest(row.array()?), row.json()?))
    })
}

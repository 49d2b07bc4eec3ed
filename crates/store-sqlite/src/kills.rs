//! Kills: bringing into force, restoring, listing.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KillId, TenantId, ToolId};
use sentinel_core::kill::{Kill, KillScope};
use sentinel_core::page::{Page, Paged};
use sentinel_core::store::Restored;

use crate::error::Result;
use crate::listing::{Conditions, Order, blob};
use crate::meta;
use crate::row::{Columns, Stored, all, one};

impl Stored for Kill {
    const TABLE: &'static str = "kills";
    const COLUMNS: &'static str = "id, scope, tenant_id, tool_id, agent, reason, actor, \
        created_at, killed_epoch, restored_at, restored_by";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: KillId(columns.uuid()?),
            scope: read_scope(columns)?,
            reason: columns.parse()?,
            actor: columns.take()?,
            created_at: columns.time()?,
            epoch: Epoch(columns.count()?),
            restored_at: columns.time_optional()?,
            restored_by: columns.take()?,
        })
    }
}

fn read_scope(columns: &mut Columns<'_, '_>) -> Result<KillScope> {
    let kind: String = columns.take()?;
    let tenant = columns.uuid_optional()?.map(TenantId);
    let tool = columns.uuid_optional()?.map(ToolId);
    let agent = columns.parse_optional()?;
    match (kind.as_str(), tenant, tool, agent) {
        ("global", None, None, None) => Ok(KillScope::Global),
        ("tenant", Some(id), None, None) => Ok(KillScope::Tenant(id)),
        ("tool", Some(tenant_id), Some(tool_id), None) => {
            Ok(KillScope::Tool { tenant_id, tool_id })
        }
        ("agent", None, None, Some(agent)) => Ok(KillScope::Agent(agent)),
        ("tenant_agent", Some(tenant_id), None, Some(agent)) => {
            Ok(KillScope::TenantAgent { tenant_id, agent })
        }
        _ => Err(columns.wrong(&"the columns of the scope do not fit together")),
    }
}

/// The columns of a scope: kind, tenant, tool, agent.
fn columns_of(scope: &KillScope) -> [Value; 4] {
    [
        Value::Text(scope.kind().to_owned()),
        scope.tenant_id().map_or(Value::Null, |id| blob(id.0)),
        scope.tool_id().map_or(Value::Null, |id| blob(id.0)),
        scope.agent().map_or(Value::Null, |agent| Value::Text(agent.to_string())),
    ]
}

pub(crate) fn kill(transaction: &Transaction<'_>, kill: &Kill) -> Result<Epoch> {
    let epoch = meta::advance(transaction)?;
    let [scope, tenant, tool, agent] = columns_of(&kill.scope);
    let sql = "INSERT INTO kills (id, scope, tenant_id, tool_id, agent, reason, actor, created_at,
        killed_epoch, restored_at, restored_by, epoch)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?9)";
    transaction.prepare_cached(sql)?.execute(params![
        kill.id.0.as_bytes(),
        scope,
        tenant,
        tool,
        agent,
        kill.reason.as_str(),
        kill.actor,
        kill.created_at.as_microsecond(),
        epoch.0.cast_signed(),
        kill.restored_at.map(Timestamp::as_microsecond),
        kill.restored_by,
    ])?;
    Ok(epoch)
}

/// Ends every kill of exactly `scope`. When there is none, the epoch stays.
pub(crate) fn restore(
    transaction: &Transaction<'_>,
    scope: &KillScope,
    actor: &str,
    at: Timestamp,
) -> Result<Restored> {
    for wider in scope.wider() {
        if let Some(kill) = in_force(transaction, &wider)?.into_iter().next() {
            return Ok(Restored::StillCovered(kill));
        }
    }
    let ended = in_force(transaction, scope)?;
    if ended.is_empty() {
        return Ok(Restored::Done { kills: ended, epoch: meta::read(transaction)?.epoch });
    }
    let epoch = meta::advance(transaction)?;
    let sql = "UPDATE kills SET restored_at = ?2, restored_by = ?3, epoch = ?4 WHERE id = ?1";
    let mut kills = Vec::with_capacity(ended.len());
    for kill in &ended {
        let id = kill.id.0.as_bytes();
        let values = params![id, at.as_microsecond(), actor, epoch.0.cast_signed()];
        transaction.prepare_cached(sql)?.execute(values)?;
        kills.extend(one::<Kill>(transaction, "id = ?1", [id])?);
    }
    Ok(Restored::Done { kills, epoch })
}

/// The kills of exactly `scope` that are in force, oldest first.
fn in_force(connection: &Connection, scope: &KillScope) -> Result<Vec<Kill>> {
    let condition = "restored_at IS NULL AND scope = ?1 AND tenant_id IS ?2 AND tool_id IS ?3
        AND agent IS ?4 ORDER BY sequence";
    all(connection, condition, rusqlite::params_from_iter(columns_of(scope)))
}

pub(crate) fn kills(
    connection: &Connection,
    tenant: Option<TenantId>,
    in_force: bool,
    page: &Page,
) -> Result<Paged<Kill>> {
    let mut conditions = Conditions::default();
    if let Some(tenant) = tenant {
        conditions.after("ifnull(tenant_id, ?) = ?", [blob(tenant.0), blob(tenant.0)]);
    }
    if in_force {
        conditions.fixed("restored_at IS NULL");
    }
    conditions.page(connection, page, Order::NewestFirst)
}

//! Kills: bringing into force, restoring, listing.

use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KillId, TenantId, ToolId};
use sentinel_core::kill::{Kill, KillScope};
use sentinel_core::page::{Page, Paged};
use sentinel_core::store::Restored;
use sqlx::{PgConnection, PgPool, query};

use crate::error::Result;
use crate::listing::{Listing, Order};
use crate::meta;
use crate::row::{Columns, Stored, all, by_id};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

impl Stored for Kill {
    const TABLE: &'static str = "kills";
    const COLUMNS: &'static str = "id, scope, tenant_id, tool_id, agent, reason, actor, \
        created_at, killed_epoch, restored_at, restored_by";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
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

fn read_scope(columns: &mut Columns<'_>) -> Result<KillScope> {
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

pub(crate) async fn kill(pool: &PgPool, kill: &Kill) -> Result<Epoch> {
    let mut transaction = Transaction::begin(pool, "kill", Begin::Exclusive).await?;
    let epoch = insert(&mut transaction, kill).await;
    transaction.end(epoch).await
}

async fn insert(connection: &mut PgConnection, kill: &Kill) -> Result<Epoch> {
    let epoch = meta::advance(connection).await?;
    let sql = "INSERT INTO kills (id, scope, tenant_id, tool_id, agent, reason, actor, created_at,
        killed_epoch, restored_at, restored_by, epoch)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $9)";
    query(sql)
        .bind(kill.id.0)
        .bind(kill.scope.kind())
        .bind(kill.scope.tenant_id().map(|id| id.0))
        .bind(kill.scope.tool_id().map(|id| id.0))
        .bind(kill.scope.agent().map(AsRef::<str>::as_ref))
        .bind(kill.reason.as_str())
        .bind(&kill.actor)
        .bind(Time(kill.created_at))
        .bind(epoch.0.cast_signed())
        .bind(kill.restored_at.map(Time))
        .bind(&kill.restored_by)
        .execute(connection)
        .await?;
    Ok(epoch)
}

/// Ends every kill of exactly `scope`. When there is none, the epoch stays.
pub(crate) async fn restore(
    pool: &PgPool,
    scope: &KillScope,
    actor: &str,
    at: Timestamp,
) -> Result<Restored> {
    let mut transaction = Transaction::begin(pool, "restore", Begin::Exclusive).await?;
    let restored = end(&mut transaction, scope, actor, at).await;
    transaction.end(restored).await
}

async fn end(
    connection: &mut PgConnection,
    scope: &KillScope,
    actor: &str,
    at: Timestamp,
) -> Result<Restored> {
    for wider in scope.wider() {
        if let Some(kill) = in_force(connection, &wider).await?.into_iter().next() {
            return Ok(Restored::StillCovered(kill));
        }
    }
    let ended = in_force(connection, scope).await?;
    if ended.is_empty() {
        return Ok(Restored::Done { kills: ended, epoch: meta::epoch(connection).await? });
    }
    let epoch = meta::advance(connection).await?;
    let sql = "UPDATE kills SET restored_at = $2, restored_by = $3, epoch = $4 WHERE id = $1";
    let mut kills = Vec::with_capacity(ended.len());
    for kill in &ended {
        query(sql)
            .bind(kill.id.0)
            .bind(Time(at))
            .bind(actor)
            .bind(epoch.0.cast_signed())
            .execute(&mut *connection)
            .await?;
        kills.extend(by_id::<Kill>(connection, kill.id.0).await?);
    }
    Ok(Restored::Done { kills, epoch })
}

/// The kills of exactly `scope` that are in force, oldest first.
async fn in_force(connection: &mut PgConnection, scope: &KillScope) -> Result<Vec<Kill>> {
    let condition = "WHERE restored_at IS NULL AND scope = $1
        AND tenant_id IS NOT DISTINCT FROM $2 AND tool_id IS NOT DISTINCT FROM $3
        AND agent IS NOT DISTINCT FROM $4 ORDER BY sequence";
    let (tenant, tool) = (scope.tenant_id().map(|id| id.0), scope.tool_id().map(|id| id.0));
    let agent = scope.agent().map(AsRef::<str>::as_ref);
    all(connection, condition, |query| query.bind(scope.kind()).bind(tenant).bind(tool).bind(agent))
        .await
}

pub(crate) async fn kills(
    pool: &PgPool,
    tenant: Option<TenantId>,
    in_force: bool,
    page: &Page,
) -> Result<Paged<Kill>> {
    let mut listing = Listing::of::<Kill>("sequence::text");
    if let Some(tenant) = tenant {
        listing.bound("(tenant_id IS NULL OR tenant_id =", tenant.0).push(")");
    }
    if in_force {
        listing.fixed("restored_at IS NULL");
    }
    listing.page(pool, page, Order::NewestFirst).await
}

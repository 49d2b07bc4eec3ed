//! Kills: bringing into force, restoring, beginning and ending by the clock, listing.

use jiff::Timestamp;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KillId, TenantId};
use sentinel_core::kill::{Kill, RestoreOrder, RestorePlan, plan_restore};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{Conflict, Restored};
use sentinel_core::self_test;
use sentinel_core::tool::Tool;
use sentinel_store_rows::Value;
use sqlx::{PgConnection, PgPool, query};
use uuid::Uuid;

use crate::epoch;
use crate::error::Result;
use crate::listing::{Listing, Order};
use crate::migrations;
use crate::row::{self, all, by_id};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

pub(crate) async fn kill(pool: &PgPool, kill: &Kill) -> Result<Epoch> {
    let mut transaction = Transaction::begin(pool, "kill", Begin::Exclusive).await?;
    let epoch = insert(&mut transaction, kill).await;
    transaction.end(epoch).await
}

async fn insert(connection: &mut PgConnection, kill: &Kill) -> Result<Epoch> {
    if kill.is_of_new_kind() {
        // A server that starts later reads what it does not know, and denies everything.
        let older = migrations::connections_before(connection, migrations::KILLS.version).await?;
        if older > 0 {
            return Err(Conflict::OlderServers(older).into());
        }
    }
    let epoch = epoch::advance(connection).await?;
    if kill.is_self_test() {
        clear_self_tests(connection, kill, epoch).await?;
    }
    let kill = Kill { epoch, ..kill.clone() };
    row::insert(connection, &kill, &[("epoch", Value::count(epoch.0))]).await?;
    Ok(epoch)
}

/// Ends the kill of the self-test before and those of replicas that are gone, and deletes what
/// ended long ago.
async fn clear_self_tests(connection: &mut PgConnection, kill: &Kill, epoch: Epoch) -> Result<()> {
    let since = self_test::kept_since(kill.created_at);
    let sql = "UPDATE kills SET restored_at = $1, restored_by = $2, epoch = $3
        WHERE restored_at IS NULL AND tenant_id = $4
        AND (starts_with(agent, $5) OR created_at < $6)";
    query(sql)
        .bind(Time(kill.created_at))
        .bind(&kill.actor)
        .bind(epoch.0.cast_signed())
        .bind(self_test::TENANT.0)
        .bind(kill.scope.agent().map_or("", self_test::run_of))
        .bind(Time::bound(since))
        .execute(&mut *connection)
        .await?;
    let sql = "DELETE FROM kills WHERE tenant_id = $1 AND restored_at < $2";
    query(sql).bind(self_test::TENANT.0).bind(Time::bound(since)).execute(connection).await?;
    Ok(())
}

/// Restores as the plan says. When nothing ends, the epoch stays.
pub(crate) async fn restore(pool: &PgPool, order: &RestoreOrder) -> Result<Restored> {
    let mut transaction = Transaction::begin(pool, "restore", Begin::Exclusive).await?;
    let restored = end(&mut transaction, order).await;
    transaction.end(restored).await
}

async fn end(connection: &mut PgConnection, order: &RestoreOrder) -> Result<Restored> {
    let kills = not_over(connection).await?;
    let tool = match order.scope.tool_id() {
        Some(id) => by_id::<Tool>(connection, id.0).await?,
        None => None,
    };
    let ended = match plan_restore(&kills, order, tool.as_ref()) {
        RestorePlan::StillCovered(kill) => return Ok(Restored::StillCovered(kill.clone())),
        RestorePlan::NotYours(kill) => return Ok(Restored::NotYours(kill.clone())),
        RestorePlan::End(ended) => ended,
    };
    if ended.is_empty() {
        return Ok(Restored::Done { kills: Vec::new(), epoch: epoch::epoch(connection).await? });
    }
    let epoch = epoch::advance(connection).await?;
    let sql = "UPDATE kills SET restored_at = $2, restored_by = $3, epoch = $4 WHERE id = $1";
    let mut kills = Vec::with_capacity(ended.len());
    for kill in ended {
        query(sql)
            .bind(kill.id.0)
            .bind(Time(order.at))
            .bind(&order.actor)
            .bind(epoch.0.cast_signed())
            .execute(&mut *connection)
            .await?;
        kills.extend(by_id::<Kill>(connection, kill.id.0).await?);
    }
    Ok(Restored::Done { kills, epoch })
}

/// Every kill that is not over, oldest first.
async fn not_over(connection: &mut PgConnection) -> Result<Vec<Kill>> {
    all(connection, "WHERE restored_at IS NULL ORDER BY sequence", |query| query).await
}

/// The kills whose time has come: to begin by this server's clock, which all replicas share, to end
/// by it and by that of the replica that asks.
const DUE: &str = "SELECT id, starts_at IS NOT NULL AND begun_at IS NULL
        AND starts_at <= clock_timestamp(),
        coalesce(expires_at <= least($2, clock_timestamp()) AND id = ANY($1), false)
    FROM kills WHERE restored_at IS NULL AND (starts_at IS NOT NULL OR expires_at IS NOT NULL)";

/// Begins the kills whose time has come, and ends those of `over` that have expired.
pub(crate) async fn turn(pool: &PgPool, over: &[KillId], now: Timestamp) -> Result<Vec<Kill>> {
    let over: Vec<Uuid> = over.iter().map(|id| id.0).collect();
    // Looked at first without the lock, for which every commit would have to wait.
    if due(&mut *pool.acquire().await?, &over, now).await?.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = Transaction::begin(pool, "turn_kills", Begin::Exclusive).await?;
    let turned = turn_due(&mut transaction, &over, now).await;
    transaction.end(turned).await
}

async fn due(
    connection: &mut PgConnection,
    over: &[Uuid],
    now: Timestamp,
) -> Result<Vec<(Uuid, bool, bool)>> {
    let rows: Vec<(Uuid, bool, bool)> = sqlx::query_as(DUE)
        .bind(over.to_vec())
        .bind(Time::bound(now))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().filter(|(_, begins, ends)| *begins || *ends).collect())
}

async fn turn_due(
    connection: &mut PgConnection,
    over: &[Uuid],
    now: Timestamp,
) -> Result<Vec<Kill>> {
    let due = due(connection, over, now).await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let epoch = epoch::advance(connection).await?.0.cast_signed();
    let sql = "UPDATE kills SET epoch = $2,
        begun_at = CASE WHEN $3 THEN clock_timestamp() ELSE begun_at END,
        killed_epoch = CASE WHEN $3 THEN $2 ELSE killed_epoch END,
        restored_at = CASE WHEN $4 THEN clock_timestamp() END,
        restored_by = CASE WHEN $4 THEN $5 END
        WHERE id = $1";
    let mut turned = Vec::with_capacity(due.len());
    for (id, begins, ends) in due {
        query(sql)
            .bind(id)
            .bind(epoch)
            .bind(begins)
            .bind(ends)
            .bind(Kill::EXPIRY)
            .execute(&mut *connection)
            .await?;
        turned.extend(by_id::<Kill>(connection, id).await?);
    }
    Ok(turned)
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
    listing.bound("tenant_id IS DISTINCT FROM", self_test::TENANT.0);
    if in_force {
        listing.fixed("restored_at IS NULL AND (starts_at IS NULL OR begun_at IS NOT NULL)");
    }
    listing.page(pool, page, Order::NewestFirst).await
}

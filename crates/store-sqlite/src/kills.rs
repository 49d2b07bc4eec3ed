//! Kills: bringing into force, restoring, beginning and ending by the clock, listing.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KillId, TenantId};
use sentinel_core::kill::{Kill, RestoreOrder, RestorePlan, plan_restore};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::Restored;
use sentinel_core::self_test;
use sentinel_core::tool::Tool;
use sentinel_store_rows::Value;

use crate::epoch;
use crate::error::Result;
use crate::listing::{Conditions, Order, blob};
use crate::row::{self, all, one};

pub(crate) fn kill(transaction: &Transaction<'_>, kill: &Kill) -> Result<Epoch> {
    let epoch = epoch::advance(transaction)?;
    if kill.is_self_test() {
        clear_self_tests(transaction, kill, epoch)?;
    }
    row::insert(transaction, &Kill { epoch, ..kill.clone() }, &[("epoch", Value::count(epoch.0))])?;
    Ok(epoch)
}

/// Ends the kill of the self-test before and those of replicas that are gone, and deletes what
/// ended long ago.
fn clear_self_tests(transaction: &Transaction<'_>, kill: &Kill, epoch: Epoch) -> Result<()> {
    let tenant = self_test::TENANT.0.as_bytes();
    let since = self_test::kept_since(kill.created_at).as_microsecond();
    let run = kill.scope.agent().map_or("", self_test::run_of);
    let sql = "UPDATE kills SET restored_at = ?1, restored_by = ?2, epoch = ?3
        WHERE restored_at IS NULL AND tenant_id = ?4
        AND (substr(agent, 1, length(?5)) = ?5 OR created_at < ?6)";
    let at = kill.created_at.as_microsecond();
    let values = params![at, kill.actor, epoch.0.cast_signed(), tenant, run, since];
    transaction.prepare_cached(sql)?.execute(values)?;
    let sql = "DELETE FROM kills WHERE tenant_id = ?1 AND restored_at < ?2";
    transaction.prepare_cached(sql)?.execute(params![tenant, since])?;
    Ok(())
}

/// Restores as the plan says. When nothing ends, the epoch stays.
pub(crate) fn restore(transaction: &Transaction<'_>, order: &RestoreOrder) -> Result<Restored> {
    let kills = all::<Kill>(transaction, "restored_at IS NULL ORDER BY sequence", [])?;
    let tool = match order.scope.tool_id() {
        Some(id) => one::<Tool>(transaction, "id = ?1", [id.0.as_bytes()])?,
        None => None,
    };
    let ended = match plan_restore(&kills, order, tool.as_ref()) {
        RestorePlan::StillCovered(kill) => return Ok(Restored::StillCovered(kill.clone())),
        RestorePlan::NotYours(kill) => return Ok(Restored::NotYours(kill.clone())),
        RestorePlan::End(ended) => ended,
    };
    if ended.is_empty() {
        return Ok(Restored::Done { kills: Vec::new(), epoch: epoch::read(transaction)?.epoch });
    }
    let epoch = epoch::advance(transaction)?;
    let sql = "UPDATE kills SET restored_at = ?2, restored_by = ?3, epoch = ?4 WHERE id = ?1";
    let mut kills = Vec::with_capacity(ended.len());
    for kill in ended {
        let id = kill.id.0.as_bytes();
        let values = params![id, order.at.as_microsecond(), order.actor, epoch.0.cast_signed()];
        transaction.prepare_cached(sql)?.execute(values)?;
        kills.extend(one::<Kill>(transaction, "id = ?1", [id])?);
    }
    Ok(Restored::Done { kills, epoch })
}

/// Begins the kills whose time has come by `now`, and ends those of `over` that have expired by it:
/// the clock of the one server is that of the store.
pub(crate) fn turn(
    transaction: &Transaction<'_>,
    over: &[KillId],
    now: Timestamp,
) -> Result<Vec<Kill>> {
    let kills = all::<Kill>(transaction, "restored_at IS NULL ORDER BY sequence", [])?;
    let begins = |kill: &Kill| kill.is_pending() && kill.covers_at(now);
    let ends = |kill: &Kill| {
        over.contains(&kill.id) && kill.expires_at.is_some_and(|expires| expires <= now)
    };
    let due: Vec<_> = kills.iter().filter(|kill| begins(kill) || ends(kill)).collect();
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let epoch = epoch::advance(transaction)?.0.cast_signed();
    let begin = "UPDATE kills SET begun_at = ?2, killed_epoch = ?3, epoch = ?3 WHERE id = ?1";
    let end = "UPDATE kills SET restored_at = ?2, restored_by = ?4, epoch = ?3 WHERE id = ?1";
    let mut turned = Vec::with_capacity(due.len());
    for kill in due {
        let (id, at) = (kill.id.0.as_bytes(), now.as_microsecond());
        if begins(kill) {
            transaction.prepare_cached(begin)?.execute(params![id, at, epoch])?;
        }
        if ends(kill) {
            transaction.prepare_cached(end)?.execute(params![id, at, epoch, Kill::EXPIRY])?;
        }
        turned.extend(one::<Kill>(transaction, "id = ?1", [id])?);
    }
    Ok(turned)
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
    conditions.after("tenant_id IS NOT ?", [blob(self_test::TENANT.0)]);
    if in_force {
        conditions.fixed("restored_at IS NULL AND (starts_at IS NULL OR begun_at IS NOT NULL)");
    }
    conditions.page(connection, page, Order::NewestFirst)
}

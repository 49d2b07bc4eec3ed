//! Group commit, by the steps of [`sentinel_core::commit`].

use std::sync::LazyLock;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};
use sentinel_core::audit::DecisionRecord;
use sentinel_core::commit::{Batch, Claim, Claimed, Settlement};
use sentinel_core::epoch::Epoch;
use sentinel_core::permit::Redemption;
use sentinel_core::ports::StoreError;
use sentinel_core::quota::{Grant, Reservation};
use sentinel_store_rows::{Dialect, Stored as _, Writable as _};

use crate::buckets;
use crate::control::control_changes;
use crate::decisions::decision;
use crate::epoch;
use crate::error::{Failure, Result, unavailable};
use crate::row::bound;

pub(crate) fn commit(
    transaction: &Transaction<'_>,
    mut batch: Batch,
    claims_expire_before: Timestamp,
) -> Result<Batch> {
    let last = epoch::read(transaction)?;
    if batch.epoch() > last.epoch {
        return Err(gone_back(last.epoch, batch.epoch()));
    }
    if batch.epoch() != last.epoch {
        batch.refresh(control_changes(transaction, batch.epoch())?);
    }
    for settlement in Settlement::ORDER {
        match settlement {
            Settlement::Claims => settle_claims(transaction, &mut batch, claims_expire_before)?,
            Settlement::Quotas => settle_quotas(transaction, &mut batch)?,
        }
    }
    record(transaction, &mut batch, last.sequence)?;
    Ok(batch)
}

fn settle_claims(
    transaction: &Transaction<'_>,
    batch: &mut Batch,
    expire_before: Timestamp,
) -> Result<()> {
    for asked in batch.claims() {
        if let Some(claimed) = find_claim(transaction, &asked.1, expire_before)? {
            batch.settle_claim(&asked, claimed);
        }
    }
    Ok(())
}

fn settle_quotas(transaction: &Transaction<'_>, batch: &mut Batch) -> Result<()> {
    for reservation in batch.reservations() {
        let grant = reserve(transaction, &reservation)?;
        batch.settle_quota(&reservation, grant);
    }
    Ok(())
}

/// What the claim leads to: one that was made for the agent, or one from before claims told agents
/// apart, if its decision is the agent's.
fn find_claim(
    transaction: &Transaction<'_>,
    claim: &Claim,
    expire_before: Timestamp,
) -> Result<Option<Claimed>> {
    if let Some(found) = claimed(transaction, &claim.holder(), claim, expire_before)? {
        return Ok(Some(found));
    }
    if claim.agent.is_none() {
        return Ok(None);
    }
    let found = claimed(transaction, &claim.principal, claim, expire_before)?;
    let agent = |found: &Claimed| found.record.agent.as_ref().map(ToString::to_string);
    Ok(found.filter(|found| agent(found) == claim.agent))
}

fn claimed(
    transaction: &Transaction<'_>,
    holder: &str,
    claim: &Claim,
    expire_before: Timestamp,
) -> Result<Option<Claimed>> {
    let sql = "SELECT decision_id, EXISTS (SELECT 1 FROM permits AS p
            WHERE p.decision_id = c.decision_id)
        FROM claims AS c
        WHERE principal = ?1 AND tool_id = ?2 AND call_id = ?3 AND created_at >= ?4";
    let values = params![
        holder,
        claim.tool_id.0.as_bytes(),
        claim.call_id.as_str(),
        expire_before.as_microsecond()
    ];
    let found: Option<([u8; 16], bool)> = transaction
        .prepare_cached(sql)?
        .query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, redeemed)) = found else { return Ok(None) };
    let record = decision(transaction, &id)?;
    let missing = || StoreError::Corrupt("a claim names a decision that is not there".to_owned());
    Ok(Some(Claimed { record: record.ok_or_else(missing)?, redeemed }))
}

/// Brings a redemption to the epoch of the store and marks its permit as used, if nothing is in
/// the way; returns whether it is marked. Only a recorded allow has a permit.
pub(crate) fn redeem(
    transaction: &Transaction<'_>,
    mut redemption: Redemption,
) -> Result<(Redemption, bool)> {
    let epoch = epoch::read(transaction)?.epoch;
    let known = redemption.epoch();
    if known > epoch {
        return Err(gone_back(epoch, known));
    }
    if known != epoch {
        redemption.refresh(control_changes(transaction, known)?);
    }
    if !redemption.is_free() {
        return Ok((redemption, false));
    }
    let sql = "INSERT INTO permits (decision_id, redeemed_at)
        SELECT ?3, ?2 FROM policy_logs WHERE id = ?1 AND decision = 'allow'
        ON CONFLICT DO NOTHING";
    let (id, mark) = (redemption.decision_id(), redemption.mark());
    let at = redemption.at().as_microsecond();
    let values = params![id.0.as_bytes(), at, mark.0.as_bytes()];
    let marked = transaction.prepare_cached(sql)?.execute(values)? == 1;
    Ok((redemption, marked))
}

/// An older copy of the database was put in place: what was decided rests on a lost state.
fn gone_back(found: Epoch, known: Epoch) -> Failure {
    unavailable(format!("the store is at epoch {found}, which was {known} before"))
}

/// Counts what fits. No other transaction can be between the two statements.
fn reserve(transaction: &Transaction<'_>, reservation: &Reservation) -> Result<Grant> {
    let key = &reservation.key;
    let window = key.window.to_string();
    let (tool, start) = (key.tool_id.0.as_bytes(), key.span.start.as_microsecond());
    let sql = "SELECT used FROM quota_counters
        WHERE tool_id = ?1 AND quota_window = ?2 AND window_start = ?3";
    let used: Option<i64> = transaction
        .prepare_cached(sql)?
        .query_row(params![tool, window, start], |row| row.get(0))
        .optional()?;
    let before = used.map_or(0, i64::cast_unsigned);
    let granted = reservation.fitting(before);
    let after =
        before.checked_add(granted).ok_or_else(|| unavailable("a quota counter is full"))?;
    let sql = "INSERT INTO quota_counters
        (tool_id, quota_window, window_start, window_end, tenant_id, used, quota_limit)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT DO UPDATE SET used = excluded.used, quota_limit = excluded.quota_limit";
    transaction.prepare_cached(sql)?.execute(params![
        tool,
        window,
        start,
        key.span.end.as_microsecond(),
        key.tenant_id.0.as_bytes(),
        after.cast_signed(),
        reservation.limit.map(u64::cast_signed),
    ])?;
    Ok(Grant { before, granted })
}

fn record(transaction: &Transaction<'_>, batch: &mut Batch, last: u64) -> Result<()> {
    batch.number(last + 1);
    let mut additions = buckets::Additions::default();
    insert(transaction, batch, &mut additions)?;
    additions.store(transaction)?;
    let sql = "INSERT INTO claims (principal, tool_id, call_id, decision_id, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
        SET decision_id = excluded.decision_id, created_at = excluded.created_at";
    for (claim, record) in batch.new_claims() {
        transaction.prepare_cached(sql)?.execute(params![
            claim.holder(),
            claim.tool_id.0.as_bytes(),
            claim.call_id.as_str(),
            record.id.0.as_bytes(),
            record.created_at.as_microsecond(),
        ])?;
    }
    Ok(())
}

static INSERT: LazyLock<String> =
    LazyLock::new(|| sentinel_store_rows::insert::<DecisionRecord>(Dialect::Sqlite, &[]));

fn insert<'b>(
    transaction: &Transaction<'_>,
    batch: &'b Batch,
    additions: &mut buckets::Additions<'b>,
) -> Result<()> {
    let mut statement = transaction.prepare_cached(&INSERT)?;
    let mut values = Vec::with_capacity(DecisionRecord::COLUMNS.len());
    for record in batch.records() {
        values.clear();
        record.write(&mut values)?;
        statement.execute(bound(&values))?;
        additions.add(record);
    }
    Ok(())
}

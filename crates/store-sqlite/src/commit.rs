//! Group commit, by the steps of [`sentinel_core::commit`].

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use sentinel_core::commit::{Batch, Claim, Claimed};
use sentinel_core::epoch::Epoch;
use sentinel_core::permit::Redemption;
use sentinel_core::quota::{Grant, Reservation};
use sentinel_core::store::StoreError;

use crate::buckets;
use crate::decisions;
use crate::error::{Failure, Result, unavailable};
use crate::meta;

/// Claims deleted in one transaction at most, so that decisions do not wait for long.
pub(crate) const CLAIMS_AT_ONCE: u64 = 2_000;

pub(crate) fn commit(
    transaction: &Transaction<'_>,
    mut batch: Batch,
    claims_expire_before: Timestamp,
) -> Result<Batch> {
    let meta = meta::read(transaction)?;
    if batch.epoch() > meta.epoch {
        return Err(gone_back(meta.epoch, batch.epoch()));
    }
    if batch.epoch() != meta.epoch {
        batch.refresh(meta::control_changes(transaction, batch.epoch())?);
    }
    let claims: Vec<_> = batch.claims().collect();
    for (index, claim) in &claims {
        if let Some(claimed) = find_claim(transaction, claim, claims_expire_before)? {
            batch.settle_claim(*index, claimed);
        }
    }
    for reservation in batch.reservations() {
        let grant = reserve(transaction, &reservation)?;
        batch.settle_quota(&reservation.key, grant);
    }
    record(transaction, &mut batch, meta.sequence)?;
    Ok(batch)
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
    let decision = decisions::decision(transaction, &id)?;
    let missing = || StoreError::Corrupt("a claim names a decision that is not there".to_owned());
    Ok(Some(Claimed { record: decision.ok_or_else(missing)?, redeemed }))
}

/// Brings a redemption to the epoch of the store and marks its permit as used, if nothing stands in
/// the way; answers whether it is marked. Only a recorded allow has a permit.
pub(crate) fn redeem(
    transaction: &Transaction<'_>,
    mut redemption: Redemption,
) -> Result<(Redemption, bool)> {
    let epoch = meta::read(transaction)?.epoch;
    let known = redemption.epoch();
    if known > epoch {
        return Err(gone_back(epoch, known));
    }
    if known != epoch {
        redemption.refresh(meta::control_changes(transaction, known)?);
    }
    if !redemption.is_free() {
        return Ok((redemption, false));
    }
    let sql = "INSERT INTO permits (decision_id, redeemed_at)
        SELECT id, ?2 FROM policy_logs WHERE id = ?1 AND decision = 'allow'
        ON CONFLICT DO NOTHING";
    let (id, at) = (redemption.decision_id(), redemption.at().as_microsecond());
    let marked = transaction.prepare_cached(sql)?.execute(params![id.0.as_bytes(), at])? == 1;
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
    {
        let mut insert = transaction.prepare_cached(decisions::INSERT)?;
        for record in batch.records() {
            decisions::insert(&mut insert, record)?;
            additions.add(record);
        }
    }
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

/// Deletes some of the claims made before `before`; fewer than [`CLAIMS_AT_ONCE`] when none are
/// left.
pub(crate) fn expire_claims(transaction: &Transaction<'_>, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM claims WHERE (principal, tool_id, call_id) IN (
        SELECT principal, tool_id, call_id FROM claims WHERE created_at < ?1 LIMIT ?2)";
    let limit = CLAIMS_AT_ONCE.cast_signed();
    let deleted =
        transaction.prepare_cached(sql)?.execute(params![before.as_microsecond(), limit])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

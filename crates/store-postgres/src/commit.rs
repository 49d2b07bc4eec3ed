//! Group commit, by the steps of [`sentinel_core::commit`].
//!
//! Two round trips when the epoch is the one that the batch was decided under, no call carries a
//! call id and no kill that is still to come covers one, which is nearly always: the commit, and the wait for the disk, during which no lock is
//! held. Else four (beginning, rows, end, the wait for the disk), and two more at most for the call
//! ids. Every transaction locks claims before counters, and both in the order of their keys, so none
//! waits for another in a circle.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::commit::{Batch, Claim, Claimed};
use sentinel_core::epoch::Epoch;
use sentinel_core::permit::Redemption;
use sentinel_core::store::StoreError;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, query, query_scalar};
use uuid::Uuid;

use crate::committers::{Committer, Committers};
use crate::error::{Failure, Result, unavailable};
#[cfg(feature = "planted-faults")]
use crate::fault::Fault;
use crate::meta;
use crate::recording::{Recorded, record};
use crate::row::{Columns, Stored};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

/// Claims deleted in one statement at most, so that locks are held for a short time.
pub(crate) const CLAIMS_AT_ONCE: u64 = 2_000;

pub(crate) async fn commit(
    committers: &Committers,
    mut batch: Batch,
    claims_expire_before: Timestamp,
) -> Result<Batch> {
    let mut committer = committers.take().await?;
    let plain =
        batch.claims().next().is_none() && batch.records().next().is_some() && !batch.needs_time();
    if plain && committers.commits_in_one_call() {
        let (epoch, reservations) = (batch.epoch(), batch.reservations());
        let connection = &mut committer.connection;
        if record(connection, committers.schema, &mut batch, epoch, &reservations).await?
            == Recorded::Yes
        {
            committer.make_durable().await?;
            committer.committed();
            return Ok(batch);
        }
    }
    in_steps(committers, committer, batch, claims_expire_before).await
}

/// The same in a transaction of several round trips, for what has to look at more than the epoch.
async fn in_steps(
    committers: &Committers,
    mut committer: Committer,
    mut batch: Batch,
    claims_expire_before: Timestamp,
) -> Result<Batch> {
    let (epoch, now) = committer.begin().await?;
    let connection = &mut committer.connection;
    #[cfg(feature = "planted-faults")]
    let known = if committers.planted.is(Fault::SkipEpochRead) { batch.epoch() } else { epoch };
    #[cfg(not(feature = "planted-faults"))]
    let known = epoch;
    refresh(connection, &mut batch, known).await?;
    // The clock that all replicas share: one that is behind must not put off a kill.
    batch.at(now);
    settle_claims(connection, &mut batch, claims_expire_before).await?;
    #[cfg(feature = "planted-faults")]
    let counted = committers.planted.counts(&mut batch);
    #[cfg(not(feature = "planted-faults"))]
    let counted = false;
    let reservations = if counted { Vec::new() } else { batch.reservations() };
    if batch.records().next().is_some()
        && record(connection, committers.schema, &mut batch, epoch, &reservations).await?
            != Recorded::Yes
    {
        return Err(unavailable("the epoch changed while its lock was held"));
    }
    #[cfg(feature = "planted-faults")]
    if committers.planted.is(Fault::AnswerBeforeCommit) {
        tokio::spawn(committer.commit());
        return Ok(batch);
    }
    committer.commit().await?;
    Ok(batch)
}

/// Brings the batch to the epoch of the transaction.
async fn refresh(connection: &mut PgConnection, batch: &mut Batch, epoch: Epoch) -> Result<()> {
    if batch.epoch() > epoch {
        return Err(gone_back(epoch, batch.epoch()));
    }
    if batch.epoch() != epoch {
        batch.refresh(meta::control_changes(connection, batch.epoch()).await?);
    }
    Ok(())
}

/// An older copy of the database was put in place: what was decided rests on a lost state.
fn gone_back(found: Epoch, known: Epoch) -> Failure {
    unavailable(format!("the store is at epoch {found}, which was {known} before"))
}

/// Brings a redemption to the epoch of the store and marks its permit as used, if nothing stands in
/// the way; answers whether it is marked. Only a recorded allow has a permit.
pub(crate) async fn redeem(
    pool: &PgPool,
    mut redemption: Redemption,
) -> Result<(Redemption, bool)> {
    let mut transaction = Transaction::begin(pool, "redeem_permit", Begin::Shared).await?;
    let marked = mark_redeemed(&mut transaction, &mut redemption).await;
    let marked = transaction.end(marked).await?;
    Ok((redemption, marked))
}

async fn mark_redeemed(connection: &mut PgConnection, redemption: &mut Redemption) -> Result<bool> {
    let (epoch, known) = (meta::epoch(connection).await?, redemption.epoch());
    if known > epoch {
        return Err(gone_back(epoch, known));
    }
    if known != epoch {
        redemption.refresh(meta::control_changes(connection, known).await?);
    }
    if !redemption.is_free() {
        return Ok(false);
    }
    let sql = "INSERT INTO permits (decision_id, redeemed_at)
        SELECT id, $2 FROM policy_logs WHERE id = $1 AND decision = 'allow'
        ON CONFLICT DO NOTHING";
    let (id, at) = (redemption.decision_id().0, Time(redemption.at()));
    let done = query(sql).bind(id).bind(at).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Makes the claims, and settles those that were made before. The unique key decides between two
/// transactions that make the same: the later one waits here, and then reads what the other wrote.
async fn settle_claims(
    connection: &mut PgConnection,
    batch: &mut Batch,
    expire_before: Timestamp,
) -> Result<()> {
    let wanted: Vec<(usize, Claim)> = batch.claims().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let made: Vec<(Claim, Uuid, Timestamp)> =
        batch.new_claims().map(|(claim, record)| (claim, record.id.0, record.created_at)).collect();
    let ours = make(connection, &made, expire_before).await?;
    let own: HashSet<&Claim> =
        made.iter().filter(|(_, id, _)| ours.contains(id)).map(|(claim, ..)| claim).collect();
    // What claims nothing itself may still be a call that was decided before.
    let others: Vec<(usize, Claim)> =
        wanted.into_iter().filter(|(_, claim)| !own.contains(claim)).collect();
    if others.is_empty() {
        return Ok(());
    }
    let found = claimed(connection, &others, expire_before).await?;
    let found_indices: HashSet<usize> = found.iter().map(|(index, _)| *index).collect();
    let attempted: HashSet<&Claim> = made.iter().map(|(claim, ..)| claim).collect();
    let gone = others
        .iter()
        .any(|(index, claim)| attempted.contains(claim) && !found_indices.contains(index));
    if gone {
        let detail = "a claim names a decision that is not there".to_owned();
        return Err(StoreError::Corrupt(detail).into());
    }
    for (index, decision) in found {
        batch.settle_claim(index, decision);
    }
    Ok(())
}

/// Makes the claims that nobody has made since `expire_before`; answers the decisions they lead to.
///
/// A claim of an agent is not made beside one that a server from before claims told agents apart has
/// made for the same agent: [`claimed`] finds that one.
async fn make(
    connection: &mut PgConnection,
    claims: &[(Claim, Uuid, Timestamp)],
    expire_before: Timestamp,
) -> Result<HashSet<Uuid>> {
    let sql = "INSERT INTO claims AS c (principal, tool_id, call_id, decision_id, created_at)
        SELECT holder, tool_id, call_id, decision_id, created_at
        FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::timestamptz[],
                $7::text[], $8::text[])
            AS r (holder, tool_id, call_id, decision_id, created_at, principal, agent)
        WHERE r.agent IS NULL OR NOT EXISTS (SELECT FROM claims AS e
            WHERE e.principal = r.principal AND e.tool_id = r.tool_id AND e.call_id = r.call_id
            AND e.created_at >= $6 AND (SELECT p.agent FROM policy_logs AS p
                WHERE p.id = e.decision_id AND p.created_at = e.created_at) = r.agent)
        ORDER BY holder COLLATE \"C\", tool_id, call_id COLLATE \"C\"
        ON CONFLICT (principal, tool_id, call_id) DO UPDATE
            SET decision_id = excluded.decision_id, created_at = excluded.created_at
            WHERE c.created_at < $6
        RETURNING decision_id";
    let query = query_scalar(sql)
        .bind(claims.iter().map(|(claim, ..)| claim.holder()).collect::<Vec<_>>())
        .bind(claims.iter().map(|(claim, ..)| claim.tool_id.0).collect::<Vec<_>>())
        .bind(claims.iter().map(|(claim, ..)| claim.call_id.as_str()).collect::<Vec<_>>())
        .bind(claims.iter().map(|(_, id, _)| *id).collect::<Vec<_>>())
        .bind(claims.iter().map(|(.., at)| Time(*at)).collect::<Vec<_>>())
        .bind(Time::bound(expire_before))
        .bind(claims.iter().map(|(claim, ..)| claim.principal.as_str()).collect::<Vec<_>>())
        .bind(claims.iter().map(|(claim, ..)| claim.agent.as_deref()).collect::<Vec<_>>());
    let ours: Vec<Uuid> = query.fetch_all(connection).await?;
    Ok(ours.into_iter().collect())
}

/// What the claims lead to that others made and that still count, each with the index it came with.
/// The time, which claim and decision share, leads to the one partition that the decision is in.
/// Where there are a claim of the agent and an older one, that of the agent comes last and wins.
async fn claimed(
    connection: &mut PgConnection,
    claims: &[(usize, Claim)],
    expire_before: Timestamp,
) -> Result<Vec<(usize, Claimed)>> {
    let sql = format!(
        "SELECT r.position, EXISTS (SELECT FROM permits AS u WHERE u.decision_id = c.decision_id),
            d.* FROM UNNEST($1::text[], $2::uuid[], $3::text[], $5::text[], $6::text[])
            WITH ORDINALITY AS r (holder, tool_id, call_id, plain, agent, position)
        JOIN claims AS c ON c.tool_id = r.tool_id AND c.call_id = r.call_id
            AND c.principal IN (r.holder, r.plain)
        CROSS JOIN LATERAL (SELECT {} FROM policy_logs AS p
            WHERE p.id = c.decision_id AND p.created_at = c.created_at
            AND (c.principal = r.holder OR p.agent = r.agent)) AS d
        WHERE c.created_at >= $4
        ORDER BY c.principal = r.holder",
        DecisionRecord::COLUMNS
    );
    let rows = query(AssertSqlSafe(sql))
        .bind(claims.iter().map(|(_, claim)| claim.holder()).collect::<Vec<_>>())
        .bind(claims.iter().map(|(_, claim)| claim.tool_id.0).collect::<Vec<_>>())
        .bind(claims.iter().map(|(_, claim)| claim.call_id.as_str()).collect::<Vec<_>>())
        .bind(Time::bound(expire_before))
        .bind(claims.iter().map(|(_, claim)| claim.principal.as_str()).collect::<Vec<_>>())
        .bind(claims.iter().map(|(_, claim)| claim.agent.as_deref()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let missing = || StoreError::Corrupt("a claim was answered that was not asked for".to_owned());
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::new(row, DecisionRecord::TABLE);
        let position = usize::try_from(columns.take::<i64>()? - 1).map_err(|_| missing())?;
        let redeemed = columns.take::<bool>()?;
        let (index, _) = claims.get(position).ok_or_else(missing)?;
        found.insert(*index, Claimed { record: DecisionRecord::read(&mut columns)?, redeemed });
    }
    Ok(found.into_iter().collect())
}

/// Deletes some of the claims made before `before`; fewer than [`CLAIMS_AT_ONCE`] when none are
/// left. Those that a commit is reading are left for the next time.
pub(crate) async fn expire_claims(pool: &PgPool, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM claims WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM claims WHERE created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))";
    let limit = CLAIMS_AT_ONCE.cast_signed();
    Ok(query(sql).bind(Time::bound(before)).bind(limit).execute(pool).await?.rows_affected())
}

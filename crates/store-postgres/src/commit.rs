//! Group commit, by the steps of [`sentinel_core::commit`].
//!
//! Two round trips when the epoch is the one that the batch was decided under, no call carries a
//! call id and no kill that has not started yet covers one, which is nearly always: the commit, and
//! the wait for the disk, during which no lock is held. Else four (beginning, rows, end, the wait
//! for the disk), and two more at most for the call ids. Every transaction locks claims before
//! counters, and both in the order of their keys, so no two wait for each other in a circle.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::commit::{Batch, Claim, Claimed, Settlement};
use sentinel_core::epoch::Epoch;
use sentinel_core::permit::Redemption;
use sentinel_core::ports::StoreError;
use sentinel_core::quota::Reservation;
use sentinel_store_rows::Stored as _;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, query, query_scalar};
use uuid::Uuid;

use crate::committers::{Committer, Committers, Committing};
use crate::control::control_changes;
use crate::epoch;
use crate::error::{Failure, Result, unavailable};
use crate::migrations::Schema;
use crate::recording::{Recorded, record};
use crate::row::{columns, select_list};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

#[async_trait]
impl Committing for Committers {
    async fn commit(&self, mut batch: Batch, claims_expire_before: Timestamp) -> Result<Batch> {
        let mut committer = self.take().await?;
        if fits_in_one_call(&batch) {
            let (epoch, reservations) = (batch.epoch(), batch.reservations());
            let connection = &mut committer.connection;
            let recorded =
                record(connection, self.schema, &mut batch, epoch, &reservations).await?;
            if recorded == Recorded::Yes {
                committer.make_durable().await?;
                committer.committed();
                return Ok(batch);
            }
        }
        in_steps(self.schema, committer, batch, claims_expire_before).await
    }
}

/// Whether the call that inserts the batch settles all that its decisions take.
fn fits_in_one_call(batch: &Batch) -> bool {
    let in_the_call = |settlement| match settlement {
        Settlement::Claims => false,
        Settlement::Quotas => true,
    };
    let settles = |settlement| in_the_call(settlement) || !batch.needs(settlement);
    Settlement::ORDER.into_iter().all(settles)
        && batch.records().next().is_some()
        && !batch.needs_time()
}

/// The same in a transaction of several round trips, for what has to look at more than the epoch.
async fn in_steps(
    schema: Schema,
    mut committer: Committer,
    mut batch: Batch,
    claims_expire_before: Timestamp,
) -> Result<Batch> {
    let (epoch, now) = committer.begin().await?;
    let connection = &mut committer.connection;
    refresh(connection, &mut batch, epoch).await?;
    // The clock that all replicas share: one that is behind must not delay a kill.
    batch.at(now);
    settle(connection, &mut batch, claims_expire_before).await?;
    let reservations = batch.reservations();
    insert(connection, schema, &mut batch, epoch, &reservations).await?;
    committer.commit().await?;
    Ok(batch)
}

/// Settles what the call that inserts does not.
pub(crate) async fn settle(
    connection: &mut PgConnection,
    batch: &mut Batch,
    claims_expire_before: Timestamp,
) -> Result<()> {
    for settlement in Settlement::ORDER {
        match settlement {
            Settlement::Claims => settle_claims(connection, batch, claims_expire_before).await?,
            // Counted by the call that inserts.
            Settlement::Quotas => {}
        }
    }
    Ok(())
}

/// Counts `reservations` and inserts what the batch records, in a transaction that holds the epoch
/// lock and has read `epoch`.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    schema: Schema,
    batch: &mut Batch,
    epoch: Epoch,
    reservations: &[Reservation],
) -> Result<()> {
    if batch.records().next().is_some()
        && record(connection, schema, batch, epoch, reservations).await? != Recorded::Yes
    {
        return Err(unavailable("the epoch changed while its lock was held"));
    }
    Ok(())
}

/// Brings the batch to the epoch of the transaction.
pub(crate) async fn refresh(
    connection: &mut PgConnection,
    batch: &mut Batch,
    epoch: Epoch,
) -> Result<()> {
    if batch.epoch() > epoch {
        return Err(gone_back(epoch, batch.epoch()));
    }
    if batch.epoch() != epoch {
        batch.refresh(control_changes(connection, batch.epoch()).await?);
    }
    Ok(())
}

/// An older copy of the database was put in place: what was decided rests on a lost state.
fn gone_back(found: Epoch, known: Epoch) -> Failure {
    unavailable(format!("the store is at epoch {found}, which was {known} before"))
}

/// Brings a redemption to the epoch of the store and marks its permit as used, if nothing is in the
/// way; returns whether it is marked. Only a recorded allow has a permit.
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
    let (epoch, known) = (epoch::epoch(connection).await?, redemption.epoch());
    if known > epoch {
        return Err(gone_back(epoch, known));
    }
    if known != epoch {
        redemption.refresh(control_changes(connection, known).await?);
    }
    if !redemption.is_free() {
        return Ok(false);
    }
    let sql = "INSERT INTO permits (decision_id, redeemed_at)
        SELECT $3, $2 FROM policy_logs WHERE id = $1 AND decision = 'allow'
        ON CONFLICT DO NOTHING";
    let (id, at) = (redemption.decision_id().0, Time(redemption.at()));
    let done = query(sql).bind(id).bind(at).bind(redemption.mark().0).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Makes the claims, and settles those that were made before. The unique key decides between two
/// transactions that make the same: the later one waits here, and then reads what the other wrote.
async fn settle_claims(
    connection: &mut PgConnection,
    batch: &mut Batch,
    expire_before: Timestamp,
) -> Result<()> {
    let wanted = batch.claims();
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
    let attempted: HashSet<&Claim> = made.iter().map(|(claim, ..)| claim).collect();
    let is_gone = |(position, (_, claim)): (usize, &(usize, Claim))| {
        attempted.contains(claim) && !found.contains_key(&position)
    };
    if others.iter().enumerate().any(is_gone) {
        let detail = "a claim names a decision that is not there".to_owned();
        return Err(StoreError::Corrupt(detail).into());
    }
    for (position, claimed) in found {
        if let Some(asked) = others.get(position) {
            batch.settle_claim(asked, claimed);
        }
    }
    Ok(())
}

/// Makes the claims that were not made since `expire_before`; returns the decisions they lead to.
///
/// A claim of an agent is not made beside one that a server from before claims told agents apart
/// has made for the same agent: [`claimed`] finds that one.
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

/// What the claims lead to that others made and that still count, by position in `claims`.
/// The time, which claim and decision share, leads to the one partition that the decision is in.
/// Where there are a claim of the agent and an older one, that of the agent comes last and wins.
async fn claimed(
    connection: &mut PgConnection,
    claims: &[(usize, Claim)],
    expire_before: Timestamp,
) -> Result<HashMap<usize, Claimed>> {
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
        select_list::<DecisionRecord>()
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
    let unknown = || StoreError::Corrupt("a claim was found that was not looked for".to_owned());
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut columns = columns(row, DecisionRecord::TABLE);
        // Ordinality counts from one.
        let position = usize::try_from(columns.count()?.wrapping_sub(1)).map_err(|_| unknown())?;
        if position >= claims.len() {
            return Err(unknown().into());
        }
        let redeemed = columns.boolean()?;
        let record = DecisionRecord::read(&mut columns)?;
        found.insert(position, Claimed { record, redeemed });
    }
    Ok(found)
}

//! The one call that counts and writes a batch: `sentinel_commit_decisions`, in
//! `migrations/0002_commit_in_one_call.sql`.

use sentinel_core::audit::DecisionRecord;
use sentinel_core::commit::{Batch, Turn};
use sentinel_core::decision::exceeded_wording;
use sentinel_core::epoch::Epoch;
use sentinel_core::quota::{Grant, Reservation};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};
use uuid::Uuid;

use crate::error::{Result, unavailable};
use crate::migrations::Schema;
use crate::registry::json;
use crate::row::Query;
use crate::time::Time;

pub(crate) const CALL: &str = "SELECT store_epoch, first_sequence, used_before, granted
    FROM sentinel_commit_decisions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
        $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)";

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// The batch is written and settled.
    Yes,
    /// Nothing is written: this is the epoch of the store.
    NotAt(Epoch),
}

/// Counts `reservations` and writes the records of `batch`, under the epoch lock, if `epoch` is
/// that of the store. Outside a transaction this is also the commit.
pub(crate) async fn record(
    connection: &mut PgConnection,
    schema: Schema,
    batch: &mut Batch,
    epoch: Epoch,
    reservations: &[Reservation],
) -> Result<Recorded> {
    // Bound before anything is awaited: the query owns copies.
    let call = bind(schema, epoch, batch, reservations)?;
    let row = call.fetch_one(connection).await?;
    let found = Epoch(row.try_get::<i64, _>(0)?.cast_unsigned());
    if found != epoch {
        return Ok(Recorded::NotAt(found));
    }
    for (reservation, grant) in reservations.iter().zip(grants(&row, reservations.len())?) {
        batch.settle_quota(&reservation.key, grant);
    }
    batch.number(row.try_get::<i64, _>(1)?.cast_unsigned());
    Ok(Recorded::Yes)
}

fn grants(row: &PgRow, expected: usize) -> Result<Vec<Grant>> {
    let before = row.try_get::<Option<Vec<i64>>, _>(2)?.unwrap_or_default();
    let granted = row.try_get::<Option<Vec<i64>>, _>(3)?.unwrap_or_default();
    if before.len() != expected || granted.len() != expected {
        return Err(unavailable("not every quota was counted"));
    }
    let grant = |(before, granted): (i64, i64)| Grant {
        before: before.cast_unsigned(),
        granted: granted.cast_unsigned(),
    };
    Ok(before.into_iter().zip(granted).map(grant).collect())
}

fn bind(
    schema: Schema,
    epoch: Epoch,
    batch: &Batch,
    reservations: &[Reservation],
) -> Result<Query> {
    let call = bind_counters(query(schema.commit).bind(epoch.0.cast_signed()), reservations);
    let records: Vec<&DecisionRecord> = batch.records().collect();
    bind_records(bind_turns(call, &records, &batch.turns(reservations)), &records)
}

fn bind_counters(call: Query, reservations: &[Reservation]) -> Query {
    let keys = || reservations.iter().map(|each| each.key);
    call.bind(keys().map(|key| key.tool_id.0).collect::<Vec<Uuid>>())
        .bind(keys().map(|key| key.window.to_string()).collect::<Vec<_>>())
        .bind(keys().map(|key| Time(key.span.start)).collect::<Vec<_>>())
        .bind(keys().map(|key| Time(key.span.end)).collect::<Vec<_>>())
        .bind(keys().map(|key| key.tenant_id.0).collect::<Vec<Uuid>>())
        .bind(reservations.iter().map(|each| each.wanted.cast_signed()).collect::<Vec<_>>())
        .bind(reservations.iter().map(|each| each.limit.map(u64::cast_signed)).collect::<Vec<_>>())
}

fn bind_turns(call: Query, records: &[&DecisionRecord], turns: &[Option<Turn>]) -> Query {
    // Arrays of SQL count from 1, and a batch is far smaller than what an integer holds.
    let place = |turn: &Option<Turn>| {
        turn.map_or(0, |turn| i32::try_from(turn.reservation + 1).unwrap_or(i32::MAX))
    };
    let exceeded = |(record, turn): (&&DecisionRecord, &Option<Turn>)| {
        turn.map(|_| record.quota.map_or_else(|| record.reason.clone(), exceeded_wording))
    };
    call.bind(turns.iter().map(place).collect::<Vec<i32>>())
        .bind(
            turns.iter().map(|turn| turn.map(|turn| turn.place.cast_signed())).collect::<Vec<_>>(),
        )
        .bind(
            records
                .iter()
                .zip(turns)
                .map(exceeded)
                .map(|text| text.map(without_nul))
                .collect::<Vec<_>>(),
        )
}

fn bind_records(call: Query, records: &[&DecisionRecord]) -> Result<Query> {
    let reasons = |record: &&DecisionRecord| match record.reasons.as_slice() {
        [] => Ok(None),
        reasons => json(&reasons).map(|json| Some(without_nul_in_json(json))),
    };
    let metadata = |record: &&DecisionRecord| json(&record.event_metadata).map(without_nul_in_json);
    Ok(call
        .bind(column(records, |record| record.id.0))
        .bind(column(records, |record| record.tenant_id.map(|id| id.0)))
        .bind(column(records, |record| record.tool_id.map(|id| id.0)))
        .bind(column(records, |record| record.tenant.as_str()))
        .bind(column(records, |record| record.tool.as_str()))
        .bind(column(records, |record| record.allow))
        .bind(column(records, |record| record.code.as_str()))
        .bind(column(records, |record| without_nul(record.reason.clone())))
        .bind(records.iter().map(reasons).collect::<Result<Vec<_>>>()?)
        .bind(column(records, |record| record.quota.map(|quota| quota.limit.cast_signed())))
        .bind(column(records, |record| record.quota.map(|quota| quota.window.to_string())))
        .bind(column(records, |record| record.quota_remaining.map(u64::cast_signed)))
        .bind(column(records, |record| record.policy_revision.as_deref()))
        .bind(column(records, |record| record.principal.as_str()))
        .bind(column(records, |record| record.agent.as_ref().map(AsRef::<str>::as_ref)))
        .bind(column(records, |record| record.action.as_str()))
        .bind(column(records, |record| record.purpose.as_ref().map(AsRef::<str>::as_ref)))
        .bind(column(records, |record| record.argument_hash.0.as_slice()))
        .bind(column(records, |record| record.call_id.as_ref().map(AsRef::<str>::as_ref)))
        .bind(records.iter().map(metadata).collect::<Result<Vec<_>>>()?)
        .bind(column(records, |record| Time(record.created_at)))
        .bind(column(records, |record| record.duration_us.cast_signed())))
}

fn column<'r, T>(
    records: &[&'r DecisionRecord],
    value: impl Fn(&'r DecisionRecord) -> T,
) -> Vec<T> {
    records.iter().map(|record| value(record)).collect()
}

/// Stands for the one character that PostgreSQL cannot store. Requests that contain it are
/// refused; were a policy to say it, the whole batch would fail for one decision.
const REPLACEMENT: &str = "\u{FFFD}";

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', REPLACEMENT) } else { text }
}

/// Replaces the escape of that character, and leaves alone an escaped backslash before `u0000`.
fn without_nul_in_json(json: String) -> String {
    if !json.contains("\\u0000") {
        return json;
    }
    let (mut clean, mut rest) = (String::with_capacity(json.len()), json.as_str());
    while let Some((before, after)) = rest.split_once('\\') {
        clean.push_str(before);
        let escape = after.chars().next().unwrap_or_default();
        rest = after.get(escape.len_utf8()..).unwrap_or_default();
        match rest.strip_prefix("0000") {
            Some(after) if escape == 'u' => {
                clean.push_str(REPLACEMENT);
                rest = after;
            }
            _ => clean.extend(['\\', escape]),
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_escape_of_nul_is_replaced() {
        let odd =
            json!({"\u{0}\\u0000": ["\\\u{0}", "\\\\u0000", "\"\u{0}\u{0}u0000", "\u{1}", "é"]});
        let clean = without_nul_in_json(odd.to_string());
        let expected = json!({"\u{FFFD}\\u0000": ["\\\u{FFFD}", "\\\\u0000", "\"\u{FFFD}\u{FFFD}u0000", "\u{1}", "é"]});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).unwrap(), expected);
    }
}

//! The one call that counts and writes a batch: `sentinel_commit_decisions`, as
//! `migrations/0006_windows.sql` defines it.

use std::borrow::Cow;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::commit::{Batch, Turn};
use sentinel_core::decision::exceeded_wording;
use sentinel_core::epoch::Epoch;
use sentinel_core::quota::{Grant, Reservation};
use sentinel_store_rows::DecisionRow;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};
use uuid::Uuid;

use crate::error::{Result, unavailable};
use crate::migrations::Schema;
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
        batch.settle_quota(reservation, grant);
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
    let call = bind_turns(call, batch, &batch.turns(reservations));
    let rows = batch.records().map(DecisionRow::of).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(bind_rows(call, &rows))
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

fn bind_turns(call: Query, batch: &Batch, turns: &[Option<Turn>]) -> Query {
    // Arrays of SQL count from 1, and a batch is far smaller than what an integer holds.
    let index = |turn: &Option<Turn>| {
        turn.map_or(0, |turn| i32::try_from(turn.reservation + 1).unwrap_or(i32::MAX))
    };
    let place = |turn: &Option<Turn>| turn.map(|turn| turn.place.cast_signed());
    let exceeded = |(record, turn): (&DecisionRecord, &Option<Turn>)| {
        let reason = || record.quota.map_or_else(|| record.reason.clone(), exceeded_wording);
        turn.map(|_| without_nul(reason()))
    };
    call.bind(turns.iter().map(index).collect::<Vec<i32>>())
        .bind(turns.iter().map(place).collect::<Vec<_>>())
        .bind(batch.records().zip(turns).map(exceeded).collect::<Vec<_>>())
}

/// Binds the decisions, in the order of the function's parameters.
fn bind_rows(call: Query, rows: &[DecisionRow<'_>]) -> Query {
    call.bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.tool_id))
        .bind(column(rows, |row| row.tenant))
        .bind(column(rows, |row| row.tool))
        .bind(column(rows, |row| row.allow))
        .bind(column(rows, |row| row.code))
        .bind(column(rows, |row| without_nul(row.reason.to_owned())))
        .bind(column(rows, |row| row.reasons.as_deref().map(without_nul_in_json)))
        .bind(column(rows, |row| row.quota_limit))
        .bind(column(rows, |row| row.quota_window.as_deref()))
        .bind(column(rows, |row| row.quota_remaining))
        .bind(column(rows, |row| row.policy_revision))
        .bind(column(rows, |row| row.principal))
        .bind(column(rows, |row| row.agent))
        .bind(column(rows, |row| row.action))
        .bind(column(rows, |row| row.purpose))
        .bind(column(rows, |row| row.argument_hash))
        .bind(column(rows, |row| row.call_id))
        .bind(column(rows, |row| without_nul_in_json(&row.event_metadata)))
        .bind(column(rows, |row| Time(row.created_at)))
        .bind(column(rows, |row| row.duration_us))
}

fn column<'r, T>(rows: &'r [DecisionRow<'r>], value: impl Fn(&'r DecisionRow<'r>) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// In place of the one character that PostgreSQL cannot store. Requests that contain it are
/// refused; were a policy to say it, the whole batch would fail for one decision.
const REPLACEMENT: &str = "\u{FFFD}";

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', REPLACEMENT) } else { text }
}

/// Replaces the escape of that character, and leaves alone an escaped backslash before `u0000`.
fn without_nul_in_json(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u0000") {
        return Cow::Borrowed(json);
    }
    let (mut clean, mut rest) = (String::with_capacity(json.len()), json);
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
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_escape_of_nul_is_replaced() {
        let odd =
            json!({"\u{0}\\u0000": ["\\\u{0}", "\\\\u0000", "\"\u{0}\u{0}u0000", "\u{1}", "é"]});
        let clean = without_nul_in_json(&odd.to_string()).into_owned();
        let expected = json!({"\u{FFFD}\\u0000": ["\\\u{FFFD}", "\\\\u0000", "\"\u{FFFD}\u{FFFD}u0000", "\u{1}", "é"]});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).unwrap(), expected);
    }
}

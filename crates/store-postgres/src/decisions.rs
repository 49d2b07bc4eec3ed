//! The audit log: inserting decisions and asking for them.

use std::sync::Arc;

use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::check::ArgumentHash;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::quota::{Quota, Window};
use sqlx::{PgConnection, PgPool, Row as _, query};

use crate::error::Result;
use crate::listing::{Listing, Order};
use crate::migrations::Schema;
use crate::registry::json;
use crate::row::{Columns, Stored};
use crate::time::Time;

/// Takes a block of numbers and gives one to each row, in the order of the arrays; answers the
/// first.
pub(crate) const INSERT: &str =
    "WITH block AS MATERIALIZED (SELECT nextval('policy_log_blocks') AS first),
    inserted AS (
        INSERT INTO policy_logs (sequence, epoch, id, tenant_id, tool_id, tenant_slug, tool_name,
            decision, code, reason, reasons, quota_limit, quota_window, quota_remaining,
            policy_revision, principal, agent, action, purpose, argument_hash, call_id,
            event_metadata, created_at, duration_us)
        SELECT first + position - 1, $1, id, tenant_id, tool_id, tenant_slug, tool_name,
            CASE WHEN allow THEN 'allow' ELSE 'deny' END, code, reason, reasons::jsonb,
            quota_limit, quota_window, quota_remaining, policy_revision, principal, agent, action,
            purpose, argument_hash, call_id, event_metadata::jsonb, created_at, duration_us
        FROM block, UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
            $7::boolean[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::text[],
            $13::bigint[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
            $19::bytea[], $20::text[], $21::text[], $22::timestamptz[], $23::bigint[])
            WITH ORDINALITY AS r (id, tenant_id, tool_id, tenant_slug, tool_name, allow, code,
            reason, reasons, quota_limit, quota_window, quota_remaining, policy_revision,
            principal, agent, action, purpose, argument_hash, call_id, event_metadata, created_at,
            duration_us, position)
    )
    SELECT first FROM block";

impl Stored for DecisionRecord {
    const TABLE: &'static str = "policy_logs";
    const COLUMNS: &'static str = "id, sequence, epoch, tenant_slug, tenant_id, tool_name, tool_id, \
        decision, code, reason, reasons::text, quota_limit, quota_window, quota_remaining, \
        policy_revision, principal, agent, action, purpose, argument_hash, call_id, \
        event_metadata::text, created_at, duration_us";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: DecisionId(columns.uuid()?),
            sequence: columns.count()?,
            epoch: Epoch(columns.count()?),
            tenant: columns.parse()?,
            tenant_id: columns.uuid_optional()?.map(TenantId),
            tool: columns.parse()?,
            tool_id: columns.uuid_optional()?.map(ToolId),
            allow: read_allow(columns)?,
            code: columns.parse()?,
            reason: columns.take()?,
            reasons: columns.json_optional()?.unwrap_or_default(),
            quota: read_quota(columns)?,
            quota_remaining: columns.count_optional()?,
            policy_revision: columns.take::<Option<&str>>()?.map(Arc::from),
            principal: columns.take()?,
            agent: columns.parse_optional()?,
            action: columns.parse()?,
            purpose: columns.parse_optional()?,
            argument_hash: ArgumentHash(columns.bytes()?),
            call_id: columns.parse_optional()?,
            event_metadata: columns.json()?,
            created_at: columns.time()?,
            duration_us: columns.count()?,
        })
    }
}

fn read_allow(columns: &mut Columns<'_>) -> Result<bool> {
    match columns.take::<String>()?.as_str() {
        "allow" => Ok(true),
        "deny" => Ok(false),
        _ => Err(columns.wrong(&"neither allow nor deny")),
    }
}

fn read_quota(columns: &mut Columns<'_>) -> Result<Option<Quota>> {
    let limit = columns.count_optional()?;
    let window = columns.parse_optional::<Window>()?;
    match (limit, window) {
        (Some(limit), Some(window)) => Ok(Some(Quota { limit, window })),
        (None, None) => Ok(None),
        _ => Err(columns.wrong(&"a quota has both a limit and a window")),
    }
}

/// Inserts decisions, at most [`sentinel_core::commit::Batch::MAX`] of them; answers the sequence
/// of the first, from which the others count on.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    schema: Schema,
    epoch: Epoch,
    records: &[&DecisionRecord],
) -> Result<u64> {
    // Bound before anything is awaited: the query owns copies.
    let query = bind(schema, epoch, records)?;
    let first: i64 = query.fetch_one(connection).await?.try_get(0)?;
    Ok(first.cast_unsigned())
}

fn bind(schema: Schema, epoch: Epoch, records: &[&DecisionRecord]) -> Result<crate::row::Query> {
    let reasons = |record: &&DecisionRecord| match record.reasons.as_slice() {
        [] => Ok(None),
        reasons => json(&reasons).map(|json| Some(without_nul_in_json(json))),
    };
    let metadata = |record: &&DecisionRecord| json(&record.event_metadata).map(without_nul_in_json);
    Ok(query(schema.insert_decisions)
        .bind(epoch.0.cast_signed())
        .bind(column(records, |record| record.id.0))
        .bind(column(records, |record| record.tenant_id.map(|id| id.0)))
        .bind(column(records, |record| record.tool_id.map(|id| id.0)))
        .bind(column(records, |record| record.tenant.as_str()))
        .bind(column(records, |record| record.tool.as_str()))
        .bind(column(records, |record| record.allow))
        .bind(column(records, |record| record.code.as_str()))
        .bind(column(records, |record| record.reason.replace('\0', REPLACEMENT)))
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

pub(crate) async fn decisions(
    pool: &PgPool,
    filter: &DecisionFilter,
    page: &Page,
) -> Result<Paged<DecisionRecord>> {
    listing_of(filter).page(pool, page, Order::NewestFirst).await
}

fn listing_of(filter: &DecisionFilter) -> Listing {
    let mut listing = Listing::of::<DecisionRecord>("sequence::text");
    listing
        .bound_optional("tenant_id =", filter.tenant_id.map(|id| id.0))
        .bound_optional("tool_name =", filter.tool.as_ref().map(|tool| tool.as_str()))
        .bound_optional("agent =", filter.agent.as_ref().map(AsRef::<str>::as_ref))
        .bound_optional("code =", filter.code.map(ReasonCode::as_str))
        .bound_optional("created_at >=", filter.from.map(Time::bound))
        .bound_optional("created_at <", filter.to.map(Time::bound));
    // Literals, so that the planner sees that the index of denies fits.
    if filter.allow == Some(true) {
        listing.fixed("decision = 'allow'");
    }
    let denied = filter.code.is_some_and(|code| code != ReasonCode::Allowed);
    if denied || filter.allow == Some(false) {
        listing.fixed("decision = 'deny'");
    }
    listing
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

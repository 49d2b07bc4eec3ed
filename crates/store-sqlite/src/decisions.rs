//! The audit log: inserting decisions and asking for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, Transaction, params};
use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::check::ArgumentHash;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::quota::{Quota, Window};

use crate::error::Result;
use crate::listing::{Conditions, Order, blob};
use crate::registry::json;
use crate::row::{Columns, Stored, one};

/// Decisions that share one row of `policy_log_ranges`.
const BUCKET: u64 = 1024;

pub(crate) const INSERT: &str = "INSERT INTO policy_logs (sequence, id, tenant_id, tool_id,
    tenant_slug, tool_name, decision, code, reason, reasons, quota_limit, quota_window,
    quota_remaining, policy_revision, principal, agent, action, purpose, argument_hash, call_id,
    event_metadata, created_at, duration_us, epoch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
    ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)";

impl Stored for DecisionRecord {
    const TABLE: &'static str = "policy_logs";
    const COLUMNS: &'static str = "id, sequence, epoch, tenant_slug, tenant_id, tool_name, tool_id, \
        decision, code, reason, reasons, quota_limit, quota_window, quota_remaining, \
        policy_revision, principal, agent, action, purpose, argument_hash, call_id, \
        event_metadata, created_at, duration_us";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
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
            policy_revision: columns.take::<Option<Arc<str>>>()?,
            principal: columns.take()?,
            agent: columns.parse_optional()?,
            action: columns.parse()?,
            purpose: columns.parse_optional()?,
            argument_hash: ArgumentHash(columns.take()?),
            call_id: columns.parse_optional()?,
            event_metadata: columns.json()?,
            created_at: columns.time()?,
            duration_us: columns.count()?,
        })
    }
}

fn read_allow(columns: &mut Columns<'_, '_>) -> Result<bool> {
    match columns.take::<String>()?.as_str() {
        "allow" => Ok(true),
        "deny" => Ok(false),
        _ => Err(columns.wrong(&"neither allow nor deny")),
    }
}

fn read_quota(columns: &mut Columns<'_, '_>) -> Result<Option<Quota>> {
    let limit = columns.count_optional()?;
    let window = columns.parse_optional::<Window>()?;
    match (limit, window) {
        (Some(limit), Some(window)) => Ok(Some(Quota { limit, window })),
        (None, None) => Ok(None),
        _ => Err(columns.wrong(&"a quota has both a limit and a window")),
    }
}

/// Inserts one decision; the statement is [`INSERT`].
pub(crate) fn insert(statement: &mut CachedStatement<'_>, record: &DecisionRecord) -> Result<()> {
    let reasons = if record.reasons.is_empty() { None } else { Some(json(&record.reasons)?) };
    statement.execute(params![
        record.sequence.cast_signed(),
        record.id.0.as_bytes(),
        record.tenant_id.as_ref().map(|id| id.0.as_bytes()),
        record.tool_id.as_ref().map(|id| id.0.as_bytes()),
        record.tenant.as_str(),
        record.tool.as_str(),
        if record.allow { "allow" } else { "deny" },
        record.code.as_str(),
        record.reason,
        reasons,
        record.quota.map(|quota| quota.limit.cast_signed()),
        record.quota.map(|quota| quota.window.to_string()),
        record.quota_remaining.map(u64::cast_signed),
        record.policy_revision,
        record.principal,
        record.agent.as_ref().map(AsRef::<str>::as_ref),
        record.action.as_str(),
        record.purpose.as_ref().map(AsRef::<str>::as_ref),
        record.argument_hash.0,
        record.call_id.as_ref().map(AsRef::<str>::as_ref),
        json(&record.event_metadata)?,
        record.created_at.as_microsecond(),
        record.duration_us.cast_signed(),
        record.epoch.0.cast_signed(),
    ])?;
    Ok(())
}

/// The times between which the decisions of each bucket lie.
pub(crate) type Ranges = BTreeMap<u64, (Timestamp, Timestamp)>;

pub(crate) fn widen(ranges: &mut Ranges, record: &DecisionRecord) {
    let at = record.created_at;
    let (earliest, latest) = ranges.entry(record.sequence / BUCKET).or_insert((at, at));
    *earliest = at.min(*earliest);
    *latest = at.max(*latest);
}

pub(crate) fn store_ranges(transaction: &Transaction<'_>, ranges: &Ranges) -> Result<()> {
    let sql = "INSERT INTO policy_log_ranges (bucket, earliest, latest) VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET earliest = min(earliest, excluded.earliest),
        latest = max(latest, excluded.latest)";
    for (bucket, (earliest, latest)) in ranges {
        transaction.prepare_cached(sql)?.execute(params![
            bucket.cast_signed(),
            earliest.as_microsecond(),
            latest.as_microsecond()
        ])?;
    }
    Ok(())
}

/// The first and the last sequence between which everything of that time lies; `None` when there
/// is nothing.
fn sequences_between(
    connection: &Connection,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT min(bucket), max(bucket) FROM policy_log_ranges
        WHERE latest >= ?1 AND earliest < ?2";
    let from = from.map_or(i64::MIN, Timestamp::as_microsecond);
    let to = to.map_or(i64::MAX, Timestamp::as_microsecond);
    let read = |row: &rusqlite::Row<'_>| {
        Ok(row.get::<_, Option<i64>>(0)?.zip(row.get::<_, Option<i64>>(1)?))
    };
    let buckets = connection.prepare_cached(sql)?.query_row([from, to], read)?;
    let size = BUCKET.cast_signed();
    Ok(buckets.map(|(first, last)| (first * size, last * size + size - 1)))
}

pub(crate) fn decision(connection: &Connection, id: &[u8; 16]) -> Result<Option<DecisionRecord>> {
    one(connection, "id = ?1", [id])
}

pub(crate) fn decisions(
    connection: &Connection,
    filter: &DecisionFilter,
    page: &Page,
) -> Result<Paged<DecisionRecord>> {
    let mut conditions = Conditions::default();
    conditions.bound_optional("tenant_id =", filter.tenant_id.map(|id| blob(id.0)));
    conditions.bound_optional("tool_name =", filter.tool.as_ref().map(ToString::to_string));
    conditions.bound_optional("agent =", filter.agent.as_ref().map(ToString::to_string));
    // Literals, because only they let the index of the denies be used.
    match filter.allow {
        Some(true) => conditions.fixed("decision = 'allow'"),
        Some(false) => conditions.fixed("decision = 'deny'"),
        None if filter.code.is_some_and(|code| code != ReasonCode::Allowed) => {
            conditions.fixed("decision = 'deny'");
        }
        None => {}
    }
    conditions.bound_optional("code =", filter.code.map(|code| code.as_str().to_owned()));
    if filter.from.is_some() || filter.to.is_some() {
        let (first, last) =
            sequences_between(connection, filter.from, filter.to)?.unwrap_or((1, 0));
        conditions.bound("sequence >=", first);
        conditions.bound("sequence <=", last);
        conditions.bound_optional("created_at >=", filter.from.map(Timestamp::as_microsecond));
        conditions.bound_optional("created_at <", filter.to.map(Timestamp::as_microsecond));
    }
    conditions.page(connection, page, Order::NewestFirst)
}

//! The audit log: inserting decisions and asking for them.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, params};
use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::check::ArgumentHash;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::quota::{Quota, Window};
use sentinel_core::self_test;

use crate::buckets;
use crate::error::Result;
use crate::listing::{Conditions, Source, blob, paged, sequence_of};
use crate::registry::json;
use crate::row::{Columns, Stored, one};

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
        decision_of(record.allow),
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

pub(crate) fn decision(connection: &Connection, id: &[u8; 16]) -> Result<Option<DecisionRecord>> {
    one(connection, "id = ?1", [id])
}

const LISTING: Source<'static> = Source {
    columns: DecisionRecord::COLUMNS,
    from: buckets::FROM,
    table: DecisionRecord::TABLE,
    order: "bucket DESC, sequence DESC",
};

pub(crate) fn decisions(
    connection: &Connection,
    filter: &DecisionFilter,
    page: &Page,
) -> Result<Paged<DecisionRecord>> {
    let conditions = conditions_of(filter, page)?;
    let rows = conditions.rows(connection, page, &LISTING, DecisionRecord::read)?;
    Ok(paged(rows, |record| record.sequence.to_string(), |record| record))
}

fn conditions_of(filter: &DecisionFilter, page: &Page) -> Result<Conditions> {
    let mut conditions = Conditions::default();
    if let Some(id) = filter.tenant_id {
        conditions.bound("tenant_id =", blob(id.0));
        buckets::holding(&mut conditions, "tenant", blob(id.0));
    }
    if let Some(tool) = &filter.tool {
        conditions.bound("tool_name =", tool.to_string());
        buckets::holding(&mut conditions, "tool", tool.to_string());
    }
    if let Some(agent) = &filter.agent {
        conditions.bound("agent =", agent.to_string());
        buckets::holding(&mut conditions, "agent", agent.to_string());
    }
    if !filter.self_tests {
        conditions.after("tenant_id IS NOT ?", [blob(self_test::TENANT.0)]);
    }
    conditions
        .bound_optional("decision =", filter.allow.map(|allow| decision_of(allow).to_owned()));
    conditions.bound_optional("code =", filter.code.map(|code| code.as_str().to_owned()));
    let denied = filter.code.is_some_and(|code| code != ReasonCode::Allowed);
    if denied || filter.allow == Some(false) {
        buckets::holding(&mut conditions, "decision", decision_of(false).to_owned());
    }
    if let Some(from) = filter.from.map(Timestamp::as_microsecond) {
        conditions.bound("created_at >=", from);
        conditions.bound("latest >=", from);
    }
    if let Some(to) = filter.to.map(Timestamp::as_microsecond) {
        conditions.bound("created_at <", to);
        conditions.bound("earliest <", to);
    }
    if let Some(cursor) = &page.cursor {
        let before = sequence_of(cursor)?;
        conditions.bound("sequence <", before);
        conditions.bound("bucket <=", before / buckets::SIZE.cast_signed());
    }
    Ok(conditions)
}

const fn decision_of(allow: bool) -> &'static str {
    if allow { "allow" } else { "deny" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listing that sorts, or reads what it does not answer, takes time in the length of the
    /// log; one that walks the buckets from the end takes none.
    #[test]
    fn no_listing_sorts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        crate::SqliteStore::migrate(&path).unwrap();
        let connection = crate::connection::reading(&path).unwrap();
        for mask in 0..128_u32 {
            let on = |bit: u32| mask & (1 << bit) != 0;
            let filter = DecisionFilter {
                tenant_id: on(0).then_some(TenantId(uuid::Uuid::nil())),
                tool: on(1).then(|| "search".parse().unwrap()),
                agent: on(2).then(|| "bot".parse().unwrap()),
                allow: on(3).then_some(on(4)),
                code: on(4).then_some(ReasonCode::Killed),
                from: on(5).then_some(Timestamp::UNIX_EPOCH),
                to: on(5).then_some(Timestamp::UNIX_EPOCH),
                self_tests: on(6),
            };
            let page = Page { limit: 50, cursor: on(6).then(|| "5000".to_owned()) };
            let sql = conditions_of(&filter, &page).unwrap().select(&LISTING);
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let places = vec![rusqlite::types::Null; plan.parameter_count()];
            let steps = plan
                .query_map(rusqlite::params_from_iter(places), |row| row.get::<_, String>(3))
                .unwrap()
                .collect::<std::result::Result<Vec<_>, _>>()
                .unwrap();
            let plan = steps.join("\n");
            assert!(plan.contains("SEARCH policy_logs USING INTEGER PRIMARY KEY"), "{sql}\n{plan}");
            for word in ["TEMP B-TREE", "AUTOMATIC", "SCAN policy_logs"] {
                assert!(!plan.contains(word), "{sql}\n{plan}");
            }
        }
    }
}

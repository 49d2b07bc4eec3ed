//! Decisions.

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::ArgumentHash;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::ports::StoreError;
use sentinel_core::quota::{Quota, Window};
use uuid::Uuid;

use crate::columns::Column::{self, Json, Plain};
use crate::row::{Columns, Row};
use crate::stored::{Stored, Writable};
use crate::value::{Value, json};

impl Stored for DecisionRecord {
    const TABLE: &'static str = "policy_logs";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("sequence"),
        Plain("epoch"),
        Plain("tenant_slug"),
        Plain("tenant_id"),
        Plain("tool_name"),
        Plain("tool_id"),
        Plain("decision"),
        Plain("code"),
        Plain("reason"),
        Json("reasons"),
        Plain("quota_limit"),
        Plain("quota_window"),
        Plain("quota_remaining"),
        Plain("policy_revision"),
        Plain("principal"),
        Plain("agent"),
        Plain("action"),
        Plain("purpose"),
        Plain("argument_hash"),
        Plain("call_id"),
        Json("event_metadata"),
        Plain("created_at"),
        Plain("duration_us"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
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
            reason: columns.text()?,
            reasons: columns.json_optional()?.unwrap_or_default(),
            quota: read_quota(columns)?,
            quota_remaining: columns.count_optional()?,
            policy_revision: columns.shared_text_optional()?,
            principal: columns.text()?,
            agent: columns.parse_optional()?,
            action: columns.parse()?,
            purpose: columns.parse_optional()?,
            argument_hash: ArgumentHash(columns.array()?),
            call_id: columns.parse_optional()?,
            event_metadata: columns.json()?,
            created_at: columns.time()?,
            duration_us: columns.count()?,
        })
    }
}

fn read_allow<R: Row>(columns: &mut Columns<R>) -> Result<bool, StoreError> {
    match columns.text()?.as_str() {
        ALLOW => Ok(true),
        DENY => Ok(false),
        _ => Err(columns.wrong("neither allow nor deny")),
    }
}

fn read_quota<R: Row>(columns: &mut Columns<R>) -> Result<Option<Quota>, StoreError> {
    let limit = columns.count_optional()?;
    let window = columns.parse_optional::<Window>()?;
    match (limit, window) {
        (Some(limit), Some(window)) => Ok(Some(Quota { limit, window })),
        (None, None) => Ok(None),
        _ => Err(columns.wrong("a quota has both a limit and a window")),
    }
}

const ALLOW: &str = "allow";
const DENY: &str = "deny";

/// What the column `decision` holds.
#[must_use]
pub const fn decision_of(allow: bool) -> &'static str {
    if allow { ALLOW } else { DENY }
}

/// A decision, each field as its column holds it. A store that inserts a batch in one statement
/// binds each field of all rows at once.
#[derive(Debug)]
pub struct DecisionRow<'r> {
    pub id: Uuid,
    pub sequence: i64,
    pub epoch: i64,
    pub tenant: &'r str,
    pub tenant_id: Option<Uuid>,
    pub tool: &'r str,
    pub tool_id: Option<Uuid>,
    pub allow: bool,
    pub code: &'static str,
    pub reason: &'r str,
    /// JSON; `None` when there are none.
    pub reasons: Option<String>,
    pub quota_limit: Option<i64>,
    pub quota_window: Option<String>,
    pub quota_remaining: Option<i64>,
    pub policy_revision: Option<&'r str>,
    pub principal: &'r str,
    pub agent: Option<&'r str>,
    pub action: &'r str,
    pub purpose: Option<&'r str>,
    pub argument_hash: &'r [u8],
    pub call_id: Option<&'r str>,
    /// JSON.
    pub event_metadata: String,
    pub created_at: Timestamp,
    pub duration_us: i64,
}

impl<'r> DecisionRow<'r> {
    /// # Errors
    /// [`StoreError::Unavailable`] when a part of the record cannot be written as JSON.
    pub fn of(record: &'r DecisionRecord) -> Result<Self, StoreError> {
        let reasons = &record.reasons;
        Ok(Self {
            id: record.id.0,
            sequence: record.sequence.cast_signed(),
            epoch: record.epoch.0.cast_signed(),
            tenant: record.tenant.as_str(),
            tenant_id: record.tenant_id.map(|id| id.0),
            tool: record.tool.as_str(),
            tool_id: record.tool_id.map(|id| id.0),
            allow: record.allow,
            code: record.code.as_str(),
            reason: &record.reason,
            reasons: if reasons.is_empty() { None } else { Some(json(reasons)?) },
            quota_limit: record.quota.map(|quota| quota.limit.cast_signed()),
            quota_window: record.quota.map(|quota| quota.window.to_string()),
            quota_remaining: record.quota_remaining.map(u64::cast_signed),
            policy_revision: record.policy_revision.as_deref(),
            principal: &record.principal,
            agent: record.agent.as_ref().map(AsRef::as_ref),
            action: record.action.as_str(),
            purpose: record.purpose.as_ref().map(AsRef::as_ref),
            argument_hash: &record.argument_hash.0,
            call_id: record.call_id.as_ref().map(AsRef::as_ref),
            event_metadata: json(&record.event_metadata)?,
            created_at: record.created_at,
            duration_us: record.duration_us.cast_signed(),
        })
    }
}

impl Writable for DecisionRecord {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        let row = DecisionRow::of(self)?;
        values.extend([
            Value::uuid(row.id),
            Value::Integer(Some(row.sequence)),
            Value::Integer(Some(row.epoch)),
            Value::text(row.tenant),
            Value::uuid(row.tenant_id),
            Value::text(row.tool),
            Value::uuid(row.tool_id),
            Value::text(decision_of(row.allow)),
            Value::text(row.code),
            Value::text(row.reason),
            row.reasons.into(),
            Value::Integer(row.quota_limit),
            row.quota_window.into(),
            Value::Integer(row.quota_remaining),
            row.policy_revision.into(),
            Value::text(row.principal),
            row.agent.into(),
            Value::text(row.action),
            row.purpose.into(),
            Value::bytes(row.argument_hash),
            row.call_id.into(),
            row.event_metadata.into(),
            Value::time(row.created_at),
            Value::Integer(Some(row.duration_us)),
        ]);
        Ok(())
    }
}

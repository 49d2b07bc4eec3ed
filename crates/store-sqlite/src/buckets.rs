//! The sparse index of the audit log: what occurs in each bucket of consecutive decisions.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Transaction, params};
use sentinel_core::audit::DecisionRecord;

use crate::error::Result;
use crate::listing::Conditions;

/// Decisions of one bucket.
pub(crate) const SIZE: u64 = 1024;

/// In microseconds.
const SECOND: i64 = 1_000_000;

/// The buckets, newest first when so ordered, and the decisions of each. `CROSS JOIN` keeps
/// `SQLite` from turning the loops around.
pub(crate) const FROM: &str = "policy_log_ranges CROSS JOIN policy_logs
    ON sequence BETWEEN bucket * 1024 AND bucket * 1024 + 1023";

/// Leaves only the buckets in which `value` occurs.
pub(crate) fn holding(conditions: &mut Conditions, kind: &'static str, value: impl Into<Value>) {
    conditions.after(
        "EXISTS (SELECT 1 FROM policy_log_values AS v
        WHERE v.kind = ? AND v.value = ? AND v.bucket = policy_log_ranges.bucket)",
        [kind.to_owned().into(), value.into()],
    );
}

/// What a batch adds to the index.
#[derive(Debug, Default)]
pub(crate) struct Additions<'a> {
    ranges: BTreeMap<u64, (Timestamp, Timestamp)>,
    values: HashSet<(&'static str, &'a [u8], u64), RandomState>,
}

impl<'a> Additions<'a> {
    pub(crate) fn add(&mut self, record: &'a DecisionRecord) {
        let (bucket, at) = (record.sequence / SIZE, record.created_at);
        let (earliest, latest) = self.ranges.entry(bucket).or_insert((at, at));
        *earliest = at.min(*earliest);
        *latest = at.max(*latest);
        self.values.insert(("tool", record.tool.as_str().as_bytes(), bucket));
        if let Some(id) = &record.tenant_id {
            self.values.insert((TENANT, id.0.as_bytes(), bucket));
        }
        if let Some(agent) = &record.agent {
            self.values.insert(("agent", agent.as_str().as_bytes(), bucket));
        }
        if !record.allow {
            self.values.insert(("decision", b"deny", bucket));
        }
    }

    pub(crate) fn store(&self, transaction: &Transaction<'_>) -> Result<()> {
        // Whole seconds around what is in the bucket: so that most batches, which come within a
        // second of the last, need not write the row again.
        let sql = "INSERT INTO policy_log_ranges (bucket, earliest, latest) VALUES (?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET earliest = min(earliest, excluded.earliest),
            latest = max(latest, excluded.latest)
            WHERE excluded.earliest < earliest OR excluded.latest > latest";
        let mut statement = transaction.prepare_cached(sql)?;
        for (bucket, (earliest, latest)) in &self.ranges {
            let (earliest, latest) = (earliest.as_microsecond(), latest.as_microsecond());
            let earliest = earliest - earliest.rem_euclid(SECOND);
            let latest = latest - latest.rem_euclid(SECOND) + SECOND;
            statement.execute(params![bucket.cast_signed(), earliest, latest])?;
        }
        let sql = "INSERT INTO policy_log_values (kind, value, bucket) VALUES (?1, ?2, ?3)
            ON CONFLICT DO NOTHING";
        let mut statement = transaction.prepare_cached(sql)?;
        for (kind, value, bucket) in &self.values {
            let value = match *kind {
                TENANT => ValueRef::Blob(value),
                _ => ValueRef::Text(value),
            };
            let value = ToSqlOutput::Borrowed(value);
            statement.execute(params![kind, value, bucket.cast_signed()])?;
        }
        Ok(())
    }
}

/// The one kind whose values are identifiers rather than text.
const TENANT: &str = "tenant";

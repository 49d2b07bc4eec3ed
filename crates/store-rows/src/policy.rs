//! Changes of policy, policy data, and rollouts.

use std::sync::Arc;

use sentinel_core::control::ChangedData;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{PolicyChangeId, RolloutId};
use sentinel_core::policy_change::PolicyChange;
use sentinel_core::policy_data::DataEntry;
use sentinel_core::ports::{RecordedData, StoreError};
use sentinel_core::rollout::{Percent, Rollout};
use serde_json::Value as JsonValue;

use crate::columns::Column::{self, Json, Plain};
use crate::row::{Columns, Row};
use crate::stored::{Stored, Writable};
use crate::value::{Value, json};

impl Stored for PolicyChange {
    const TABLE: &'static str = "policy_changes";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("kind"),
        Plain("actor"),
        Plain("author"),
        Plain("revision"),
        Plain("path"),
        Plain("data_version"),
        Plain("rollout_id"),
        Plain("reason"),
        Plain("detail"),
        Plain("epoch"),
        Plain("created_at"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: PolicyChangeId(columns.uuid()?),
            kind: columns.parse()?,
            actor: columns.text()?,
            author: columns.text_optional()?,
            revision: columns.text_optional()?,
            path: columns.parse_optional()?,
            data_version: columns.count_optional()?,
            rollout_id: columns.uuid_optional()?.map(RolloutId),
            reason: columns.parse_optional()?,
            detail: columns.text_optional()?,
            epoch: columns.count_optional()?.map(Epoch),
            at: columns.time()?,
        })
    }
}

impl Writable for PolicyChange {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::text(self.kind.as_str()),
            Value::text(&self.actor),
            Value::text_optional(self.author.as_ref()),
            Value::text_optional(self.revision.as_ref()),
            self.path.as_ref().map(ToString::to_string).into(),
            Value::count(self.data_version),
            Value::uuid(self.rollout_id.map(|id| id.0)),
            Value::text_optional(self.reason.as_ref()),
            Value::text_optional(self.detail.as_ref()),
            Value::count(self.epoch.map(|epoch| epoch.0)),
            Value::time(self.at),
        ]);
        Ok(())
    }
}

/// A change of data, with what was put.
impl Stored for RecordedData {
    const TABLE: &'static str = PolicyChange::TABLE;
    const COLUMNS: &'static [Column] = PolicyChange::COLUMNS;
    const MORE_COLUMNS: &'static [Column] = &[Plain("value")];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self { change: PolicyChange::read(columns)?, value: columns.json_optional()? })
    }
}

impl Stored for ChangedData {
    const TABLE: &'static str = "policy_data";
    const COLUMNS: &'static [Column] = &[Plain("path"), Plain("value"), Plain("version")];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        let path = columns.parse()?;
        let value = columns.json_optional::<JsonValue>()?;
        let entry = value.map(|value| Arc::new(DataEntry::new(value)));
        Ok(Self { path, entry, version: columns.count()? })
    }
}

impl Stored for Rollout {
    const TABLE: &'static str = "policy_rollouts";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("revision"),
        Plain("digest"),
        Json("tenants"),
        Plain("percent"),
        Plain("state"),
        Plain("replaces"),
        Plain("actor"),
        Plain("created_at"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: RolloutId(columns.uuid()?),
            revision: columns.text()?,
            digest: columns.text()?,
            tenants: columns.json()?,
            percent: read_percent(columns)?,
            state: columns.parse()?,
            over: columns.text_optional()?,
            actor: columns.text()?,
            started_at: columns.time()?,
        })
    }
}

fn read_percent<R: Row>(columns: &mut Columns<R>) -> Result<Percent, StoreError> {
    let percent = u8::try_from(columns.small()?).map_err(|error| columns.wrong(error))?;
    Percent::try_from(percent).map_err(|error| columns.wrong(error))
}

impl Writable for Rollout {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::text(&self.revision),
            Value::text(&self.digest),
            json(&self.tenants)?.into(),
            Value::small(u32::from(self.percent.get())),
            Value::text(self.state.as_str()),
            Value::text_optional(self.over.as_ref()),
            Value::text(&self.actor),
            Value::time(self.started_at),
        ]);
        Ok(())
    }
}

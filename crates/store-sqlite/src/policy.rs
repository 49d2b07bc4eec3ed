//! What the store says of policy: the record of its changes, data that was put, rollouts.

use std::sync::Arc;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::control::ChangedData;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{PolicyChangeId, RolloutId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::policy_change::PolicyChange;
use sentinel_core::policy_data::{DataEntry, DataPath};
use sentinel_core::rollout::{Percent, Rollout, RolloutState};
use sentinel_core::store::{DataChange, PolicyFiles, RecordedData, RolloutStep};
use serde_json::Value;

use crate::error::Result;
use crate::listing::{Conditions, Order};
use crate::meta;
use crate::registry::json;
use crate::row::{Columns, Stored, all, one, select_with};

impl Stored for PolicyChange {
    const TABLE: &'static str = "policy_changes";
    const COLUMNS: &'static str = "id, kind, actor, author, revision, path, data_version, \
        rollout_id, reason, detail, epoch, created_at";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: PolicyChangeId(columns.uuid()?),
            kind: columns.parse()?,
            actor: columns.take()?,
            author: columns.take()?,
            revision: columns.take()?,
            path: columns.parse_optional()?,
            data_version: columns.count_optional()?,
            rollout_id: columns.uuid_optional()?.map(RolloutId),
            reason: columns.parse_optional()?,
            detail: columns.take()?,
            epoch: columns.count_optional()?.map(Epoch),
            at: columns.time()?,
        })
    }
}

impl Stored for RecordedData {
    const TABLE: &'static str = PolicyChange::TABLE;
    const COLUMNS: &'static str = "id, kind, actor, author, revision, path, data_version, \
        rollout_id, reason, detail, epoch, created_at, value";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self { change: PolicyChange::read(columns)?, value: columns.json_optional()? })
    }
}

impl Stored for ChangedData {
    const TABLE: &'static str = "policy_data";
    const COLUMNS: &'static str = "path, value, version";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        let path = columns.parse()?;
        let value = columns.json_optional::<Value>()?;
        let entry = value.map(|value| Arc::new(DataEntry::new(value)));
        Ok(Self { path, entry, version: columns.count()? })
    }
}

impl Stored for Rollout {
    const TABLE: &'static str = "policy_rollouts";
    const COLUMNS: &'static str =
        "id, revision, digest, tenants, percent, state, replaces, actor, created_at";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: RolloutId(columns.uuid()?),
            revision: columns.take()?,
            digest: columns.take()?,
            tenants: columns.json()?,
            percent: {
                let percent = columns.take::<u8>()?;
                Percent::try_from(percent).map_err(|error| columns.wrong(&error))?
            },
            state: columns.parse()?,
            over: columns.take()?,
            actor: columns.take()?,
            started_at: columns.time()?,
        })
    }
}

/// Data that changed after `since`; all there is when that is zero, and the last that changed, which
/// says the version.
pub(crate) fn changed_data(connection: &Connection, since: Epoch) -> Result<Vec<ChangedData>> {
    if since == Epoch::default() {
        let last = "value IS NOT NULL OR version = (SELECT max(version) FROM policy_data)";
        return all(connection, last, []);
    }
    all(connection, "epoch > ?1", [since.0.cast_signed()])
}

/// Rollouts that changed after `since`; those that are not over when that is zero.
pub(crate) fn changed_rollouts(connection: &Connection, since: Epoch) -> Result<Vec<Rollout>> {
    if since == Epoch::default() {
        return all(connection, "state <> 'dropped'", []);
    }
    all(connection, "epoch > ?1", [since.0.cast_signed()])
}

pub(crate) fn record(transaction: &Transaction<'_>, change: &PolicyChange) -> Result<bool> {
    let condition = "actor = ?1 ORDER BY sequence DESC";
    let latest = one::<PolicyChange>(transaction, condition, [&change.actor])?;
    let news = latest.is_none_or(|latest| !change.repeats(&latest));
    if news {
        insert(transaction, change, None)?;
    }
    Ok(news)
}

fn insert(
    transaction: &Transaction<'_>,
    change: &PolicyChange,
    value: Option<&Value>,
) -> Result<()> {
    let sql = "INSERT INTO policy_changes (id, kind, actor, author, revision, path, data_version,
        rollout_id, reason, detail, epoch, created_at, value)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    transaction.prepare_cached(sql)?.execute(params![
        change.id.0.as_bytes(),
        change.kind.as_str(),
        change.actor,
        change.author,
        change.revision,
        change.path.as_ref().map(ToString::to_string),
        change.data_version.map(u64::cast_signed),
        change.rollout_id.as_ref().map(|id| id.0.as_bytes()),
        change.reason.as_ref().map(AsRef::<str>::as_ref),
        change.detail,
        change.epoch.map(|epoch| epoch.0.cast_signed()),
        change.at.as_microsecond(),
        value.map(json).transpose()?,
    ])?;
    Ok(())
}

pub(crate) fn changes(connection: &Connection, page: &Page) -> Result<Paged<PolicyChange>> {
    Conditions::default().page(connection, page, Order::NewestFirst)
}

pub(crate) fn change_data(
    transaction: &Transaction<'_>,
    mut data: DataChange,
) -> Result<Option<Epoch>> {
    let sql = "SELECT ifnull(max(version), 0) FROM policy_data";
    let version: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
    if version.cast_unsigned() != data.base {
        return Ok(None);
    }
    let epoch = meta::advance(transaction)?;
    let version = data.base + 1;
    let sql = "INSERT INTO policy_data (path, value, version, epoch) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE
        SET value = excluded.value, version = excluded.version, epoch = excluded.epoch";
    for (path, entry) in &data.entries {
        let value = entry.as_ref().map(|entry| json(entry.value())).transpose()?;
        let (version, epoch) = (version.cast_signed(), epoch.0.cast_signed());
        transaction.prepare_cached(sql)?.execute(params![
            path.to_string(),
            value,
            version,
            epoch
        ])?;
    }
    data.change.data_version = Some(version);
    data.change.epoch = Some(epoch);
    insert(transaction, &data.change, data.value.as_ref())?;
    Ok(Some(epoch))
}

pub(crate) fn data_history(
    connection: &Connection,
    path: Option<&DataPath>,
    page: &Page,
) -> Result<Paged<RecordedData>> {
    let mut conditions = Conditions::default();
    conditions.fixed("data_version IS NOT NULL");
    if let Some(path) = path {
        let at: Vec<String> =
            path.above().chain([path.clone()]).map(|path| path.to_string()).collect();
        let below = format!("{path}/");
        let sql = "(path IN (SELECT value FROM json_each(?)) OR substr(path, 1, length(?)) = ?)";
        let below = Sql::Text(below);
        conditions.after(sql, [Sql::Text(json(&at)?), below.clone(), below]);
    }
    conditions.page(connection, page, Order::NewestFirst)
}

pub(crate) fn start_rollout(
    transaction: &Transaction<'_>,
    rollout: &Rollout,
    files: &PolicyFiles,
    mut change: PolicyChange,
) -> Result<Option<Epoch>> {
    if in_state(transaction, rollout.state)?.is_some() {
        return Ok(None);
    }
    let epoch = meta::advance(transaction)?;
    let sql = "INSERT INTO policy_rollouts (id, revision, digest, tenants, percent, state,
        replaces, actor, created_at, epoch, files)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    transaction.prepare_cached(sql)?.execute(params![
        rollout.id.0.as_bytes(),
        rollout.revision,
        rollout.digest,
        json(&rollout.tenants)?,
        rollout.percent.get(),
        rollout.state.as_str(),
        rollout.over,
        rollout.actor,
        rollout.started_at.as_microsecond(),
        epoch.0.cast_signed(),
        json(files)?,
    ])?;
    change.epoch = Some(epoch);
    insert(transaction, &change, None)?;
    Ok(Some(epoch))
}

pub(crate) fn move_rollout(
    transaction: &Transaction<'_>,
    step: &RolloutStep,
    mut change: PolicyChange,
) -> Result<Option<Epoch>> {
    if in_state(transaction, step.from)?.is_none_or(|rollout| rollout.id != step.id) {
        return Ok(None);
    }
    let epoch = meta::advance(transaction)?;
    let sql = "UPDATE policy_rollouts SET state = 'dropped', epoch = ?2
        WHERE state = ?1 AND state <> 'dropped'";
    transaction.execute(sql, params![step.to.as_str(), epoch.0.cast_signed()])?;
    let sql = "UPDATE policy_rollouts SET state = ?2, replaces = ifnull(?3, replaces), epoch = ?4
        WHERE id = ?1";
    let (id, epoch_column) = (step.id.0.as_bytes(), epoch.0.cast_signed());
    transaction.execute(sql, params![id, step.to.as_str(), step.over, epoch_column])?;
    change.epoch = Some(epoch);
    insert(transaction, &change, None)?;
    Ok(Some(epoch))
}

/// The one rollout in a state that is not that of being over.
fn in_state(connection: &Connection, state: RolloutState) -> Result<Option<Rollout>> {
    one(connection, "state = ?1 AND state <> 'dropped'", [state.as_str()])
}

pub(crate) fn rollout_files(connection: &Connection, id: RolloutId) -> Result<Option<PolicyFiles>> {
    let sql = "SELECT files FROM policy_rollouts WHERE id = ?1";
    let found = select_with(connection, sql, [id.0.as_bytes()], Rollout::TABLE, |row| row.json());
    Ok(found?.pop())
}

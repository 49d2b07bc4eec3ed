//! What the store says of policy: the record of its changes, data that was put, rollouts.

use async_trait::async_trait;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::control::ChangedData;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::RolloutId;
use sentinel_core::page::{Page, Paged};
use sentinel_core::policy_change::PolicyChange;
use sentinel_core::policy_data::DataPath;
use sentinel_core::ports::{DataChange, PolicyStore, RecordedData, RolloutStep, StoreError};
use sentinel_core::rollout::{PolicyFiles, Rollout, RolloutState};
use sentinel_store_rows::{Stored as _, Value, json};

use crate::epoch;
use crate::error::Result as Work;
use crate::listing::{Conditions, Order};
use crate::row::{self, all, one, select_with};
use crate::store::SqliteStore;

#[async_trait]
impl PolicyStore for SqliteStore {
    async fn record_policy_change(&self, change: PolicyChange) -> Result<bool, StoreError> {
        self.writer.run(move |write| record(write, &change)).await
    }

    async fn policy_changes(&self, page: Page) -> Result<Paged<PolicyChange>, StoreError> {
        self.readers.run(move |read| changes(read, &page)).await
    }

    async fn change_policy_data(&self, change: DataChange) -> Result<Option<Epoch>, StoreError> {
        self.writer.run(move |write| change_data(write, change)).await
    }

    async fn policy_data_history(
        &self,
        path: Option<DataPath>,
        page: Page,
    ) -> Result<Paged<RecordedData>, StoreError> {
        self.readers.run(move |read| data_history(read, path.as_ref(), &page)).await
    }

    async fn start_rollout(
        &self,
        rollout: Rollout,
        files: PolicyFiles,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError> {
        self.writer.run(move |write| start_rollout(write, &rollout, &files, change)).await
    }

    async fn move_rollout(
        &self,
        step: RolloutStep,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError> {
        self.writer.run(move |write| move_rollout(write, &step, change)).await
    }

    async fn rollout_files(&self, id: RolloutId) -> Result<Option<PolicyFiles>, StoreError> {
        self.readers.run(move |read| rollout_files(read, id)).await
    }
}

/// Data that changed after `since`; all there is when that is zero, and the last that changed,
/// which says the version.
pub(crate) fn changed_data(connection: &Connection, since: Epoch) -> Work<Vec<ChangedData>> {
    if since == Epoch::default() {
        let last = "value IS NOT NULL OR version = (SELECT max(version) FROM policy_data)";
        return all(connection, last, []);
    }
    all(connection, "epoch > ?1", [since.0.cast_signed()])
}

/// Rollouts that changed after `since`; those that are not over when that is zero.
pub(crate) fn changed_rollouts(connection: &Connection, since: Epoch) -> Work<Vec<Rollout>> {
    if since == Epoch::default() {
        return all(connection, "state <> 'dropped'", []);
    }
    all(connection, "epoch > ?1", [since.0.cast_signed()])
}

fn record(transaction: &Transaction<'_>, change: &PolicyChange) -> Work<bool> {
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
    value: Option<&serde_json::Value>,
) -> Work<()> {
    let value = value.map(json).transpose()?;
    row::insert(transaction, change, &[("value", value.into())])
}

fn changes(connection: &Connection, page: &Page) -> Work<Paged<PolicyChange>> {
    Conditions::default().page(connection, page, Order::NewestFirst)
}

fn change_data(transaction: &Transaction<'_>, mut data: DataChange) -> Work<Option<Epoch>> {
    let sql = "SELECT ifnull(max(version), 0) FROM policy_data";
    let version: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
    if version.cast_unsigned() != data.base {
        return Ok(None);
    }
    let epoch = epoch::advance(transaction)?;
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

fn data_history(
    connection: &Connection,
    path: Option<&DataPath>,
    page: &Page,
) -> Work<Paged<RecordedData>> {
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

fn start_rollout(
    transaction: &Transaction<'_>,
    rollout: &Rollout,
    files: &PolicyFiles,
    mut change: PolicyChange,
) -> Work<Option<Epoch>> {
    if in_state(transaction, rollout.state)?.is_some() {
        return Ok(None);
    }
    let epoch = epoch::advance(transaction)?;
    let more = [("epoch", Value::count(epoch.0)), ("files", json(files)?.into())];
    row::insert(transaction, rollout, &more)?;
    change.epoch = Some(epoch);
    insert(transaction, &change, None)?;
    Ok(Some(epoch))
}

fn move_rollout(
    transaction: &Transaction<'_>,
    step: &RolloutStep,
    mut change: PolicyChange,
) -> Work<Option<Epoch>> {
    if in_state(transaction, step.from)?.is_none_or(|rollout| rollout.id != step.id) {
        return Ok(None);
    }
    let epoch = epoch::advance(transaction)?;
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
fn in_state(connection: &Connection, state: RolloutState) -> Work<Option<Rollout>> {
    one(connection, "state = ?1 AND state <> 'dropped'", [state.as_str()])
}

fn rollout_files(connection: &Connection, id: RolloutId) -> Work<Option<PolicyFiles>> {
    let sql = "SELECT files FROM policy_rollouts WHERE id = ?1";
    let found =
        select_with(connection, sql, [id.0.as_bytes()], Rollout::TABLE, |row| Ok(row.json()?));
    Ok(found?.pop())
}

//! What the store says of policy: the record of its changes, data that was put, rollouts.

use std::sync::Arc;

use sentinel_core::control::ChangedData;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{PolicyChangeId, RolloutId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::policy_change::PolicyChange;
use sentinel_core::policy_data::{DataEntry, DataPath};
use sentinel_core::rollout::{Percent, Rollout, RolloutState};
use sentinel_core::store::{DataChange, PolicyFiles, RecordedData, RolloutStep, StoreError};
use serde_json::Value;
use sqlx::{PgConnection, PgPool, query, query_scalar};

use crate::error::Result;
use crate::listing::{Listing, Order};
use crate::meta;
use crate::registry::json;
use crate::row::{Columns, Stored, all, one};
use crate::time::Time;
use crate::transaction::{Begin, Transaction};

impl Stored for PolicyChange {
    const TABLE: &'static str = "policy_changes";
    const COLUMNS: &'static str = "id, kind, actor, author, revision, path, data_version, \
        rollout_id, reason, detail, epoch, created_at";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
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

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self { change: PolicyChange::read(columns)?, value: columns.json_optional()? })
    }
}

impl Stored for ChangedData {
    const TABLE: &'static str = "policy_data";
    const COLUMNS: &'static str = "path, value, version";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        let path = columns.parse()?;
        let value = columns.json_optional::<Value>()?;
        let entry = value.map(|value| Arc::new(DataEntry::new(value)));
        Ok(Self { path, entry, version: columns.count()? })
    }
}

impl Stored for Rollout {
    const TABLE: &'static str = "policy_rollouts";
    const COLUMNS: &'static str =
        "id, revision, digest, tenants::text, percent, state, replaces, actor, created_at";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: RolloutId(columns.uuid()?),
            revision: columns.take()?,
            digest: columns.take()?,
            tenants: columns.json()?,
            percent: {
                let percent = columns.take::<i16>()?;
                let percent = u8::try_from(percent).map_err(|error| columns.wrong(&error))?;
                Percent::try_from(percent).map_err(|error| columns.wrong(&error))?
            },
            state: columns.parse()?,
            over: columns.take()?,
            actor: columns.take()?,
            started_at: columns.time()?,
        })
    }
}

/// What changed in policy after an epoch.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) data: Vec<ChangedData>,
    pub(crate) rollouts: Vec<Rollout>,
}

/// What changed after `since`; all that there is when that is zero, and the datum that changed last,
/// which says the version. One round trip when nothing did.
pub(crate) async fn changed(connection: &mut PgConnection, since: Epoch) -> Result<Changed> {
    if since == Epoch::default() {
        let last = "WHERE value IS NOT NULL OR version = (SELECT max(version) FROM policy_data)";
        return Ok(Changed {
            data: all(connection, last, |query| query).await?,
            rollouts: all(connection, "WHERE state <> 'dropped'", |query| query).await?,
        });
    }
    let sql = "SELECT EXISTS (SELECT FROM policy_data WHERE epoch > $1)
        OR EXISTS (SELECT FROM policy_rollouts WHERE epoch > $1)";
    let since = since.0.cast_signed();
    if !query_scalar::<_, bool>(sql).bind(since).fetch_one(&mut *connection).await? {
        return Ok(Changed::default());
    }
    Ok(Changed {
        data: all(connection, "WHERE epoch > $1", |query| query.bind(since)).await?,
        rollouts: all(connection, "WHERE epoch > $1", |query| query.bind(since)).await?,
    })
}

pub(crate) async fn record(pool: &PgPool, change: &PolicyChange) -> Result<bool> {
    let mut transaction =
        Transaction::begin(pool, "record_policy_change", Begin::Exclusive).await?;
    let recorded = record_news(&mut transaction, change).await;
    transaction.end(recorded).await
}

async fn record_news(connection: &mut PgConnection, change: &PolicyChange) -> Result<bool> {
    let condition = "WHERE actor = $1 ORDER BY sequence DESC LIMIT 1";
    let actor = change.actor.clone();
    let latest = one::<PolicyChange>(connection, condition, |query| query.bind(actor)).await?;
    let news = latest.is_none_or(|latest| !change.repeats(&latest));
    if news {
        insert(connection, change, None).await?;
    }
    Ok(news)
}

async fn insert(
    connection: &mut PgConnection,
    change: &PolicyChange,
    value: Option<&Value>,
) -> Result<()> {
    let sql = "INSERT INTO policy_changes (id, kind, actor, author, revision, path, data_version,
        rollout_id, reason, detail, epoch, created_at, value)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    query(sql)
        .bind(change.id.0)
        .bind(change.kind.as_str())
        .bind(&change.actor)
        .bind(&change.author)
        .bind(&change.revision)
        .bind(change.path.as_ref().map(ToString::to_string))
        .bind(change.data_version.map(u64::cast_signed))
        .bind(change.rollout_id.map(|id| id.0))
        .bind(change.reason.as_ref().map(AsRef::<str>::as_ref))
        .bind(&change.detail)
        .bind(change.epoch.map(|epoch| epoch.0.cast_signed()))
        .bind(Time(change.at))
        .bind(value.map(json).transpose()?)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn changes(pool: &PgPool, page: &Page) -> Result<Paged<PolicyChange>> {
    Listing::of::<PolicyChange>("sequence::text").page(pool, page, Order::NewestFirst).await
}

pub(crate) async fn change_data(pool: &PgPool, change: DataChange) -> Result<Option<Epoch>> {
    let mut transaction = Transaction::begin(pool, "change_policy_data", Begin::Exclusive).await?;
    let changed = put_data(&mut transaction, change).await;
    transaction.end(changed).await
}

async fn put_data(connection: &mut PgConnection, mut data: DataChange) -> Result<Option<Epoch>> {
    let sql = "SELECT coalesce(max(version), 0) FROM policy_data";
    let version: i64 = query_scalar(sql).fetch_one(&mut *connection).await?;
    if version.cast_unsigned() != data.base {
        return Ok(None);
    }
    let epoch = meta::advance(connection).await?;
    let version = data.base + 1;
    let (mut paths, mut values) = (Vec::new(), Vec::new());
    for (path, entry) in &data.entries {
        paths.push(path.to_string());
        values.push(entry.as_ref().map(|entry| json(entry.value())).transpose()?);
    }
    let sql = "INSERT INTO policy_data (path, value, version, epoch)
        SELECT path, value, $3, $4 FROM UNNEST($1::text[], $2::text[]) AS r (path, value)
        ON CONFLICT (path) DO UPDATE
        SET value = excluded.value, version = excluded.version, epoch = excluded.epoch";
    query(sql)
        .bind(paths)
        .bind(values)
        .bind(version.cast_signed())
        .bind(epoch.0.cast_signed())
        .execute(&mut *connection)
        .await?;
    data.change.data_version = Some(version);
    data.change.epoch = Some(epoch);
    insert(connection, &data.change, data.value.as_ref()).await?;
    Ok(Some(epoch))
}

pub(crate) async fn data_history(
    pool: &PgPool,
    path: Option<&DataPath>,
    page: &Page,
) -> Result<Paged<RecordedData>> {
    let mut listing = Listing::of::<RecordedData>("sequence::text");
    listing.fixed("data_version IS NOT NULL");
    if let Some(path) = path {
        let at: Vec<String> =
            path.above().chain([path.clone()]).map(|path| path.to_string()).collect();
        listing
            .bound("(path = ANY (", at)
            .and(") OR starts_with(path, ", format!("{path}/"))
            .push("))");
    }
    listing.page(pool, page, Order::NewestFirst).await
}

pub(crate) async fn start_rollout(
    pool: &PgPool,
    rollout: &Rollout,
    files: &PolicyFiles,
    change: PolicyChange,
) -> Result<Option<Epoch>> {
    let mut transaction = Transaction::begin(pool, "start_rollout", Begin::Exclusive).await?;
    let started = start(&mut transaction, rollout, files, change).await;
    transaction.end(started).await
}

async fn start(
    connection: &mut PgConnection,
    rollout: &Rollout,
    files: &PolicyFiles,
    mut change: PolicyChange,
) -> Result<Option<Epoch>> {
    if in_state(connection, rollout.state).await?.is_some() {
        return Ok(None);
    }
    let epoch = meta::advance(connection).await?;
    let sql = "INSERT INTO policy_rollouts (id, revision, digest, tenants, percent, state,
        replaces, actor, created_at, epoch, files)
        VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10, $11)";
    query(sql)
        .bind(rollout.id.0)
        .bind(&rollout.revision)
        .bind(&rollout.digest)
        .bind(json(&rollout.tenants)?)
        .bind(i16::from(rollout.percent.get()))
        .bind(rollout.state.as_str())
        .bind(&rollout.over)
        .bind(&rollout.actor)
        .bind(Time(rollout.started_at))
        .bind(epoch.0.cast_signed())
        .bind(json(files)?)
        .execute(&mut *connection)
        .await?;
    change.epoch = Some(epoch);
    insert(connection, &change, None).await?;
    Ok(Some(epoch))
}

pub(crate) async fn move_rollout(
    pool: &PgPool,
    step: &RolloutStep,
    change: PolicyChange,
) -> Result<Option<Epoch>> {
    let mut transaction = Transaction::begin(pool, "move_rollout", Begin::Exclusive).await?;
    let moved = move_on(&mut transaction, step, change).await;
    transaction.end(moved).await
}

async fn move_on(
    connection: &mut PgConnection,
    step: &RolloutStep,
    mut change: PolicyChange,
) -> Result<Option<Epoch>> {
    if in_state(connection, step.from).await?.is_none_or(|rollout| rollout.id != step.id) {
        return Ok(None);
    }
    let epoch = meta::advance(connection).await?;
    let sql = "UPDATE policy_rollouts SET state = 'dropped', epoch = $2
        WHERE state = $1 AND state <> 'dropped'";
    query(sql).bind(step.to.as_str()).bind(epoch.0.cast_signed()).execute(&mut *connection).await?;
    let sql = "UPDATE policy_rollouts SET state = $2, replaces = coalesce($3, replaces), epoch = $4
        WHERE id = $1";
    query(sql)
        .bind(step.id.0)
        .bind(step.to.as_str())
        .bind(&step.over)
        .bind(epoch.0.cast_signed())
        .execute(&mut *connection)
        .await?;
    change.epoch = Some(epoch);
    insert(connection, &change, None).await?;
    Ok(Some(epoch))
}

/// The one rollout in a state that is not that of being over.
async fn in_state(connection: &mut PgConnection, state: RolloutState) -> Result<Option<Rollout>> {
    let condition = "WHERE state = $1 AND state <> 'dropped'";
    one(connection, condition, |query| query.bind(state.as_str())).await
}

pub(crate) async fn rollout_files(
    connection: &mut PgConnection,
    id: RolloutId,
) -> Result<Option<PolicyFiles>> {
    let sql = "SELECT files FROM policy_rollouts WHERE id = $1";
    let files: Option<String> = query_scalar(sql).bind(id.0).fetch_optional(connection).await?;
    let parsed = files.map(|files| serde_json::from_str(&files)).transpose();
    parsed.map_err(|error| StoreError::Corrupt(format!("files of a rollout: {error}")).into())
}

//! What the store keeps of policy: the record of its changes, data that was put, rollouts.

use async_trait::async_trait;
use sentinel_core::control::ChangedData;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::RolloutId;
use sentinel_core::page::{Page, Paged};
use sentinel_core::policy_change::PolicyChange;
use sentinel_core::policy_data::DataPath;
use sentinel_core::ports::{DataChange, PolicyStore, RecordedData, RolloutStep, StoreError};
use sentinel_core::rollout::{PolicyFiles, Rollout, RolloutState};
use sentinel_store_rows::{Value, json};
use sqlx::{PgConnection, PgPool, query, query_scalar};

use crate::epoch;
use crate::error::Result as Work;
use crate::listing::{Listing, Order};
use crate::row::{self, all, one};
use crate::store::PostgresStore;
use crate::transaction::{Begin, Transaction};

#[async_trait]
impl PolicyStore for PostgresStore {
    async fn record_policy_change(&self, change: PolicyChange) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { record(&pool, &change).await }).await
    }

    async fn policy_changes(&self, page: Page) -> Result<Paged<PolicyChange>, StoreError> {
        self.read(changes(&self.listings, &page)).await
    }

    async fn change_policy_data(&self, change: DataChange) -> Result<Option<Epoch>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { change_data(&pool, change).await }).await
    }

    async fn policy_data_history(
        &self,
        path: Option<DataPath>,
        page: Page,
    ) -> Result<Paged<RecordedData>, StoreError> {
        self.read(data_history(&self.listings, path.as_ref(), &page)).await
    }

    async fn start_rollout(
        &self,
        rollout: Rollout,
        files: PolicyFiles,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { start_rollout(&pool, &rollout, &files, change).await }).await
    }

    async fn move_rollout(
        &self,
        step: RolloutStep,
        change: PolicyChange,
    ) -> Result<Option<Epoch>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { move_rollout(&pool, &step, change).await }).await
    }

    async fn rollout_files(&self, id: RolloutId) -> Result<Option<PolicyFiles>, StoreError> {
        self.read(async { rollout_files(&mut *self.pool.acquire().await?, id).await }).await
    }
}

/// What changed in policy after an epoch.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) data: Vec<ChangedData>,
    pub(crate) rollouts: Vec<Rollout>,
}

/// What changed after `since`; all that there is when that is zero, and the datum that changed
/// last, which says the version. One round trip when nothing did.
pub(crate) async fn changed(connection: &mut PgConnection, since: Epoch) -> Work<Changed> {
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

async fn record(pool: &PgPool, change: &PolicyChange) -> Work<bool> {
    let mut transaction =
        Transaction::begin(pool, "record_policy_change", Begin::Exclusive).await?;
    let recorded = record_news(&mut transaction, change).await;
    transaction.end(recorded).await
}

async fn record_news(connection: &mut PgConnection, change: &PolicyChange) -> Work<bool> {
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
    value: Option<&serde_json::Value>,
) -> Work<()> {
    let value = value.map(json).transpose()?;
    row::insert(connection, change, &[("value", value.into())]).await
}

async fn changes(pool: &PgPool, page: &Page) -> Work<Paged<PolicyChange>> {
    Listing::of::<PolicyChange>("sequence::text").page(pool, page, Order::NewestFirst).await
}

async fn change_data(pool: &PgPool, change: DataChange) -> Work<Option<Epoch>> {
    let mut transaction = Transaction::begin(pool, "change_policy_data", Begin::Exclusive).await?;
    let changed = put_data(&mut transaction, change).await;
    transaction.end(changed).await
}

async fn put_data(connection: &mut PgConnection, mut data: DataChange) -> Work<Option<Epoch>> {
    let sql = "SELECT coalesce(max(version), 0) FROM policy_data";
    let version: i64 = query_scalar(sql).fetch_one(&mut *connection).await?;
    if version.cast_unsigned() != data.base {
        return Ok(None);
    }
    let epoch = epoch::advance(connection).await?;
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

async fn data_history(
    pool: &PgPool,
    path: Option<&DataPath>,
    page: &Page,
) -> Work<Paged<RecordedData>> {
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

async fn start_rollout(
    pool: &PgPool,
    rollout: &Rollout,
    files: &PolicyFiles,
    change: PolicyChange,
) -> Work<Option<Epoch>> {
    let mut transaction = Transaction::begin(pool, "start_rollout", Begin::Exclusive).await?;
    let started = start(&mut transaction, rollout, files, change).await;
    transaction.end(started).await
}

async fn start(
    connection: &mut PgConnection,
    rollout: &Rollout,
    files: &PolicyFiles,
    mut change: PolicyChange,
) -> Work<Option<Epoch>> {
    if in_state(connection, rollout.state).await?.is_some() {
        return Ok(None);
    }
    let epoch = epoch::advance(connection).await?;
    let more = [("epoch", Value::count(epoch.0)), ("files", json(files)?.into())];
    row::insert(connection, rollout, &more).await?;
    change.epoch = Some(epoch);
    insert(connection, &change, None).await?;
    Ok(Some(epoch))
}

async fn move_rollout(
    pool: &PgPool,
    step: &RolloutStep,
    change: PolicyChange,
) -> Work<Option<Epoch>> {
    let mut transaction = Transaction::begin(pool, "move_rollout", Begin::Exclusive).await?;
    let moved = move_on(&mut transaction, step, change).await;
    transaction.end(moved).await
}

async fn move_on(
    connection: &mut PgConnection,
    step: &RolloutStep,
    mut change: PolicyChange,
) -> Work<Option<Epoch>> {
    if in_state(connection, step.from).await?.is_none_or(|rollout| rollout.id != step.id) {
        return Ok(None);
    }
    let epoch = epoch::advance(connection).await?;
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
async fn in_state(connection: &mut PgConnection, state: RolloutState) -> Work<Option<Rollout>> {
    let condition = "WHERE state = $1 AND state <> 'dropped'";
    one(connection, condition, |query| query.bind(state.as_str())).await
}

async fn rollout_files(connection: &mut PgConnection, id: RolloutId) -> Work<Option<PolicyFiles>> {
    let sql = "SELECT files FROM policy_rollouts WHERE id = $1";
    let files: Option<String> = query_scalar(sql).bind(id.0).fetch_optional(connection).await?;
    let parsed = files.map(|files| serde_json::from_str(&files)).transpose();
    parsed.map_err(|error| StoreError::Corrupt(format!("files of a rollout: {error}")).into())
}

//! Appending to the log: leaves get their places in the transaction that stores what they are
//! about. It holds the row of the counter until it commits, so places are dense.

use async_trait::async_trait;
use sentinel_core::log::{LogPlace, LogStatement, NewStatement, StatementKind};
use sentinel_core::manifest::Manifest;
use sentinel_core::ports::{StatementStore, StoreError};
use sqlx::{PgConnection, PgPool, query, query_as};
use uuid::Uuid;

use crate::error::Result as Work;
use crate::row::{self, all};
use crate::store::PostgresStore;
use crate::transaction::{Begin, Transaction};

#[async_trait]
impl StatementStore for PostgresStore {
    async fn append_statements(
        &self,
        statements: Vec<NewStatement>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { append(&pool, &statements).await }).await
    }

    async fn statements(&self, kind: StatementKind) -> Result<Vec<LogStatement>, StoreError> {
        self.read(statements(&self.pool, kind)).await
    }

    async fn unlogged_manifests(&self, limit: u32) -> Result<Vec<Manifest>, StoreError> {
        self.read(unlogged(&self.pool, limit)).await
    }

    async fn log_manifests(&self, manifests: Vec<(Uuid, Vec<u8>)>) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { adopt(&pool, &manifests).await }).await
    }
}

/// Where the next leaf goes.
struct Counter {
    shard: u32,
    next: u64,
}

/// The counter of the open shard, held until the transaction ends.
async fn lock_counter(connection: &mut PgConnection) -> Work<Option<Counter>> {
    let sql = "SELECT shard, next_index FROM log_counters WHERE is_open FOR UPDATE";
    let row: Option<(i32, i64)> = query_as(sql).fetch_optional(connection).await?;
    Ok(row
        .map(|(shard, next)| Counter { shard: shard.cast_unsigned(), next: next.cast_unsigned() }))
}

/// Keeps every other transaction from appending until the transaction ends.
pub(crate) async fn hold(connection: &mut PgConnection) -> Work<()> {
    Ok(lock_counter(connection).await?.map(drop).ok_or(StoreError::NoOpenShard)?)
}

/// Appends leaves to the open shard, in order; returns their places.
async fn append_leaves(connection: &mut PgConnection, leaves: &[&[u8]]) -> Work<Vec<LogPlace>> {
    let Counter { shard, next } = lock_counter(connection).await?.ok_or(StoreError::NoOpenShard)?;
    let after = next + leaves.len() as u64;
    let sql = "WITH moved AS (UPDATE log_counters SET next_index = $3 WHERE shard = $1)
        INSERT INTO log_entries (shard, log_index, leaf)
        SELECT $1, $2 + position - 1, leaf
        FROM UNNEST($4::bytea[]) WITH ORDINALITY AS new (leaf, position)";
    query(sql)
        .bind(shard.cast_signed())
        .bind(next.cast_signed())
        .bind(after.cast_signed())
        .bind(leaves)
        .execute(connection)
        .await?;
    Ok((next..after).map(|index| LogPlace { shard, index }).collect())
}

async fn append(pool: &PgPool, statements: &[NewStatement]) -> Work<Vec<LogPlace>> {
    let mut transaction = Transaction::begin(pool, "append_statements", Begin::Rows).await?;
    let appended = append_statements(&mut transaction, statements).await;
    transaction.end(appended).await
}

/// Stores and appends statements; those that are stored already are left as they are.
pub(crate) async fn append_statements(
    connection: &mut PgConnection,
    statements: &[NewStatement],
) -> Work<Vec<LogPlace>> {
    // Before the look at what is there, so that two who append the same one see each other.
    hold(connection).await?;
    let mut places = Vec::with_capacity(statements.len());
    for NewStatement { statement, leaf } in statements {
        if let Some(place) = place_of(connection, statement.id.0).await? {
            places.push(place);
            continue;
        }
        for place in append_leaves(connection, &[leaf]).await? {
            let statement = LogStatement { place: Some(place), ..statement.clone() };
            row::insert(connection, &statement, &[]).await?;
            places.push(place);
        }
    }
    Ok(places)
}

async fn place_of(connection: &mut PgConnection, id: Uuid) -> Work<Option<LogPlace>> {
    let sql = "SELECT log_shard, log_index FROM log_statements WHERE id = $1";
    let row: Option<(i32, i64)> = query_as(sql).bind(id).fetch_optional(connection).await?;
    Ok(row.map(|(shard, index)| LogPlace {
        shard: shard.cast_unsigned(),
        index: index.cast_unsigned(),
    }))
}

/// Manifests of versions without a log.
async fn unlogged(pool: &PgPool, limit: u32) -> Work<Vec<Manifest>> {
    let condition = "WHERE log_index IS NULL ORDER BY sequence LIMIT $1";
    let mut connection = pool.acquire().await?;
    all(&mut connection, condition, |query| query.bind(i64::from(limit))).await
}

/// Gives such manifests places.
async fn adopt(pool: &PgPool, manifests: &[(Uuid, Vec<u8>)]) -> Work<()> {
    let mut transaction = Transaction::begin(pool, "log_manifests", Begin::Rows).await?;
    let adopted = adopt_in(&mut transaction, manifests).await;
    transaction.end(adopted).await
}

async fn adopt_in(connection: &mut PgConnection, manifests: &[(Uuid, Vec<u8>)]) -> Work<()> {
    hold(connection).await?;
    for (id, leaf) in manifests {
        let sql = "SELECT id FROM manifests WHERE id = $1 AND log_index IS NULL";
        let unlogged = query(sql).bind(id).fetch_optional(&mut *connection).await?;
        if unlogged.is_none() {
            continue;
        }
        for place in append_leaves(connection, &[leaf]).await? {
            let sql = "UPDATE manifests SET log_shard = $2, log_index = $3 WHERE id = $1";
            query(sql)
                .bind(id)
                .bind(place.shard.cast_signed())
                .bind(place.index.cast_signed())
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

async fn statements(pool: &PgPool, kind: StatementKind) -> Work<Vec<LogStatement>> {
    let condition = "WHERE kind = $1 ORDER BY sequence";
    all(&mut *pool.acquire().await?, condition, |query| query.bind(kind.as_str())).await
}

//! How far the log was sent on, and what other services returned about its leaves.

use async_trait::async_trait;
use sentinel_core::log::{LogPlace, LogReceipt};
use sentinel_core::ports::{ReceiptStore, StoreError};
use sqlx::{PgPool, query, query_scalar};

use crate::error::Result as Work;
use crate::row::{Query, all};
use crate::store::PostgresStore;

#[async_trait]
impl ReceiptStore for PostgresStore {
    async fn log_cursor(&self, destination: &str, shard: u32) -> Result<u64, StoreError> {
        self.read(cursor(&self.pool, destination, shard)).await
    }

    async fn move_log_cursor(
        &self,
        destination: &str,
        shard: u32,
        to: u64,
        receipts: Vec<LogReceipt>,
    ) -> Result<(), StoreError> {
        let (pool, destination) = (self.pool.clone(), destination.to_owned());
        self.to_end(async move { move_cursor(&pool, &destination, shard, to, &receipts).await })
            .await
    }

    async fn receipts(&self, place: LogPlace) -> Result<Vec<LogReceipt>, StoreError> {
        self.read(receipts(&self.pool, place)).await
    }
}

async fn cursor(pool: &PgPool, destination: &str, shard: u32) -> Work<u64> {
    let sql = "SELECT position FROM log_cursors WHERE destination = $1 AND shard = $2";
    let position: Option<i64> =
        query_scalar(sql).bind(destination).bind(shard.cast_signed()).fetch_optional(pool).await?;
    Ok(position.map_or(0, i64::cast_unsigned))
}

/// One statement, hence all or none.
async fn move_cursor(
    pool: &PgPool,
    destination: &str,
    shard: u32,
    to: u64,
    receipts: &[LogReceipt],
) -> Work<()> {
    let sql = "WITH kept AS (
            INSERT INTO log_receipts (shard, log_index, kind, content)
            SELECT * FROM UNNEST($4::int[], $5::bigint[], $6::text[], $7::bytea[])
            ON CONFLICT DO NOTHING
        )
        INSERT INTO log_cursors AS cursor VALUES ($1, $2, $3)
        ON CONFLICT (destination, shard)
            DO UPDATE SET position = greatest(cursor.position, excluded.position)";
    let shards: Vec<_> = receipts.iter().map(|one| one.place.shard.cast_signed()).collect();
    let indexes: Vec<_> = receipts.iter().map(|one| one.place.index.cast_signed()).collect();
    let kinds: Vec<_> = receipts.iter().map(|one| one.kind.as_str()).collect();
    let contents: Vec<_> = receipts.iter().map(|one| one.content.as_slice()).collect();
    query(sql)
        .bind(destination)
        .bind(shard.cast_signed())
        .bind(to.cast_signed())
        .bind(shards)
        .bind(indexes)
        .bind(kinds)
        .bind(contents)
        .execute(pool)
        .await?;
    Ok(())
}

async fn receipts(pool: &PgPool, place: LogPlace) -> Work<Vec<LogReceipt>> {
    let condition = "WHERE shard = $1 AND log_index = $2 ORDER BY kind";
    let bind = |query: Query| query.bind(place.shard.cast_signed()).bind(place.index.cast_signed());
    all(&mut *pool.acquire().await?, condition, bind).await
}

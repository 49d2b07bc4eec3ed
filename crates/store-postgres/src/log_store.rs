//! The port of the log, on the pool.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::log::{
    Advance, LogHead, LogPlace, LogReceipt, LogShard, LogStatement, LogStore, NewShard,
    NewStatement, StatementKind,
};
use sentinel_core::manifest::Manifest;
use sentinel_core::store::StoreError;
use uuid::Uuid;

use crate::{PostgresStore, log, log_append};

#[async_trait]
impl LogStore for PostgresStore {
    async fn log_shards(&self) -> Result<Vec<LogShard>, StoreError> {
        self.read(log::shards(&self.pool)).await
    }

    async fn seal_shard(&self, ordinal: u32) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { log::seal_shard(&pool, ordinal).await }).await
    }

    async fn start_shard(&self, shard: NewShard) -> Result<Option<LogShard>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { log::start_shard(&pool, shard).await }).await
    }

    async fn lead(&self, holder: Uuid, ttl: Duration) -> Result<Option<u64>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { log::lead(&pool, holder, ttl).await }).await
    }

    async fn resign(&self, holder: Uuid) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { log::resign(&pool, holder).await }).await
    }

    async fn log_head(&self, shard: u32) -> Result<Option<LogHead>, StoreError> {
        self.read(async { log::head(&mut *self.pool.acquire().await?, shard).await }).await
    }

    async fn leaves(&self, shard: u32, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(log::leaves(&self.pool, shard, from, limit)).await
    }

    async fn tiles(
        &self,
        shard: u32,
        tiles: Vec<(u8, u64)>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.read(log::tiles(&self.pool, shard, &tiles)).await
    }

    async fn advance(&self, step: Advance) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { log::advance(&pool, &step).await }).await
    }

    async fn keep_witnessed(
        &self,
        shard: u32,
        size: u64,
        checkpoint: String,
    ) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { log::keep_witnessed(&pool, shard, size, &checkpoint).await }).await
    }

    async fn log_cursor(&self, destination: &str, shard: u32) -> Result<u64, StoreError> {
        self.read(log::cursor(&self.pool, destination, shard)).await
    }

    async fn move_log_cursor(
        &self,
        destination: &str,
        shard: u32,
        to: u64,
        receipts: Vec<LogReceipt>,
    ) -> Result<(), StoreError> {
        let (pool, destination) = (self.pool.clone(), destination.to_owned());
        self.to_end(
            async move { log::move_cursor(&pool, &destination, shard, to, &receipts).await },
        )
        .await
    }

    async fn receipts(&self, place: LogPlace) -> Result<Vec<LogReceipt>, StoreError> {
        self.read(log::receipts(&self.pool, place)).await
    }

    async fn append_statements(
        &self,
        statements: Vec<NewStatement>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { log_append::statements(&pool, &statements).await }).await
    }

    async fn statements(&self, kind: StatementKind) -> Result<Vec<LogStatement>, StoreError> {
        self.read(log::statements(&self.pool, kind)).await
    }

    async fn unlogged_manifests(&self, limit: u32) -> Result<Vec<Manifest>, StoreError> {
        self.read(log_append::unlogged(&self.pool, limit)).await
    }

    async fn log_manifests(&self, manifests: Vec<(Uuid, Vec<u8>)>) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { log_append::adopt(&pool, &manifests).await }).await
    }
}

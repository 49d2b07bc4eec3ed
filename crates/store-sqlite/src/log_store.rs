//! The port of the log, on the writer and the readers.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::log::{
    Advance, LogHead, LogPlace, LogReceipt, LogShard, LogStatement, LogStore, NewShard,
    NewStatement, StatementKind,
};
use sentinel_core::manifest::Manifest;
use sentinel_core::store::StoreError;
use uuid::Uuid;

use crate::{SqliteStore, log, log_append};

#[async_trait]
impl LogStore for SqliteStore {
    async fn log_shards(&self) -> Result<Vec<LogShard>, StoreError> {
        self.readers.run(|read| log::shards(read)).await
    }

    async fn seal_shard(&self, ordinal: u32) -> Result<(), StoreError> {
        self.writer.run(move |write| log::seal_shard(write, ordinal)).await
    }

    async fn start_shard(&self, shard: NewShard) -> Result<Option<LogShard>, StoreError> {
        self.writer.run(move |write| log::start_shard(write, shard)).await
    }

    async fn lead(&self, holder: Uuid, ttl: Duration) -> Result<Option<u64>, StoreError> {
        self.writer.run(move |write| log::lead(write, holder, ttl)).await
    }

    async fn resign(&self, holder: Uuid) -> Result<(), StoreError> {
        self.writer.run(move |write| log::resign(write, holder)).await
    }

    async fn log_head(&self, shard: u32) -> Result<Option<LogHead>, StoreError> {
        self.readers.run(move |read| log::head(read, shard)).await
    }

    async fn leaves(&self, shard: u32, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        self.readers.run(move |read| log::leaves(read, shard, from, limit)).await
    }

    async fn tiles(
        &self,
        shard: u32,
        tiles: Vec<(u8, u64)>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.readers.run(move |read| log::tiles(read, shard, &tiles)).await
    }

    async fn advance(&self, step: Advance) -> Result<bool, StoreError> {
        self.writer.run(move |write| log::advance(write, &step)).await
    }

    async fn keep_witnessed(
        &self,
        shard: u32,
        size: u64,
        checkpoint: String,
    ) -> Result<(), StoreError> {
        self.writer.run(move |write| log::keep_witnessed(write, shard, size, &checkpoint)).await
    }

    async fn log_cursor(&self, destination: &str, shard: u32) -> Result<u64, StoreError> {
        let destination = destination.to_owned();
        self.readers.run(move |read| log::cursor(read, &destination, shard)).await
    }

    async fn move_log_cursor(
        &self,
        destination: &str,
        shard: u32,
        to: u64,
        receipts: Vec<LogReceipt>,
    ) -> Result<(), StoreError> {
        let destination = destination.to_owned();
        self.writer
            .run(move |write| log::move_cursor(write, &destination, shard, to, &receipts))
            .await
    }

    async fn receipts(&self, place: LogPlace) -> Result<Vec<LogReceipt>, StoreError> {
        self.readers.run(move |read| log::receipts(read, place)).await
    }

    async fn append_statements(
        &self,
        statements: Vec<NewStatement>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        self.writer.run(move |write| log_append::statements(write, &statements)).await
    }

    async fn statements(&self, kind: StatementKind) -> Result<Vec<LogStatement>, StoreError> {
        self.readers.run(move |read| log::statements(read, kind)).await
    }

    async fn unlogged_manifests(&self, limit: u32) -> Result<Vec<Manifest>, StoreError> {
        self.readers.run(move |read| log_append::unlogged(read, limit)).await
    }

    async fn log_manifests(&self, manifests: Vec<(Uuid, Vec<u8>)>) -> Result<(), StoreError> {
        self.writer.run(move |write| log_append::adopt(write, &manifests)).await
    }
}

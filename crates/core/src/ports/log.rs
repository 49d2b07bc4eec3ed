//! The ports of the transparency log: its shards, what other services say of its leaves, and the
//! statements in it.
//!
//! # Contract
//! - A leaf gets its place in the transaction that stores what it is about, so places are dense and
//!   on disk before anything is acknowledged. Hence every size up to the number of leaves has
//!   exactly one root: two checkpoints of one log can never disagree, no matter which replica signs
//!   them.
//! - Heads only grow. [`ShardStore::advance`] moves one only for the leader that holds the newest
//!   fence, and only from the size that it says.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreError;
use crate::log::{
    Advance, LogHead, LogPlace, LogReceipt, LogShard, LogStatement, NewShard, NewStatement,
    StatementKind,
};
use crate::manifest::Manifest;

/// The durable state of the log.
pub trait LogStore: ShardStore + ReceiptStore + StatementStore {}

impl<T: ShardStore + ReceiptStore + StatementStore> LogStore for T {}

/// Shards, their leaves and tiles, and the lead of the one replica that sequences them.
#[async_trait]
pub trait ShardStore: Send + Sync + std::fmt::Debug {
    /// All shards, the first first.
    async fn log_shards(&self) -> Result<Vec<LogShard>, StoreError>;

    /// Ends a shard: nothing is appended to it any more, nor anywhere else until the next one
    /// begins.
    async fn seal_shard(&self, ordinal: u32) -> Result<(), StoreError>;

    /// Begins a shard after the one that it continues, which is sealed and sequenced to its end, in
    /// one transaction. `None` when that is not so, or another one was begun: nothing was changed,
    /// and the caller looks again.
    async fn start_shard(&self, shard: NewShard) -> Result<Option<LogShard>, StoreError>;

    /// Takes or keeps the lead for `ttl`, by the clock of the store; returns the fence, which grows
    /// with each change of leader, or `None` while another holds it.
    async fn lead(&self, holder: Uuid, ttl: Duration) -> Result<Option<u64>, StoreError>;

    /// Gives up the lead, so that the next one need not wait.
    async fn resign(&self, holder: Uuid) -> Result<(), StoreError>;

    /// The head of a shard; `None` when there is no such shard.
    async fn log_head(&self, shard: u32) -> Result<Option<LogHead>, StoreError>;

    /// At most `limit` leaves from `from`, in order. Fewer only where the log ends: what was
    /// appended and is missing is [`StoreError::Corrupt`].
    async fn leaves(&self, shard: u32, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Tiles by level and index, in the order asked for; `None` for those that are not there.
    async fn tiles(
        &self,
        shard: u32,
        tiles: Vec<(u8, u64)>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Moves the head; `false` when the fence or the size is not the one given, so that nothing was
    /// changed.
    async fn advance(&self, step: Advance) -> Result<bool, StoreError>;

    /// Keeps a checkpoint that enough witnesses cosigned, unless a larger one is kept.
    async fn keep_witnessed(
        &self,
        shard: u32,
        size: u64,
        checkpoint: String,
    ) -> Result<(), StoreError>;
}

/// How far the log was sent on, and what other services returned about its leaves.
#[async_trait]
pub trait ReceiptStore: Send + Sync + std::fmt::Debug {
    /// How far `destination` has got in a shard; zero when nothing was recorded.
    async fn log_cursor(&self, destination: &str, shard: u32) -> Result<u64, StoreError>;

    /// Moves a cursor forward, never back, and keeps the receipts with it, in one transaction.
    async fn move_log_cursor(
        &self,
        destination: &str,
        shard: u32,
        to: u64,
        receipts: Vec<LogReceipt>,
    ) -> Result<(), StoreError>;

    /// What other services returned about a leaf.
    async fn receipts(&self, place: LogPlace) -> Result<Vec<LogReceipt>, StoreError>;
}

/// Signed statements about keys, logs and payloads, and manifests from before there was a log.
#[async_trait]
pub trait StatementStore: Send + Sync + std::fmt::Debug {
    /// Stores statements and appends them to the open shard, all or none; returns their places.
    /// One whose id is stored already is left as it is, and its place is returned.
    async fn append_statements(
        &self,
        statements: Vec<NewStatement>,
    ) -> Result<Vec<LogPlace>, StoreError>;

    /// Statements of a kind, oldest first.
    async fn statements(&self, kind: StatementKind) -> Result<Vec<LogStatement>, StoreError>;

    /// At most `limit` manifests that have no place, oldest first: those of versions without a log.
    async fn unlogged_manifests(&self, limit: u32) -> Result<Vec<Manifest>, StoreError>;

    /// Gives such manifests places; those that have one by now are left as they are.
    async fn log_manifests(&self, manifests: Vec<(Uuid, Vec<u8>)>) -> Result<(), StoreError>;
}

//! A store that fails or hangs where the test says, and reports what was published.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::log::{
    Advance, LogHead, LogPlace, LogReceipt, LogShard, LogStatement, NewShard, NewStatement,
    StatementKind,
};
use sentinel_core::manifest::Manifest;
use sentinel_core::ports::{LogStore, ReceiptStore, ShardStore, StatementStore};
use sentinel_core::store::StoreError;
use tokio::sync::Notify;
use uuid::Uuid;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is done, and an error is returned.
    Refused,
    /// It is done, and an error is returned.
    AnswerLost,
    /// Nothing is done, and nothing is ever returned, as if the process was killed before.
    KilledBefore,
    /// It is done, and nothing is ever returned, as if the process was killed after.
    KilledAfter,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) shard: u32,
    pub(crate) from: u64,
    pub(crate) size: u64,
    pub(crate) checkpoint: String,
}

/// Hands everything on to `inner`, except where a fault is planted.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Mutex<Arc<dyn LogStore>>,
    /// How long the lead is held, in place of what is asked for.
    lease: Duration,
    operations: AtomicU64,
    planted: Option<(u64, Fault)>,
    /// Notified when a fault hangs.
    pub(crate) stuck: Notify,
    pub(crate) published: Mutex<Vec<Published>>,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn LogStore>, lease: Duration) -> Self {
        Self {
            inner: Mutex::new(inner),
            lease,
            operations: AtomicU64::new(0),
            planted: None,
            stuck: Notify::new(),
            published: Mutex::default(),
        }
    }

    /// The operation with this number, counting from zero, ends in a fault.
    pub(crate) fn planted(inner: Arc<dyn LogStore>, at: u64, fault: Fault) -> Arc<Self> {
        Arc::new(Self { planted: Some((at, fault)), ..Self::new(inner, Duration::ZERO) })
    }

    /// Whether the fault came to pass.
    pub(crate) fn came_to_pass(&self) -> bool {
        self.planted.is_some_and(|(at, _)| self.operations.load(Ordering::SeqCst) > at)
    }

    pub(crate) fn exchange(&self, inner: Arc<dyn LogStore>) {
        *self.inner.lock().unwrap() = inner;
    }

    fn inner(&self) -> Arc<dyn LogStore> {
        Arc::clone(&self.inner.lock().unwrap())
    }

    async fn run<T: Send>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let fault = self.planted.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        let failed = || Err(StoreError::Unavailable("planted".to_owned()));
        match fault {
            None => operation.await,
            Some(Fault::Refused) => failed(),
            Some(Fault::AnswerLost) => {
                drop(operation.await);
                failed()
            }
            Some(Fault::KilledBefore) => self.stand_still().await,
            Some(Fault::KilledAfter) => {
                drop(operation.await);
                self.stand_still().await
            }
        }
    }

    async fn stand_still<T>(&self) -> T {
        self.stuck.notify_one();
        std::future::pending().await
    }
}

#[async_trait]
impl ShardStore for Faulty {
    async fn log_shards(&self) -> Result<Vec<LogShard>, StoreError> {
        self.run(self.inner().log_shards()).await
    }

    async fn seal_shard(&self, ordinal: u32) -> Result<(), StoreError> {
        self.run(self.inner().seal_shard(ordinal)).await
    }

    async fn start_shard(&self, shard: NewShard) -> Result<Option<LogShard>, StoreError> {
        self.run(self.inner().start_shard(shard)).await
    }

    async fn lead(&self, holder: Uuid, _: Duration) -> Result<Option<u64>, StoreError> {
        self.run(self.inner().lead(holder, self.lease)).await
    }

    async fn resign(&self, holder: Uuid) -> Result<(), StoreError> {
        self.run(self.inner().resign(holder)).await
    }

    async fn log_head(&self, shard: u32) -> Result<Option<LogHead>, StoreError> {
        self.run(self.inner().log_head(shard)).await
    }

    async fn leaves(&self, shard: u32, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        self.run(self.inner().leaves(shard, from, limit)).await
    }

    async fn tiles(
        &self,
        shard: u32,
        tiles: Vec<(u8, u64)>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.run(self.inner().tiles(shard, tiles)).await
    }

    async fn advance(&self, step: Advance) -> Result<bool, StoreError> {
        let inner = self.inner();
        let published = Published {
            shard: step.shard,
            from: step.from,
            size: step.size,
            checkpoint: step.checkpoint.clone(),
        };
        self.run(async {
            let moved = inner.advance(step).await?;
            if moved {
                self.published.lock().unwrap().push(published);
            }
            Ok(moved)
        })
        .await
    }

    async fn keep_witnessed(&self, shard: u32, size: u64, note: String) -> Result<(), StoreError> {
        self.run(self.inner().keep_witnessed(shard, size, note)).await
    }
}

#[async_trait]
impl ReceiptStore for Faulty {
    async fn log_cursor(&self, destination: &str, shard: u32) -> Result<u64, StoreError> {
        self.run(self.inner().log_cursor(destination, shard)).await
    }

    async fn move_log_cursor(
        &self,
        destination: &str,
        shard: u32,
        to: u64,
        receipts: Vec<LogReceipt>,
    ) -> Result<(), StoreError> {
        self.run(self.inner().move_log_cursor(destination, shard, to, receipts)).await
    }

    async fn receipts(&self, place: LogPlace) -> Result<Vec<LogReceipt>, StoreError> {
        self.run(self.inner().receipts(place)).await
    }
}

#[async_trait]
impl StatementStore for Faulty {
    async fn append_statements(
        &self,
        statements: Vec<NewStatement>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        self.run(self.inner().append_statements(statements)).await
    }

    async fn statements(&self, kind: StatementKind) -> Result<Vec<LogStatement>, StoreError> {
        self.run(self.inner().statements(kind)).await
    }

    async fn unlogged_manifests(&self, limit: u32) -> Result<Vec<Manifest>, StoreError> {
        self.run(self.inner().unlogged_manifests(limit)).await
    }

    async fn log_manifests(&self, manifests: Vec<(Uuid, Vec<u8>)>) -> Result<(), StoreError> {
        self.run(self.inner().log_manifests(manifests)).await
    }
}

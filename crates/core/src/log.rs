//! The transparency log as it is stored, and the port of its store.
//!
//! # Contract
//! - A leaf gets its place in the transaction that stores what it is about, so places are dense and
//!   on disk before anything is acknowledged. Every size up to the number of leaves hence has exactly
//!   one root: two checkpoints of one log can never disagree, whoever signs them.
//! - Heads only grow. [`LogStore::advance`] moves one only for the leader that holds the newest
//!   fence, and only from the size that it says.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::id::{StatementId, TenantId};
use crate::manifest::Manifest;
use crate::payload::SealedPayload;
use crate::store::StoreError;

/// Where a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPlace {
    /// Ordinal of the shard, counting from one.
    pub shard: u32,
    /// Index in the shard, counting from zero.
    pub index: u64,
}

/// One log of a sequence, each of which continues the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogShard {
    /// Counting from one.
    pub ordinal: u32,
    /// Name of the log: a bare host name.
    pub origin: String,
    /// Its key, as C2SP's signed-note spells one.
    pub verifier_key: String,
    pub started_at: Timestamp,
    /// When the next one began; nothing is appended since.
    pub sealed_at: Option<Timestamp>,
}

/// How far a shard is sequenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    pub shard: u32,
    /// Leaves in the tree.
    pub size: u64,
    /// The right edge of the tree, as the provenance crate writes a `Frontier`.
    pub frontier: Vec<u8>,
    /// The checkpoint of that tree, a signed note; none of an empty tree.
    pub checkpoint: Option<String>,
    /// The newest checkpoint that enough witnesses cosigned, with its size.
    pub witnessed: Option<(u64, String)>,
}

/// A tile of hashes, as wide as the tree has grown into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTile {
    pub level: u8,
    pub index: u64,
    /// At most 256 hashes of 32 bytes.
    pub hashes: Vec<u8>,
}

/// A step of the sequencer.
#[derive(Debug, Clone)]
pub struct Advance {
    pub shard: u32,
    /// What [`LogStore::lead`] answered.
    pub fence: u64,
    /// The size from which the tree grows.
    pub from: u64,
    pub size: u64,
    pub frontier: Vec<u8>,
    /// The tiles that are new or wider.
    pub tiles: Vec<StoredTile>,
    pub checkpoint: String,
}

/// A row of leaves as a store read it: where the next one goes, and the leaf at an index, if any is
/// there.
pub type LeafRow = (u64, Option<(u64, Vec<u8>)>);

/// The leaves from `from`, at most `limit`, out of the `rows` that a store found there in order.
///
/// # Errors
/// [`StoreError::Corrupt`] unless they are just those that were appended.
pub fn whole_leaves(
    shard: u32,
    from: u64,
    limit: u32,
    rows: Vec<LeafRow>,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let next = rows.first().map_or(0, |(next, _)| *next);
    let expected = from..next.min(from.saturating_add(u64::from(limit)));
    let mut found = rows.into_iter().filter_map(|(_, leaf)| leaf);
    let mut leaves = Vec::with_capacity(found.size_hint().1.unwrap_or_default());
    for index in expected {
        match found.next() {
            Some((at, leaf)) if at == index => leaves.push(leaf),
            _ => {
                let why = format!("leaf {index} of shard {shard} of the log is missing");
                return Err(StoreError::Corrupt(why));
            }
        }
    }
    match found.next() {
        None => Ok(leaves),
        Some((index, _)) => {
            let why = format!("leaf {index} of shard {shard} of the log was never appended");
            Err(StoreError::Corrupt(why))
        }
    }
}

/// The shard to begin, with its first leaf.
#[derive(Debug, Clone)]
pub struct NewShard {
    pub origin: String,
    pub verifier_key: String,
    pub at: Timestamp,
    /// What it continues, sequenced to its end: its ordinal and size.
    pub after: Option<LogPlace>,
    pub first: NewStatement,
}

/// A signed statement about a key, a log or payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatement {
    pub id: StatementId,
    pub kind: StatementKind,
    /// Whom it concerns, when that is one tenant.
    pub tenant_id: Option<TenantId>,
    /// The key's hint, the log's origin, or the tenant's slug and key generation.
    pub subject: String,
    /// Sigstore bundle v0.3 without log entries, JSON, exactly as signed.
    pub bundle: String,
    pub created_at: Timestamp,
    /// Set by the store.
    pub place: Option<LogPlace>,
}

/// What a [`LogStatement`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    SigningKey,
    LogShard,
    PayloadDestroyed,
}

impl StatementKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SigningKey => "signing_key",
            Self::LogShard => "log_shard",
            Self::PayloadDestroyed => "payload_destroyed",
        }
    }
}

impl std::str::FromStr for StatementKind {
    type Err = UnknownStatementKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::SigningKey, Self::LogShard, Self::PayloadDestroyed];
        all.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownStatementKind)
    }
}

/// A kind of statement that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of statement")]
pub struct UnknownStatementKind;

/// A statement to store and log.
#[derive(Debug, Clone)]
pub struct NewStatement {
    pub statement: LogStatement,
    pub leaf: Vec<u8>,
}

/// A manifest to store and log.
#[derive(Debug, Clone)]
pub struct NewManifest {
    pub manifest: Manifest,
    pub leaf: Vec<u8>,
    /// The payload, when it is to be kept.
    pub payload: Option<SealedPayload>,
}

impl NewManifest {
    /// How much there is to write, in bytes, to within what every manifest has besides.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let payload = self.payload.as_ref().map_or(0, |payload| payload.sealed.len());
        self.manifest.bundle.len() + self.leaf.len() + payload
    }
}

/// What another service answered about a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReceipt {
    pub place: LogPlace,
    pub kind: ReceiptKind,
    /// JSON of a Rekor entry, or the DER of a timestamp.
    pub content: Vec<u8>,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptKind {
    Rekor,
    Timestamp,
}

impl ReceiptKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rekor => "rekor",
            Self::Timestamp => "timestamp",
        }
    }
}

impl std::str::FromStr for ReceiptKind {
    type Err = UnknownReceiptKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Rekor, Self::Timestamp];
        all.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownReceiptKind)
    }
}

/// A kind of receipt that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of receipt")]
pub struct UnknownReceiptKind;

/// The durable state of the log.
#[async_trait]
pub trait LogStore: Send + Sync + std::fmt::Debug {
    /// All shards, the first first.
    async fn log_shards(&self) -> Result<Vec<LogShard>, StoreError>;

    /// Ends a shard: nothing is appended to it any more, nor anywhere else until the next one begins.
    async fn seal_shard(&self, ordinal: u32) -> Result<(), StoreError>;

    /// Begins a shard after the one that it continues, which is sealed and sequenced to its end, in
    /// one transaction. `None` when that is not so, or another one was begun: nothing was changed,
    /// and the caller looks again.
    async fn start_shard(&self, shard: NewShard) -> Result<Option<LogShard>, StoreError>;

    /// Takes or keeps the lead for `ttl`, by the clock of the store; answers the fence, which grows
    /// with each change of leader, or `None` while another holds it.
    async fn lead(&self, holder: Uuid, ttl: Duration) -> Result<Option<u64>, StoreError>;

    /// Gives up the lead, so that the next one need not wait.
    async fn resign(&self, holder: Uuid) -> Result<(), StoreError>;

    /// The head of a shard; `None` when there is no such shard.
    async fn log_head(&self, shard: u32) -> Result<Option<LogHead>, StoreError>;

    /// At most `limit` leaves from `from`, in order. Fewer only where the log ends: what was appended
    /// and is missing is [`StoreError::Corrupt`].
    async fn leaves(&self, shard: u32, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Tiles by level and index, in the order asked for; `None` for those that are not there.
    async fn tiles(
        &self,
        shard: u32,
        tiles: Vec<(u8, u64)>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Moves the head; `false` when the fence or the size is not the one said, so that nothing was
    /// changed.
    async fn advance(&self, step: Advance) -> Result<bool, StoreError>;

    /// Keeps a checkpoint that enough witnesses cosigned, unless a larger one is kept.
    async fn keep_witnessed(
        &self,
        shard: u32,
        size: u64,
        checkpoint: String,
    ) -> Result<(), StoreError>;

    /// How far `destination` has got in a shard; zero when nothing was said.
    async fn log_cursor(&self, destination: &str, shard: u32) -> Result<u64, StoreError>;

    /// Moves a cursor forward, never back, and keeps the receipts with it, in one transaction.
    async fn move_log_cursor(
        &self,
        destination: &str,
        shard: u32,
        to: u64,
        receipts: Vec<LogReceipt>,
    ) -> Result<(), StoreError>;

    /// What others answered about a leaf.
    async fn receipts(&self, place: LogPlace) -> Result<Vec<LogReceipt>, StoreError>;

    /// Stores statements and appends them to the open shard, all or none; answers their places.
    /// One whose id is stored already is left as it is, and its place is answered.
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

//! The transparency log as it is stored; [`crate::ports::log`] has its port.

use jiff::Timestamp;

use crate::id::{StatementId, TenantId};

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
    /// What [`ShardStore::lead`](crate::ports::log::ShardStore::lead) returned.
    pub fence: u64,
    /// The size from which the tree grows.
    pub from: u64,
    pub size: u64,
    pub frontier: Vec<u8>,
    /// The tiles that are new or wider.
    pub tiles: Vec<StoredTile>,
    pub checkpoint: String,
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

/// What another service returned about a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReceipt {
    pub place: LogPlace,
    pub kind: ReceiptKind,
    /// JSON of a Rekor entry, or the DER of a timestamp.
    pub content: Vec<u8>,
}

/// Which kind of service it was.
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

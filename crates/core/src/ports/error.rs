//! Why a store refused or failed.

use std::path::PathBuf;

use crate::name::{TenantSlug, ToolName, UpstreamName};

/// Why a method of a store returned nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store did not respond, or could not write. What was being written may or may not be
    /// there; nothing was acknowledged.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Another process has the database open, and only one may.
    #[error(
        "another process has the database `{}` open (it holds `{}`)",
        database.display(),
        lock.display()
    )]
    InUse { database: PathBuf, lock: PathBuf },
    /// The change contradicts what is stored. Nothing was changed.
    #[error("{0}")]
    Conflict(Conflict),
    #[error("bad cursor; pass `next_cursor` of the previous page unchanged")]
    BadCursor,
    /// The database was written by a newer version.
    #[error("the database has schema {found}, this version knows {known}: use a newer sentinel")]
    SchemaTooNew { found: u32, known: u32 },
    /// A row that this version cannot read. It is never ignored, because it may be a kill.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// Nothing was appended to the log: it has not begun, or is about to go on in its next shard.
    #[error("no shard of the transparency log is open")]
    NoOpenShard,
}

/// What a change contradicts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("tenant `{0}` exists already")]
    TenantExists(TenantSlug),
    #[error("the tenant has a tool `{0}` already")]
    ToolExists(ToolName),
    #[error("tool `{wanted}` is too easily confused with `{existing}`, which the tenant has")]
    ToolConfusable { wanted: ToolName, existing: ToolName },
    #[error("the tenant has an upstream `{0}` already")]
    UpstreamExists(UpstreamName),
    /// Nothing of the group was stored.
    #[error("a manifest with this id is stored already")]
    ManifestExists,
    #[error("the tenant's payload key was destroyed")]
    PayloadKeyDestroyed,
    #[error(
        "{0} connections to the database are of servers of an older version, which does not know \
         this kind of kill: end them first, or kill a tool, a tenant, an agent or everything, at once"
    )]
    OlderServers(u64),
    #[error(
        "{0} connections to the database are of servers of an older version, which would not keep \
         tools in quarantine: end them before you add an upstream"
    )]
    ServersWithoutPins(u64),
}

//! The schema and its history. Migrations are append-only: one that was applied is never edited.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sentinel_core::ports::StoreError;
use sha2::{Digest, Sha256};

use crate::error::{Result, unavailable};

struct Migration {
    version: u32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "0001_initial",
        sql: include_str!("../migrations/0001_initial.sql"),
    },
    Migration {
        version: 2,
        name: "0002_policy",
        sql: include_str!("../migrations/0002_policy.sql"),
    },
    Migration { version: 3, name: "0003_log", sql: include_str!("../migrations/0003_log.sql") },
    Migration {
        version: 4,
        name: "0004_windows",
        sql: include_str!("../migrations/0004_windows.sql"),
    },
    Migration { version: 5, name: "0005_kills", sql: include_str!("../migrations/0005_kills.sql") },
    Migration {
        version: 6,
        name: "0006_housekeeping",
        sql: include_str!("../migrations/0006_housekeeping.sql"),
    },
    Migration {
        version: 7,
        name: "0007_key_owner",
        sql: include_str!("../migrations/0007_key_owner.sql"),
    },
    Migration {
        version: 8,
        name: "0008_upstreams",
        sql: include_str!("../migrations/0008_upstreams.sql"),
    },
];

/// Marks the file as a database of ours: "sntl" in ASCII.
const APPLICATION_ID: i32 = 0x736E_746C;

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum BLOB NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT";

/// Brings the schema up to date; returns its version.
pub(crate) fn migrate(connection: &mut Connection) -> Result<u32> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(HISTORY)?;
    refuse_newer(&transaction)?;
    for migration in MIGRATIONS {
        apply(&transaction, migration)?;
    }
    transaction.commit()?;
    Ok(known())
}

fn known() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// A file that something else wrote is left alone, down to its journal mode.
pub(crate) fn refuse_foreign(connection: &Connection) -> Result<()> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        return Ok(());
    }
    Err(unavailable("the file is a database of another application"))
}

fn refuse_newer(transaction: &Transaction<'_>) -> Result<()> {
    let sql = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let found: u32 = transaction.query_row(sql, [], |row| row.get(0))?;
    if found > known() {
        return Err(StoreError::SchemaTooNew { found, known: known() }.into());
    }
    Ok(())
}

fn apply(transaction: &Transaction<'_>, migration: &Migration) -> Result<()> {
    let checksum: [u8; 32] = Sha256::digest(migration.sql).into();
    let applied: Option<Vec<u8>> = transaction
        .query_row(
            "SELECT checksum FROM schema_migrations WHERE version = ?1",
            [migration.version],
            |row| row.get(0),
        )
        .optional()?;
    match applied {
        Some(applied) if applied == checksum => return Ok(()),
        Some(_) => {
            let why = "was edited after this database applied it";
            return Err(unavailable(format!("migration `{}` {why}", migration.name)));
        }
        None => transaction.execute_batch(migration.sql)?,
    }
    transaction.execute(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at)
         VALUES (?1, ?2, ?3, CAST(unixepoch('subsec') * 1000000 AS INTEGER))",
        params![migration.version, migration.name, checksum],
    )?;
    Ok(())
}

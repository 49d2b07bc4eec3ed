//! The schema and its history. Migrations are append-only: one that was applied is never edited.
//!
//! Each belongs to a phase of an upgrade. What *expands* the schema leaves everything in place that
//! servers of the version before use, so they go on, and may start again; what *contracts* it takes
//! away what only they used, and waits until none of them is connected. Each row of
//! `schema_migrations` says in `compatible_from` which version of the schema a server must know at
//! least: that is how an old server tells a newer schema that it may use from one that it may not.

mod apply;

use sentinel_core::ports::StoreError;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, query_as, query_scalar, raw_sql};

pub(crate) use apply::{connections_before, migrate};

use crate::error::{Result, unavailable};
use crate::recording;

/// How far [`crate::PostgresStore::migrate_to`] goes. Each step includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// What servers of the version before can live with.
    Expand,
    /// Fills in, batch by batch, what they did not write. May be repeated.
    Backfill,
    /// Takes away what only they used; refused while one of them is connected.
    Contract,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) version: u32,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) phase: Phase,
    pub(crate) run: Run,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Phase {
    Expand,
    #[cfg_attr(not(feature = "rehearsal"), expect(dead_code, reason = "not needed so far"))]
    Contract {
        /// The version that a server must know from here on.
        oldest: u32,
        /// A statement that fills in what old servers did not write: a batch of the rows whose
        /// `sequence` is larger than `$1`. It returns the largest one of a full batch, and null of
        /// one that is not: waiting for an empty one would mean following the newest rows for ever.
        backfill: Option<&'static str>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// In one transaction that holds the epoch lock alone, so that it never waits for a commit that
    /// waits for it. It has to be over in a moment: nothing that reads a table from end to end.
    Alone,
    /// Beside the commits, each statement for itself, for as long as it takes: `… CONCURRENTLY` and
    /// `VALIDATE CONSTRAINT`, which make no transaction wait. It starts over after it was
    /// cancelled, so it first removes what may be left. Statements are parted by a line `-- next`.
    Alongside,
}

/// What a version knows of the schema, and the statements in which versions differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schema {
    pub(crate) migrations: &'static [Migration],
    pub(crate) commit: &'static str,
    pub(crate) ping: &'static str,
}

pub(crate) const INITIAL: Migration = Migration {
    version: 1,
    name: "0001_initial",
    sql: include_str!("../migrations/0001_initial.sql"),
    phase: Phase::Expand,
    run: Run::Alone,
};

pub(crate) const COMMIT_IN_ONE_CALL: Migration = Migration {
    version: 2,
    name: "0002_commit_in_one_call",
    sql: include_str!("../migrations/0002_commit_in_one_call.sql"),
    phase: Phase::Expand,
    run: Run::Alone,
};

pub(crate) const POLICY: Migration = Migration {
    version: 3,
    name: "0003_policy",
    sql: include_str!("../migrations/0003_policy.sql"),
    phase: Phase::Expand,
    run: Run::Alone,
};

pub(crate) const LOG: Migration = Migration {
    version: 4,
    name: "0004_log",
    sql: include_str!("../migrations/0004_log.sql"),
    phase: Phase::Expand,
    run: Run::Alone,
};

pub(crate) const LOG_INDEXES: Migration = Migration {
    version: 5,
    name: "0005_log_indexes",
    sql: include_str!("../migrations/0005_log_indexes.sql"),
    phase: Phase::Expand,
    run: Run::Alongside,
};

pub(crate) const WINDOWS: Migration = Migration {
    version: 6,
    name: "0006_windows",
    sql: include_str!("../migrations/0006_windows.sql"),
    phase: Phase::Expand,
    run: Run::Alone,
};

pub(crate) const KILLS: Migration = Migration {
    version: 7,
    name: "0007_kills",
    sql: include_str!("../migrations/0007_kills.sql"),
    phase: Phase::Expand,
    run: Run::Alone,
};

pub(crate) const HOUSEKEEPING: Migration = Migration {
    version: 8,
    name: "0008_housekeeping",
    sql: include_str!("../migrations/0008_housekeeping.sql"),
    phase: Phase::Expand,
    run: Run::Alongside,
};

pub(crate) const KEY_OWNER: Migration = Migration {
    version: 9,
    name: "0009_key_owner",
    sql: include_str!("../migrations/0009_key_owner.sql"),
    phase: Phase::Expand,
    run: Run::Alone,
};

pub(crate) const UPSTREAMS: Migration = Migration {
    version: 10,
    name: "0010_upstreams",
    sql: include_str!("../migrations/0010_upstreams.sql"),
    phase: Phase::Expand,
    run: Run::Alone,
};

/// The one of this version.
pub(crate) const CURRENT: Schema = Schema {
    migrations: &[
        INITIAL,
        COMMIT_IN_ONE_CALL,
        POLICY,
        LOG,
        LOG_INDEXES,
        WINDOWS,
        KILLS,
        HOUSEKEEPING,
        KEY_OWNER,
        UPSTREAMS,
    ],
    commit: recording::CALL,
    ping: "UPDATE meta SET pings = pings + 1",
};

/// Held shared while a server looks whether it may start, and alone while a contraction looks
/// whether an old server is connected: one of them sees the other.
const START_LOCK: &str = "SELECT pg_advisory_xact_lock_shared(1936618606)";

impl Schema {
    /// The version up to which this schema is known.
    pub(crate) fn known(self) -> u32 {
        self.migrations.last().map_or(0, |migration| migration.version)
    }

    /// The version without which a server cannot work: contractions may come later.
    fn required(self) -> u32 {
        let expanding = |migration: &&Migration| matches!(migration.phase, Phase::Expand);
        self.migrations.iter().rfind(expanding).map_or(0, |migration| migration.version)
    }

    /// The version that a server must know once the schema is at `version`.
    fn compatible_from(self, version: u32) -> u32 {
        let applied = self.migrations.iter().filter(|migration| migration.version <= version);
        let oldest = applied.filter_map(|migration| match migration.phase {
            Phase::Expand => None,
            Phase::Contract { oldest, .. } => Some(oldest),
        });
        oldest.max().unwrap_or(1)
    }

    /// What a server that knows this schema calls its connections.
    pub(crate) fn application_name(self) -> String {
        format!("{APPLICATION} {}", self.known())
    }
}

/// In front of the version; a server from before this rule is called `sentinel` and no more.
const APPLICATION: &str = "sentinel schema";

/// Refuses a schema that a server which knows `schema` cannot work on, and says when it is another
/// one than its own.
pub(crate) async fn check(connection: &mut PgConnection, schema: Schema) -> Result<()> {
    let (found, known) = (usable(connection, schema).await?, schema.known());
    if found > known {
        tracing::warn!(found, known, "the schema is newer, and says that this version may use it");
    } else if found < known {
        let todo = "an upgrade is to be ended: `sentinel migrate --step contract`";
        tracing::info!(found, known, "{todo}");
    }
    Ok(())
}

/// The version of a schema that a server which knows `schema` can work on. Looked at on each new
/// connection: a server whose connections were cut is not seen by a contraction, and must see it.
pub(crate) async fn usable(connection: &mut PgConnection, schema: Schema) -> Result<u32> {
    raw_sql("BEGIN").execute(&mut *connection).await?;
    raw_sql(START_LOCK).execute(&mut *connection).await?;
    let sql = "SELECT to_regclass('schema_migrations') IS NOT NULL";
    let exists: bool = query_scalar(sql).fetch_one(&mut *connection).await?;
    let found = if exists { version(connection, schema).await? } else { 0 };
    raw_sql("COMMIT").execute(connection).await?;
    if found < schema.required() {
        let known = schema.required();
        let why = format!("the database has schema {found}, this version needs {known}");
        return Err(unavailable(format!("{why}: run `sentinel migrate`")));
    }
    Ok(found)
}

fn checksum(migration: &Migration) -> Vec<u8> {
    Sha256::digest(migration.sql).to_vec()
}

/// The version of the schema; an error when it is newer and does not say that this version may use
/// it, or came from a migration that has been edited since.
async fn version(connection: &mut PgConnection, schema: Schema) -> Result<u32> {
    // Earlier versions made the table without the last column.
    let sql = "SELECT version, checksum, (to_jsonb(m) ->> 'compatible_from')::integer
        FROM schema_migrations AS m ORDER BY version";
    let applied: Vec<(i32, Vec<u8>, Option<i32>)> = query_as(sql).fetch_all(connection).await?;
    let (found, known) =
        (applied.last().map_or(0, |(version, ..)| version.cast_unsigned()), schema.known());
    let newer = applied.iter().filter(|(version, ..)| version.cast_unsigned() > known);
    let oldest = newer.map(|(.., from)| from.map_or(u32::MAX, i32::cast_unsigned)).max();
    if oldest.is_some_and(|oldest| oldest > known) {
        return Err(StoreError::SchemaTooNew { found, known }.into());
    }
    for migration in schema.migrations.iter().filter(|migration| migration.version <= found) {
        let same = applied.iter().any(|(version, applied, _)| {
            version.cast_unsigned() == migration.version && *applied == checksum(migration)
        });
        if !same {
            let why = "was edited after this database applied it";
            return Err(unavailable(format!("migration `{}` {why}", migration.name)));
        }
    }
    Ok(found)
}

//! The schema and its history. Migrations are append-only: one that was applied is never edited.

use sentinel_core::store::StoreError;
use sha2::{Digest, Sha256};
use sqlx::{Connection as _, PgConnection, query, query_as, query_scalar, raw_sql};

use crate::error::{Result, unavailable};
use crate::options;

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
        name: "0002_commit_in_one_call",
        sql: include_str!("../migrations/0002_commit_in_one_call.sql"),
    },
];

/// The number is the lock under which migrations are applied, one process after the other; the one
/// next to the epoch lock.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SELECT pg_advisory_xact_lock(1936618605);
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version integer PRIMARY KEY,
        name text NOT NULL,
        checksum bytea NOT NULL,
        applied_at timestamptz NOT NULL
    )";

/// Brings the schema of the database at `url` up to date; answers its version. Without a limit of
/// time: a migration takes as long as it takes.
pub(crate) async fn migrate(url: &str) -> Result<u32> {
    let mut connection = PgConnection::connect_with(&options::parse(url)?).await?;
    raw_sql(BEGIN).execute(&mut connection).await?;
    let found = version(&mut connection).await?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        raw_sql(migration.sql).execute(&mut connection).await?;
        let sql = "INSERT INTO schema_migrations (version, name, checksum, applied_at)
            VALUES ($1, $2, $3, now())";
        query(sql)
            .bind(migration.version.cast_signed())
            .bind(migration.name)
            .bind(checksum(migration))
            .execute(&mut connection)
            .await?;
    }
    raw_sql("COMMIT").execute(&mut connection).await?;
    connection.close().await?;
    Ok(known())
}

/// Refuses a schema that is not exactly the one this version knows.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<()> {
    let sql = "SELECT to_regclass('schema_migrations') IS NOT NULL";
    let exists: bool = query_scalar(sql).fetch_one(&mut *connection).await?;
    let found = if exists { version(connection).await? } else { 0 };
    if found < known() {
        let known = known();
        let why = format!("the database has schema {found}, this version needs {known}");
        return Err(unavailable(format!("{why}: run `sentinel migrate`")));
    }
    Ok(())
}

/// The version of the schema that this version works with.
pub(crate) fn known() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

fn checksum(migration: &Migration) -> Vec<u8> {
    Sha256::digest(migration.sql).to_vec()
}

/// The version of the schema; an error when it is newer, or came from a migration that has been
/// edited since.
async fn version(connection: &mut PgConnection) -> Result<u32> {
    let sql = "SELECT version, checksum FROM schema_migrations ORDER BY version";
    let applied: Vec<(i32, Vec<u8>)> = query_as(sql).fetch_all(connection).await?;
    let found = applied.last().map_or(0, |(version, _)| version.cast_unsigned());
    if found > known() {
        return Err(StoreError::SchemaTooNew { found, known: known() }.into());
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version <= found) {
        let version = migration.version.cast_signed();
        if !applied.contains(&(version, checksum(migration))) {
            let why = "was edited after this database applied it";
            return Err(unavailable(format!("migration `{}` {why}", migration.name)));
        }
    }
    Ok(found)
}

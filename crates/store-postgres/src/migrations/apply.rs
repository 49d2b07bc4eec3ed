//! Applying migrations while servers work on the database.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, query, query_as, query_scalar, raw_sql};
use tokio::time::sleep;

use super::{APPLICATION, Migration, Phase, Run, Schema, Step, checksum, version};
use crate::error::{Failure, Result, unavailable};
use crate::options;

/// A migration holds this lock, the one next to the epoch lock. It is tried, and never waited
/// for: a statement that waits has a snapshot, and `CREATE INDEX CONCURRENTLY` of the one that
/// migrates would wait for that.
const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(1936618605)";
const OTHER_MIGRATES: Duration = Duration::from_millis(100);

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum bytea NOT NULL,
    applied_at timestamptz NOT NULL,
    compatible_from integer
)";

/// Is true of a table that an earlier version made.
const LACKS_COLUMN: &str = "SELECT NOT EXISTS (SELECT 1 FROM pg_attribute
    WHERE attrelid = 'schema_migrations'::regclass AND attname = 'compatible_from')";
const ADD_COLUMN: &str = "ALTER TABLE schema_migrations ADD COLUMN compatible_from integer";

/// Every commit waits while an exclusive lock is waited for, so that is done for a moment only, and
/// then again later. The second lock is the epoch lock.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SET LOCAL lock_timeout = '250ms';
    SELECT pg_advisory_xact_lock(1936618604)";
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The other side of [`super::START_LOCK`].
const NOBODY_STARTS: &str = "SELECT pg_advisory_xact_lock(1936618606)";

/// Time for others between two batches.
const BATCH_PAUSE: Duration = Duration::from_millis(5);

/// Brings the schema of the database at `url` to `step` of `schema`; returns its version. Without a
/// limit of time: a migration takes as long as it takes, and reports on it.
pub(crate) async fn migrate(
    url: &str,
    schema: Schema,
    step: Step,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<u32> {
    let options = options::parse(url)?.application_name("sentinel migrate");
    let mut connection = PgConnection::connect_with(&options).await?;
    let mut told = false;
    while !query_scalar::<_, bool>(TRY_LOCK).fetch_one(&mut connection).await? {
        if !told {
            tell("another `sentinel migrate` is at work; waiting for it");
            told = true;
        }
        sleep(OTHER_MIGRATES).await;
    }
    let mut migrator = Migrator { connection, schema, tell };
    migrator.prepare_history().await?;
    let found = migrator.steps(step).await?;
    migrator.connection.close().await?;
    Ok(found)
}

struct Migrator<'a> {
    connection: PgConnection,
    schema: Schema,
    tell: &'a (dyn Fn(&str) + Send + Sync),
}

impl Migrator<'_> {
    async fn prepare_history(&mut self) -> Result<()> {
        raw_sql(HISTORY).execute(&mut self.connection).await?;
        if query_scalar(LACKS_COLUMN).fetch_one(&mut self.connection).await? {
            raw_sql(ADD_COLUMN).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Applies what is missing, in order; returns the version that the schema then has.
    async fn steps(&mut self, step: Step) -> Result<u32> {
        let found = version(&mut self.connection, self.schema).await?;
        // No server uses it yet, so none has to wait.
        let step = if found == 0 { Step::Contract } else { step };
        let mut reached = found;
        let migrations = self.schema.migrations.iter();
        for migration in migrations.filter(|migration| migration.version > found) {
            if let Phase::Contract { backfill, .. } = migration.phase {
                self.nothing_left_out(migration, step)?;
                if step == Step::Contract {
                    self.no_older_server(migration).await?;
                }
                if let (true, Some(batch)) = (step >= Step::Backfill, backfill) {
                    self.backfill(migration, batch).await?;
                }
                if step < Step::Contract {
                    (self.tell)("a contraction is left for when no older server runs");
                    break;
                }
            }
            match migration.run {
                Run::Alone => self.alone(migration).await?,
                Run::Alongside => self.alongside(migration).await?,
            }
            reached = migration.version;
            (self.tell)(&format!("`{}` is applied", migration.name));
        }
        Ok(reached)
    }

    /// Refuses to leave a contraction for later when another release has gone on from it.
    fn nothing_left_out(&self, contraction: &Migration, step: Step) -> Result<()> {
        let expands_later = self.schema.migrations.iter().any(|later| {
            later.version > contraction.version && matches!(later.phase, Phase::Expand)
        });
        if step < Step::Contract && expands_later {
            let name = contraction.name;
            return Err(unavailable(format!(
                "`{name}` ends the upgrade before this one: first run `sentinel migrate --step \
                 contract` of that version"
            )));
        }
        Ok(())
    }

    /// Tries until the locks are there; a transaction in the way meanwhile holds up only this.
    async fn alone(&mut self, migration: &Migration) -> Result<()> {
        let (mut pause, mut tries) = (FIRST_PAUSE, 1_u32);
        loop {
            match self.try_alone(migration).await {
                Err(Failure::Sql(error)) if lacks_lock(&error) => {
                    raw_sql("ROLLBACK").execute(&mut self.connection).await?;
                    let name = migration.name;
                    (self.tell)(&format!(
                        "`{name}` could not have its locks at once (try {tries}); again in {} ms",
                        pause.as_millis()
                    ));
                }
                done => return done,
            }
            sleep(pause).await;
            (pause, tries) = ((pause * 2).min(LONGEST_PAUSE), tries.saturating_add(1));
        }
    }

    async fn try_alone(&mut self, migration: &Migration) -> Result<()> {
        raw_sql(BEGIN).execute(&mut self.connection).await?;
        if matches!(migration.phase, Phase::Contract { .. }) {
            raw_sql(NOBODY_STARTS).execute(&mut self.connection).await?;
            self.no_older_server(migration).await?;
        }
        raw_sql(migration.sql).execute(&mut self.connection).await?;
        self.record(migration).await?;
        raw_sql("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn alongside(&mut self, migration: &Migration) -> Result<()> {
        for statement in migration.sql.split("\n-- next\n") {
            raw_sql(statement).execute(&mut self.connection).await?;
        }
        self.record(migration).await
    }

    async fn record(&mut self, migration: &Migration) -> Result<()> {
        let sql = "INSERT INTO schema_migrations (version, name, checksum, applied_at,
            compatible_from) VALUES ($1, $2, $3, now(), $4)";
        query(sql)
            .bind(migration.version.cast_signed())
            .bind(migration.name)
            .bind(checksum(migration))
            .bind(self.schema.compatible_from(migration.version).cast_signed())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// One pass over all rows, in batches of a transaction each. A row whose number is low may
    /// appear late, so the pass that counts is the one after the last old server has ended.
    async fn backfill(&mut self, migration: &Migration, batch: &'static str) -> Result<()> {
        let (mut after, mut batches) = (0_i64, 1_u64);
        while let Some(last) =
            query_scalar(batch).bind(after).fetch_one(&mut self.connection).await?
        {
            (after, batches) = (last, batches + 1);
            sleep(BATCH_PAUSE).await;
        }
        (self.tell)(&format!("`{}`: {batches} batches are filled in", migration.name));
        Ok(())
    }

    /// Refuses while a server is connected that `contraction` would break.
    async fn no_older_server(&mut self, contraction: &Migration) -> Result<()> {
        let needed = self.schema.compatible_from(contraction.version);
        let connections = connections_before(&mut self.connection, needed).await?;
        if connections > 0 {
            let name = contraction.name;
            return Err(unavailable(format!(
                "`{name}` needs every server to know schema {needed}, and {connections} \
                 connections are of older ones: end those first"
            )));
        }
        Ok(())
    }
}

/// How many connections are of servers that know no schema from `version` on.
pub(crate) async fn connections_before(connection: &mut PgConnection, version: u32) -> Result<u64> {
    let sql = "SELECT coalesce(application_name, ''), count(*) FROM pg_stat_activity
        WHERE datname = current_database() GROUP BY 1";
    let sessions: Vec<(String, i64)> = query_as(sql).fetch_all(connection).await?;
    let older = sessions.iter().filter_map(|(name, count)| Some((known_by(name)?, count)));
    let older = older.filter(|(known, _)| *known < version);
    Ok(older.map(|(_, count)| count.cast_unsigned()).sum())
}

/// The schema that the server knows whose connection has this name; `None` when it is not a
/// server's.
fn known_by(application: &str) -> Option<u32> {
    match application.strip_prefix(APPLICATION) {
        Some(version) => version.trim().parse().ok(),
        None => (application == "sentinel").then_some(0),
    }
}

/// Somebody else has a lock that is needed, or both wait for each other.
fn lacks_lock(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    matches!(error.code().as_deref(), Some("55P03" | "40P01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_from_everything_else() {
        let current = super::super::CURRENT;
        assert_eq!(known_by(&current.application_name()), Some(current.known()));
        assert_eq!(known_by("sentinel"), Some(0));
        for other in ["", "psql", "sentinel migrate", "sentinels", "sentinel schema x"] {
            assert_eq!(known_by(other), None, "{other}");
        }
    }
}

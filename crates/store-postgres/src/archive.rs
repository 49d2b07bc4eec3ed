//! Moving past months of the audit log to object storage.
//!
//! A month is copied, read back and compared with the database, and only then published; then it is
//! taken out of the log, compared once more, now that nothing is written to it, and dropped. What
//! is dropped is therefore exactly what was verified. Whatever fails before leaves the month where
//! it was, and the next attempt goes on from there.
//!
//! All of it happens on one connection, which holds a lock: when the connection is lost so is the
//! lock, and nothing is taken out or dropped on it any more.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_archive::{
    Archive, ArchivedMonth, ArchivingError, ClosedMonth, Content, Made, Manifest, Month,
    MonthStore, Published, Tally, Writer,
};
use sentinel_core::audit::DecisionRecord;
use sentinel_core::ports::StoreError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, query, query_scalar, raw_sql};
use tokio::time::{sleep, timeout};

use crate::error::Result as Work;
use crate::migrations;
use crate::options::too_slow;
use crate::partitions::{self, Place};
use crate::row::{read_all, select_list};
use crate::store::PostgresStore;
use crate::time::Time;
use crate::transaction::{Begin, Measured};

/// Rows read at once.
const PAGE: i64 = 500;
/// How often a listing may be in the way of taking a month out, and the pause after each time.
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(500);
/// How long the server may work on one statement that no caller waits for.
const PATIENCE: Duration = Duration::from_mins(10);

#[async_trait]
impl MonthStore for PostgresStore {
    async fn closed_months(
        &self,
        keep: u32,
        now: Timestamp,
    ) -> std::result::Result<Vec<ClosedMonth>, StoreError> {
        self.read(async {
            let mut connection = self.pool.acquire().await?;
            let theirs: Time = query_scalar("SELECT now()").fetch_one(&mut *connection).await?;
            let current = Month::of(now.min(theirs.0));
            let Some(kept) = current.and_then(|month| month.before(keep.max(1))) else {
                return Ok(Vec::new());
            };
            let found = partitions::months(&mut connection).await?;
            let mut months: Vec<Month> = found.into_iter().map(|(month, _)| month).collect();
            months.dedup();
            let closed = months.into_iter().filter_map(|month| ClosedMonth::before(month, kept));
            Ok(closed.collect())
        })
        .await
    }

    async fn archive_month(
        &self,
        month: ClosedMonth,
        archive: &Archive,
        now: Timestamp,
        by: &str,
    ) -> Result<Option<ArchivedMonth>> {
        let month = month.month();
        let made = Made { at: now, by: by.to_owned(), schema_version: migrations::CURRENT.known() };
        let Some(mut session) = Session::start(&self.connect, self.call_timeout).await? else {
            return Ok(None);
        };
        let archived = session.archive(month, archive, made).await;
        session.end().await;
        archived
    }
}

type Result<T> = std::result::Result<T, ArchivingError>;

/// A connection that holds the lock of archiving.
struct Session {
    connection: PgConnection,
    /// How long one response may take, where nothing says otherwise.
    limit: Duration,
}

impl Session {
    /// Connects and takes the lock, the one after those of migrations and of starting; `None` when
    /// another replica has it.
    async fn start(connect: &PgConnectOptions, limit: Duration) -> Result<Option<Self>> {
        let starting = async {
            let mut connection = PgConnection::connect_with(connect).await?;
            let sql = "SELECT pg_try_advisory_lock(1936618607)";
            let alone: bool = query_scalar(sql).fetch_one(&mut connection).await?;
            let sql = format!("SET statement_timeout = {}", PATIENCE.as_millis());
            raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
            Ok(alone.then_some(Self { connection, limit }))
        };
        Ok(within(limit, starting).await?)
    }

    /// Gives the lock back, so that the next month can have it at once: a server ends a session a
    /// little after its client has left.
    async fn end(mut self) {
        let unlock = raw_sql("SELECT pg_advisory_unlock(1936618607)").execute(&mut self.connection);
        // Without a response the lock ends with the connection.
        drop(timeout(self.limit, unlock).await);
        drop(timeout(self.limit, self.connection.close()).await);
    }

    async fn archive(
        &mut self,
        month: Month,
        archive: &Archive,
        made: Made,
    ) -> Result<Option<ArchivedMonth>> {
        let months = within(self.limit, partitions::months(&mut self.connection)).await?;
        let is = |place| months.contains(&(month, place));
        if is(Place::Detached) {
            // An earlier attempt ended between taking out and dropping.
            return self.go_on(month, archive).await.map(Some);
        }
        if !is(Place::Attached) {
            return Ok(None);
        }
        let (manifest, published) = self.copy(month, archive, made).await?;
        self.detach(month).await?;
        let dropped = self.compare_and_drop(&manifest).await;
        if dropped.is_err() {
            self.put_back(month).await;
        }
        dropped.map(|()| Some(ArchivedMonth { manifest, published }))
    }

    /// Copies a month that is in the log, unless it was copied before; returns its published
    /// manifest once archive and database were found to be the same.
    async fn copy(
        &mut self,
        month: Month,
        archive: &Archive,
        made: Made,
    ) -> Result<(Manifest, Published)> {
        let before = archive.manifest(month).await?;
        let (manifest, is_there) = match before {
            Some(manifest) => (manifest, true),
            None => (self.write(archive.write(month), month, made).await?, false),
        };
        archive.check(manifest.clone()).await?;
        if self.content(month, Place::Attached).await? != manifest.content {
            return Err(ArchivingError::Different(month));
        }
        let published =
            if is_there { Published::Before } else { archive.publish(&manifest).await? };
        Ok((manifest, published))
    }

    /// Ends what an earlier attempt began. What does not is put back into the log.
    async fn go_on(&mut self, month: Month, archive: &Archive) -> Result<ArchivedMonth> {
        let checked = match archive.verify(month).await {
            Ok(manifest) => self.compare_and_drop(&manifest).await.map(|()| manifest),
            Err(error) => Err(error.into()),
        };
        if checked.is_err() {
            self.put_back(month).await;
        }
        checked.map(|manifest| ArchivedMonth { manifest, published: Published::Before })
    }

    async fn compare_and_drop(&mut self, manifest: &Manifest) -> Result<()> {
        let month = manifest.month;
        if self.content(month, Place::Detached).await? != manifest.content {
            return Err(ArchivingError::Different(month));
        }
        within(PATIENCE, partitions::drop_detached(&mut self.connection, month)).await?;
        Ok(())
    }

    async fn write(&mut self, mut writer: Writer, month: Month, made: Made) -> Result<Manifest> {
        let mut after = None;
        loop {
            let records = self.page(month, Place::Attached, &mut after).await?;
            if records.is_empty() {
                return Ok(writer.finish(made).await?);
            }
            writer = writer.push_all(records).await?;
        }
    }

    /// What the database holds of a month.
    async fn content(&mut self, month: Month, place: Place) -> Result<Content> {
        let (mut tally, mut after) = (Tally::new(month), None);
        loop {
            let records = self.page(month, place, &mut after).await?;
            if records.is_empty() {
                return Ok(tally.content());
            }
            tally = tally.count_all(records).await?;
        }
    }

    /// The rows after `after`, which moves on; none at the end. Sequences are not unique to the
    /// database, so the order has the key behind it: a row that was skipped would be lost.
    async fn page(
        &mut self,
        month: Month,
        place: Place,
        after: &mut Option<After>,
    ) -> Result<Vec<DecisionRecord>> {
        let (columns, table) = (select_list::<DecisionRecord>(), partitions::table(month, place));
        let beyond = match after {
            Some(_) => "WHERE sequence >= $2 AND (sequence, id, created_at) > ($2, $3, $4)",
            None => "",
        };
        let sql = format!(
            "SELECT {columns} FROM ONLY {table} {beyond}
            ORDER BY {table}.sequence, {table}.id, {table}.created_at LIMIT $1"
        );
        let mut query = query(AssertSqlSafe(sql)).bind(PAGE);
        if let Some((sequence, id, at)) = *after {
            query = query.bind(sequence).bind(id).bind(Time(at));
        }
        let reading = async { read_all(&query.fetch_all(&mut self.connection).await?) };
        let records: Vec<DecisionRecord> = within(self.limit, reading).await?;
        let last = records.last();
        *after = last.map(|last| (last.sequence.cast_signed(), last.id.0, last.created_at));
        Ok(records)
    }

    /// Takes the month out of the log; listings that are in the way get some time to end.
    async fn detach(&mut self, month: Month) -> Result<()> {
        let mut attempt = 1;
        loop {
            match within(self.limit, self.exclusive(month, Change::Detach)).await {
                Ok(()) => return Ok(()),
                Err(error) if attempt == ATTEMPTS => return Err(error.into()),
                Err(error) => tracing::debug!(%error, %month, "a partition is in use"),
            }
            attempt += 1;
            sleep(PAUSE).await;
        }
    }

    /// Puts a month that was taken out back into the log. When that fails the next attempt to
    /// archive it begins here.
    async fn put_back(&mut self, month: Month) {
        let prepare = partitions::prepare_to_attach(&mut self.connection, month);
        let mut done = within(PATIENCE, prepare).await;
        for attempt in 1..=ATTEMPTS {
            if done.is_ok() {
                done = within(self.limit, self.exclusive(month, Change::PutBack)).await;
                if done.is_ok() {
                    return;
                }
            }
            if attempt < ATTEMPTS {
                sleep(PAUSE).await;
                done = Ok(());
            }
        }
        if let Err(error) = done {
            tracing::error!(%error, %month, "a month of the audit log could not be put back; its \
                decisions are in the database but not listed until that succeeds");
        }
    }

    /// Changes the log while no decision commits.
    async fn exclusive(&mut self, month: Month, change: Change) -> Work<()> {
        let mut measured = Measured::start(change.name());
        raw_sql(Begin::Exclusive.sql()).execute(&mut self.connection).await?;
        let changed = match change {
            Change::Detach => partitions::detach(&mut self.connection, month).await,
            Change::PutBack => partitions::attach_again(&mut self.connection, month).await,
        };
        let end = if changed.is_ok() { "COMMIT" } else { "ROLLBACK" };
        raw_sql(end).execute(&mut self.connection).await?;
        measured.outcome = if changed.is_ok() { "committed" } else { "rolled back" };
        changed
    }
}

/// The last row that was read.
type After = (i64, uuid::Uuid, Timestamp);

#[derive(Debug, Clone, Copy)]
enum Change {
    Detach,
    PutBack,
}

impl Change {
    const fn name(self) -> &'static str {
        match self {
            Self::Detach => "detach_partition",
            Self::PutBack => "attach_partition_again",
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Work<T>>) -> Work<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(too_slow("the database", limit).into()))
}

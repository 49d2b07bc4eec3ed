//! The one thread that writes. Being alone, it is the epoch lock: a kill and a commit of decisions
//! can only come one after the other.
//!
//! Jobs that wait together are committed together: decisions and manifests come from two groups, and
//! each commit waits for the disk. Each job has a savepoint, so one that fails takes back what it
//! did and nothing else. No job is answered before the commit.

mod job;

use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction};
use sentinel_core::ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use self::job::{Alone, Job, Shared, Written};
use crate::checkpoint::{self, Checkpointer};
use crate::connection::Held;
use crate::error::{Result, unavailable};

/// The largest number of jobs that wait; a later caller waits for a place.
const QUEUE: usize = 256;
/// Jobs that are committed together at most.
const TOGETHER: usize = 16;

/// Handle of the thread. Dropping it lets the jobs that were accepted finish.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which keeps the file `held` until it ends.
    pub(crate) fn start(mut connection: Connection, held: Held) -> Result<Self> {
        let checkpointer = Checkpointer::start(&held.path, &mut connection)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                serve(&mut connection, queue, &held, &checkpointer);
                checkpointer.stop(&mut connection);
            })
            .map_err(|error| unavailable(error.to_string()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `work` in a transaction; when this returns `Ok`, what it wrote is on disk, and when it
    /// returns an error, nothing of it is. The work runs to its end even when the caller stops
    /// waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        let (result, finished) = oneshot::channel();
        self.submit(Job::Shared(job::shared(work, result)), finished).await
    }

    /// Copies the log into the file and cuts it off, so that it holds nothing of what was
    /// overwritten in the file; `false` when a reader was in the way.
    pub(crate) async fn cut_log(&self) -> std::result::Result<bool, StoreError> {
        let (result, finished) = oneshot::channel();
        let cut: Alone = Box::new(move |connection| {
            // The caller has stopped waiting when this fails.
            let _ = result.send(checkpoint::cut(connection).map_err(StoreError::from));
        });
        self.submit(Job::Alone(cut), finished).await
    }

    async fn submit<T>(
        &self,
        job: Job,
        finished: oneshot::Receiver<std::result::Result<T, StoreError>>,
    ) -> std::result::Result<T, StoreError> {
        let gone = || StoreError::Unavailable("the writer has stopped".to_owned());
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).await.map_err(|_| gone())?;
        finished.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which every caller since has been told.
            let _ = thread.join();
        }
    }
}

fn serve(
    connection: &mut Connection,
    mut queue: mpsc::Receiver<Job>,
    held: &Held,
    checkpointer: &Checkpointer,
) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    while queue.blocking_recv_many(&mut waiting, TOGETHER) > 0 {
        if !write(connection, waiting.drain(..)) {
            tracing::error!(path = %held.path.display(), "a failed transaction cannot be rolled back");
            return;
        }
        checkpointer.between_commits(connection);
    }
}

/// Does the jobs in their order. False when a transaction is left open.
fn write(connection: &mut Connection, jobs: impl Iterator<Item = Job>) -> bool {
    let mut together = Vec::with_capacity(TOGETHER);
    for job in jobs {
        match job {
            Job::Shared(work) => together.push(work),
            Job::Alone(work) => {
                if !commit(connection, std::mem::take(&mut together)) {
                    return false;
                }
                work(connection);
            }
        }
    }
    commit(connection, together)
}

fn commit(connection: &mut Connection, together: Vec<Shared>) -> bool {
    let written = Written::commit(connection, together);
    let is_clean = is_clean(connection);
    written.answer();
    is_clean
}

/// Whether no transaction is open. A failed commit (a full disk, say) may leave one; writing on
/// into it would mix what was refused with what comes next.
fn is_clean(connection: &Connection) -> bool {
    connection.is_autocommit()
        || (connection.execute_batch("ROLLBACK").is_ok() && connection.is_autocommit())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::connection;

    fn writer(folder: &std::path::Path) -> Writer {
        let held = connection::hold(&folder.join("x.db")).unwrap();
        let mut connection = connection::writing(&held.path).unwrap();
        crate::migrations::migrate(&mut connection).unwrap();
        Writer::start(connection, held).unwrap()
    }

    fn insert(transaction: &Transaction<'_>) -> Result<usize> {
        Ok(transaction.execute("INSERT INTO secrets VALUES (hex(randomblob(8)), x'00')", [])?)
    }

    fn count(transaction: &Transaction<'_>) -> Result<i64> {
        Ok(transaction.query_row("SELECT count(*) FROM secrets", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn a_dead_writer_gives_every_caller_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        let (died, after) =
            tokio::join!(writer.run(|_| -> Result<()> { panic!("a bug") }), writer.run(insert),);
        assert!(matches!(died, Err(StoreError::Unavailable(_))), "{died:?}");
        assert!(matches!(after, Err(StoreError::Unavailable(_))), "{after:?}");
        for _ in 0..QUEUE * 2 {
            let later = tokio::time::timeout(Duration::from_secs(5), writer.run(insert)).await;
            assert!(matches!(later, Ok(Err(StoreError::Unavailable(_)))), "{later:?}");
        }
    }

    #[tokio::test]
    async fn a_failed_transaction_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        let failed = writer.run(|transaction| {
            insert(transaction)?;
            Err::<(), _>(crate::error::unavailable("no"))
        });
        failed.await.unwrap_err();
        assert_eq!(writer.run(count).await, Ok(0));
        writer.run(insert).await.unwrap();
        assert_eq!(writer.run(count).await, Ok(1));
    }

    /// Holds the writer up until this is dropped, so that what is sent meanwhile waits together.
    fn hold_up(writer: &Writer) -> std::sync::mpsc::Sender<()> {
        let (held, holds) = std::sync::mpsc::channel::<()>();
        let wait: Alone = Box::new(move |_| assert!(holds.recv().is_err()));
        writer.jobs.as_ref().unwrap().try_send(Job::Alone(wait)).unwrap();
        held
    }

    #[tokio::test]
    async fn one_job_that_fails_takes_back_only_its_own_work() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        let held = hold_up(&writer);
        let bad = |transaction: &Transaction<'_>| {
            insert(transaction)?;
            Err::<(), _>(crate::error::unavailable("no"))
        };
        let broken = |transaction: &Transaction<'_>| {
            insert(transaction)?;
            Ok(transaction.execute("INSERT INTO secrets VALUES (NULL, NULL)", [])?)
        };
        let release = async { drop(held) };
        let (first, bad, broken, last, seen, ()) = tokio::join!(
            writer.run(insert),
            writer.run(bad),
            writer.run(broken),
            writer.run(insert),
            writer.run(count),
            release
        );
        assert_eq!((first, last, seen), (Ok(1), Ok(1), Ok(2)));
        assert!(bad.is_err() && broken.is_err(), "{broken:?}");
        assert_eq!(writer.run(count).await, Ok(2));
    }

    #[tokio::test]
    async fn a_job_that_ends_the_transaction_leaves_none_of_it_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        let held = hold_up(&writer);
        // SQLite rolls a transaction back by itself on a full disk, for example.
        let ends = |transaction: &Transaction<'_>| Ok(transaction.execute_batch("ROLLBACK")?);
        let release = async { drop(held) };
        let (first, ends, last, ()) =
            tokio::join!(writer.run(insert), writer.run(ends), writer.run(insert), release);
        assert!(first.is_err() && ends.is_err(), "{first:?} {ends:?}");
        assert!(last.is_err(), "{last:?}");
        assert_eq!(writer.run(count).await, Ok(0));
        writer.run(insert).await.unwrap();
        assert_eq!(writer.run(count).await, Ok(1));
    }

    #[tokio::test]
    async fn dropping_waits_for_what_was_accepted() {
        let folder = tempfile::tempdir().unwrap();
        for expected in 0..20 {
            let writer = writer(folder.path());
            assert_eq!(writer.run(count).await, Ok(expected));
            // Sent, and not waited for.
            let sent = tokio::time::timeout(Duration::ZERO, writer.run(insert)).await;
            assert!(sent.is_err() || sent == Ok(Ok(1)));
            drop(writer);
        }
    }

    #[tokio::test]
    async fn the_log_starts_over_while_commits_go_on_and_is_gone_after_a_stop() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.db-wal");
        let writer = writer(folder.path());
        let (mut longest, rows) = (0, 3_000);
        for _ in 0..rows {
            let large = "INSERT INTO secrets VALUES (hex(randomblob(8)), zeroblob(65536))";
            writer.run(move |transaction| Ok(transaction.execute(large, [])?)).await.unwrap();
            longest = log.metadata().unwrap().len().max(longest);
        }
        // What is written in all is several times as much.
        assert!((32 << 20..96 << 20).contains(&longest), "{longest} bytes of log");
        drop(writer);
        assert!(!log.exists());
        let reopened = super::tests::writer(folder.path());
        assert_eq!(reopened.run(count).await, Ok(rows));
    }
}

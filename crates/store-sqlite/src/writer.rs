//! The one thread that writes. Being alone, it is the epoch lock: a kill and a commit of decisions
//! can only come one after the other.

use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use sentinel_core::ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use crate::checkpoint::{self, Checkpointer};
use crate::connection::Held;
use crate::error::{Result, unavailable};

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The largest number of jobs that wait; a later caller waits for a place.
const QUEUE: usize = 256;

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

    /// Runs `work` in a transaction of its own; when this returns `Ok`, what it wrote is on disk.
    /// The transaction runs to its end even when the caller stops waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        self.submit(|connection| transact(connection, work)).await
    }

    /// Copies the log into the file and cuts it off, so that it holds nothing of what was
    /// overwritten in the file; `false` when a reader was in the way.
    pub(crate) async fn cut_log(&self) -> std::result::Result<bool, StoreError> {
        self.submit(|connection| checkpoint::cut(connection)).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        let gone = || StoreError::Unavailable("the writer has stopped".to_owned());
        let (result, finished) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The caller has stopped waiting when this fails.
            let _ = result.send(work(connection).map_err(StoreError::from));
        });
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

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn serve(
    connection: &mut Connection,
    mut queue: mpsc::Receiver<Job>,
    held: &Held,
    checkpointer: &Checkpointer,
) {
    while let Some(job) = queue.blocking_recv() {
        job(connection);
        if !is_clean(connection) {
            tracing::error!(path = %held.path.display(), "a failed transaction cannot be rolled back");
            return;
        }
        checkpointer.between_commits(connection);
    }
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

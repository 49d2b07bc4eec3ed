//! Moves the write-ahead log into the database file beside the writer, not in its way.
//!
//! `SQLite` by itself does so inside every so-many-th commit, which then takes tens of
//! milliseconds. Here a thread of its own copies while the writer goes on. A log can start over
//! only when nothing of it is left to copy, so once it is long the writer copies, between two
//! commits, the little that came in during the thread's last round.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::connection;
use crate::error::Result;

/// Pages from which on the log is copied, to start over: 32 MiB. Seldom, since commits wait for the
/// disk while it takes the copy; not more seldom, since what a crash leaves is read at the next
/// start.
const LONG: i32 = 8_192;

/// The thread that copies.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    progress: Arc<Progress>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Pages of the present log that the last round found copied.
    copied: AtomicI32,
    /// Whether the log is long, and nearly all of it copied.
    near_end: AtomicBool,
}

impl Checkpointer {
    /// Starts the thread for the database at `path`; from now on `writer` leaves it the log.
    pub(crate) fn start(path: &Path, writer: &mut Connection) -> Result<Self> {
        let progress = Arc::new(Progress::default());
        let (wake, wakes) = sync_channel(1);
        let connection = connection::copying(path)?;
        let thread = std::thread::Builder::new().name("sqlite-checkpoint".to_owned()).spawn({
            let progress = Arc::clone(&progress);
            move || progress.serve(&connection, wakes)
        });
        let thread = thread.map_err(|error| crate::error::unavailable(error.to_string()))?;
        let committed = Arc::clone(&progress);
        writer.wal_hook(Some(move |_: &mut Wal, pages| {
            committed.committed(pages, &wake);
            Ok(())
        }))?;
        Ok(Self { progress, thread })
    }

    /// Lets the log start over, if it is time to: to be called between two transactions.
    pub(crate) fn between_commits(&self, writer: &Connection) {
        if self.progress.near_end.swap(false, Ordering::Relaxed) {
            let _ = copy(writer);
        }
    }

    /// Ends the thread. Then `writer` is the last to have the database open, and closing it copies
    /// whatever is left.
    pub(crate) fn stop(self, writer: &mut Connection) {
        // The hook holds what wakes the thread.
        let removed = writer.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>);
        if removed.is_ok() {
            // It can only have panicked, and whatever it did not copy is in the log.
            drop(self.thread.join());
        }
    }
}

impl Progress {
    fn committed(&self, pages: i32, wake: &SyncSender<()>) {
        let copied = self.copied.load(Ordering::Relaxed);
        // Fewer pages than were copied: the log has started over.
        let left = if pages < copied { pages } else { pages - copied };
        if left >= LONG {
            // The thread is at work when this is full, and looks again afterwards.
            let _ = wake.try_send(());
        }
    }

    fn serve(&self, connection: &Connection, wakes: Receiver<()>) {
        for () in wakes {
            if let Some((pages, copied)) = copy(connection) {
                self.copied.store(copied, Ordering::Relaxed);
                self.near_end.store(pages >= LONG, Ordering::Relaxed);
            }
        }
    }
}

/// How long a log that is to be cut off may wait for readers: nothing is written meanwhile.
const CUT_PATIENCE: Duration = Duration::from_millis(250);

/// Copies all of the log and leaves an empty one; `false` when a reader was in the way.
pub(crate) fn cut(connection: &Connection) -> Result<bool> {
    connection.busy_timeout(CUT_PATIENCE)?;
    let busy: rusqlite::Result<bool> =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    connection.busy_timeout(connection::BUSY_TIMEOUT)?;
    Ok(!busy?)
}

/// Copies what no reader keeps from being copied; returns the pages of the log, and those copied.
fn copy(connection: &Connection) -> Option<(i32, i32)> {
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    let copied = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?))));
    // Nothing is lost when it fails (a full disk, say): the log keeps what was committed.
    copied.inspect_err(|error| tracing::warn!(%error, "the write-ahead log was not copied")).ok()
}

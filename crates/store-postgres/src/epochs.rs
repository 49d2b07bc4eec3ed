//! Hearing of new epochs. Nothing rests on it: each commit reads the epoch itself. It only makes
//! the other replicas look sooner than they would by themselves.

use std::time::Duration;

use sentinel_core::epoch::Epoch;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgPool, query_scalar};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::epoch::CHANNEL;
use crate::error::Result;
use crate::options::Options;

/// Silence after which the connection is tried: it may be dead without a word.
const SILENCE: Duration = Duration::from_secs(5);

/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The task that listens; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Epochs {
    receiver: watch::Receiver<Epoch>,
    task: AbortHandle,
}

impl Epochs {
    /// Starts listening. `known` is the epoch of now.
    pub(crate) fn listen(connect: PgConnectOptions, options: &Options, known: Epoch) -> Self {
        // A pool of its own: listening keeps its connection for good.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.acquire_timeout)
            .connect_lazy_with(connect);
        let (sender, receiver) = watch::channel(known);
        let call_timeout = options.call_timeout;
        let task = tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let before = *sender.borrow();
                let error = match listen(&pool, &sender, call_timeout).await {
                    Ok(never) => match never {},
                    Err(error) => error,
                };
                tracing::warn!(%error, "not listening for epochs; trying again");
                // After some success the pause is short again.
                pause = if *sender.borrow() == before { pause } else { FIRST_PAUSE };
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
        Self { receiver, task: task.abort_handle() }
    }

    pub(crate) fn receiver(&self) -> watch::Receiver<Epoch> {
        self.receiver.clone()
    }
}

impl Drop for Epochs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens until the connection is lost.
async fn listen(
    pool: &PgPool,
    sender: &watch::Sender<Epoch>,
    call_timeout: Duration,
) -> sqlx::Result<std::convert::Infallible> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    sqlx::query(PRESENT).execute(&mut listener).await?;
    loop {
        // What was missed before it listened, or while the connection was silent.
        let reading = query_scalar("SELECT epoch FROM meta").fetch_one(&mut listener);
        let epoch: i64 = timeout(call_timeout, reading)
            .await
            .map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        tell(sender, Epoch(epoch.cast_unsigned()));
        while let Ok(heard) = timeout(SILENCE, listener.try_recv()).await {
            let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
            let notification = heard?.ok_or_else(lost)?;
            if let Ok(epoch) = notification.payload().parse() {
                tell(sender, Epoch(epoch));
            }
        }
    }
}

fn tell(sender: &watch::Sender<Epoch>, epoch: Epoch) {
    sender.send_if_modified(|known| std::mem::replace(known, epoch) != epoch);
}

/// Held, shared, by the connection on which each replica hears of epochs, so that the number of
/// holders is that of the replicas.
const PRESENT: &str = "SELECT pg_advisory_lock_shared(1936618608)";

/// How many replicas are connected; this one is, even while it is not listening.
pub(crate) async fn replicas(pool: &PgPool) -> Result<u64> {
    let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0
        AND objid = 1936618608 AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let count: i64 = query_scalar(sql).fetch_one(&mut *pool.acquire().await?).await?;
    Ok(count.cast_unsigned().max(1))
}

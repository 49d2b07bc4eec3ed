//! Control events between replicas that share no Redis: kills, restores and registry changes go to
//! each other's subscribers by `NOTIFY`. Decisions do not: there are too many of them. Nothing that
//! must hold depends on an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sentinel_core::event::{Bus, Event};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, query};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

const CHANNEL: &str = "sentinel_events";
/// Bytes that `PostgreSQL` takes as a payload, at most.
const MAX_PAYLOAD: usize = 7999;
/// Events that wait while the server is away; later ones are dropped.
const QUEUE: usize = 1024;
/// Bytes in memory above which an event does not wait at all: its payload would be too large in any
/// case. With [`QUEUE`] it bounds what those that wait take.
const MAX_WEIGHT: usize = 4 * MAX_PAYLOAD;
/// Pause before connecting again.
const PAUSE: Duration = Duration::from_millis(200);
/// Silence after which the connection is tried.
const SILENCE: Duration = Duration::from_secs(5);

/// An event and the replica it comes from.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    replica: Uuid,
    event: Event,
}

/// Carries control events by `NOTIFY`; see the module. Ends when it is dropped.
#[derive(Debug)]
pub struct PostgresEvents {
    queue: mpsc::Sender<Event>,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

/// Counts of events since the start of this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventCounters {
    /// Events that the server took.
    pub sent: u64,
    /// Events of other replicas handed on.
    pub received: u64,
    /// Events that never left: too many waited, one was too large, or the server did not take it.
    pub dropped: u64,
    /// Events of other replicas that could not be read.
    pub malformed: u64,
    /// Connections that listened and were lost, or could not be made.
    pub disconnects: u64,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    dropped: AtomicU64,
    malformed: AtomicU64,
    disconnects: AtomicU64,
    listening: AtomicBool,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl PostgresEvents {
    /// Starts sending, and handing to `sink` what the other replicas send.
    pub(crate) fn start(
        connect: &PgConnectOptions,
        acquire_timeout: Duration,
        sink: Arc<dyn Bus>,
    ) -> Self {
        let replica = Uuid::new_v4();
        let (queue, waiting) = mpsc::channel(QUEUE);
        // A pool of its own: listening keeps its connection for good.
        let listening = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(acquire_timeout)
            .connect_lazy_with(connect.clone());
        let sending = Sending { connect: connect.clone(), limit: acquire_timeout, open: None };
        let mut tasks = JoinSet::new();
        let counts = Arc::new(Counts::default());
        tasks.spawn(send(sending, replica, waiting, Arc::clone(&counts)));
        tasks.spawn(receive(listening, replica, sink, Arc::clone(&counts)));
        Self { queue, counts, _tasks: tasks }
    }

    #[must_use]
    pub fn counters(&self) -> EventCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EventCounters {
            sent: read(&self.counts.sent),
            received: read(&self.counts.received),
            dropped: read(&self.counts.dropped),
            malformed: read(&self.counts.malformed),
            disconnects: read(&self.counts.disconnects),
        }
    }

    /// Whether what others send is received just now.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.counts.listening.load(Ordering::Relaxed)
    }
}

impl Bus for PostgresEvents {
    fn publish(&self, events: Vec<Event>) {
        for event in events.into_iter().filter(Event::is_control) {
            if event.weight() > MAX_WEIGHT {
                count(&self.counts.dropped);
                tracing::warn!(event = event.name(), "an event is too large for other replicas");
            } else if self.queue.try_send(event).is_err() {
                count(&self.counts.dropped);
                tracing::warn!("an event was dropped: too many wait for the database");
            }
        }
    }
}

async fn send(
    mut sending: Sending,
    replica: Uuid,
    mut waiting: mpsc::Receiver<Event>,
    counts: Arc<Counts>,
) {
    while let Some(event) = waiting.recv().await {
        let name = event.name();
        let payload = match serde_json::to_string(&Message { replica, event }) {
            Ok(payload) if payload.len() <= MAX_PAYLOAD => payload,
            _ => {
                count(&counts.dropped);
                tracing::warn!(event = name, "an event is too large for other replicas");
                continue;
            }
        };
        let mut sent = sending.notify(&payload).await;
        if sent.is_err() {
            // The connection may have been lost long before.
            sent = sending.notify(&payload).await;
        }
        if let Err(error) = sent {
            count(&counts.dropped);
            tracing::warn!(%error, event = name, "an event did not reach other replicas");
        } else {
            count(&counts.sent);
        }
    }
}

/// The connection that events are sent on: one of its own, since one that has died without a word
/// must not hold up those behind it.
struct Sending {
    connect: PgConnectOptions,
    limit: Duration,
    open: Option<PgConnection>,
}

impl Sending {
    async fn notify(&mut self, payload: &str) -> sqlx::Result<()> {
        let open = self.open.take();
        match timeout(self.limit, self.notify_on(open, payload)).await {
            Ok(sent) => self.open = Some(sent?),
            Err(_) => return Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        }
        Ok(())
    }

    async fn notify_on(
        &self,
        open: Option<PgConnection>,
        payload: &str,
    ) -> sqlx::Result<PgConnection> {
        let mut connection = match open {
            Some(connection) => connection,
            None => PgConnection::connect_with(&self.connect).await?,
        };
        let notify = query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload);
        notify.execute(&mut connection).await?;
        Ok(connection)
    }
}

async fn receive(pool: PgPool, replica: Uuid, sink: Arc<dyn Bus>, counts: Arc<Counts>) {
    loop {
        let Err(error) = listen(&pool, replica, sink.as_ref(), &counts).await;
        counts.listening.store(false, Ordering::Relaxed);
        count(&counts.disconnects);
        tracing::warn!(%error, "not listening for events; trying again");
        sleep(PAUSE).await;
    }
}

/// Listens until the connection is lost.
async fn listen(
    pool: &PgPool,
    replica: Uuid,
    sink: &dyn Bus,
    counts: &Counts,
) -> sqlx::Result<std::convert::Infallible> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    counts.listening.store(true, Ordering::Relaxed);
    loop {
        while let Ok(heard) = timeout(SILENCE, listener.try_recv()).await {
            let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
            let notification = heard?.ok_or_else(lost)?;
            match serde_json::from_str::<Message>(notification.payload()) {
                Ok(message) if message.replica == replica => {}
                Ok(message) => {
                    count(&counts.received);
                    sink.publish(vec![message.event]);
                }
                Err(error) => {
                    count(&counts.malformed);
                    tracing::warn!(%error, "an event of another replica is unreadable");
                }
            }
        }
        // The connection may be dead without a word.
        timeout(SILENCE, query("SELECT 1").execute(&mut listener))
            .await
            .map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
    }
}

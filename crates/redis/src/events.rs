//! Events of every replica for the subscribers of every other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event};
use tokio::sync::watch;
use uuid::Uuid;

use crate::connect::{RedisError, RedisTarget, Task, check_prefix};
use crate::counters::{Counts, EventCounters, add};
use crate::link::Link;
use crate::queue::Queue;
use crate::read::{Place, RESPONSE, Reader};
use crate::write::Writer;

/// How events travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSettings {
    /// What all keys begin with; deployments that share a Redis need one each.
    pub prefix: String,
    /// Whether decisions and manifests travel too, or only kills, restores and changes of the
    /// registry. Each replica reads all decisions of all others: with many replicas under load
    /// that is most of what Redis costs them.
    pub decisions: bool,
    /// Events that wait while Redis is away or slow before the oldest are dropped; as many of
    /// control, apart from them.
    pub queue: usize,
    /// Bytes that those may take, of each of the two kinds.
    pub queue_bytes: usize,
    /// Bytes of one entry, which holds a group of events. Larger events are dropped.
    pub max_entry_bytes: usize,
    /// Entries that each of the two streams keeps, about.
    pub kept: usize,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            prefix: "sentinel".to_owned(),
            decisions: true,
            queue: 65_536,
            queue_bytes: 32 * 1024 * 1024,
            max_entry_bytes: 128 * 1024,
            kept: 1000,
        }
    }
}

/// The longest that writing an entry may take.
const WRITE: Duration = Duration::from_secs(2);

/// Carries events between replicas, by two Redis streams: one for control events and one for the
/// others, each with its own queue, connections and tasks, so that neither waits for the other.
///
/// As a [`Bus`] it sends this replica's events; what others send goes to the sink. Delivery is in
/// order for each replica and each kind, at most once, and nothing that must hold depends on it.
/// Everything ends when this is dropped.
#[derive(Debug)]
pub struct RedisEvents {
    control: Arc<Queue>,
    others: Option<Arc<Queue>>,
    counts: Arc<Counts>,
    epochs: watch::Receiver<Epoch>,
    following: watch::Receiver<usize>,
    _tasks: Vec<Task>,
}

impl RedisEvents {
    /// Starts the tasks; call it within a tokio runtime. Redis need not be there yet. Events of
    /// other replicas are published to `sink`, which must not send them on to this.
    ///
    /// # Errors
    /// When the prefix is not one.
    pub fn start(
        target: &RedisTarget,
        settings: EventSettings,
        sink: Arc<dyn Bus>,
    ) -> Result<Self, RedisError> {
        check_prefix(&settings.prefix)?;
        let counts = Arc::new(Counts::default());
        let (epochs, epochs_seen) = watch::channel(Epoch::default());
        let (following, readers) = watch::channel(0);
        let lanes = Lanes {
            target: target.clone(),
            replica: Uuid::new_v4(),
            counts: Arc::clone(&counts),
            epochs: Arc::new(epochs),
            following: Arc::new(following),
            sink,
            settings,
        };
        let mut tasks = Vec::new();
        let control = lanes.start(&mut tasks, "control", |counts| &counts.dropped_control);
        let others = lanes
            .settings
            .decisions
            .then(|| lanes.start(&mut tasks, "events", |counts| &counts.dropped));
        Ok(Self { control, others, counts, epochs: epochs_seen, following: readers, _tasks: tasks })
    }

    /// The newest epoch that another replica reported.
    #[must_use]
    pub fn epochs(&self) -> watch::Receiver<Epoch> {
        self.epochs.clone()
    }

    #[must_use]
    pub fn counters(&self) -> EventCounters {
        self.counts.read()
    }

    /// Whether what others publish is received just now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let readers = 1 + usize::from(self.others.is_some());
        self.counts.readers.load(Ordering::Relaxed) >= readers
    }

    /// Returns once Redis was reached and whatever others publish from then on is received.
    pub async fn following(&self) {
        let readers = 1 + usize::from(self.others.is_some());
        // An error says that the tasks are gone: nothing will be received.
        drop(self.following.clone().wait_for(|count| *count >= readers).await);
    }

    /// Returns once everything published so far is written or dropped; never while Redis is away,
    /// so give it a time limit.
    pub async fn flush(&self) {
        self.control.emptied().await;
        if let Some(others) = &self.others {
            others.emptied().await;
        }
    }
}

impl Bus for RedisEvents {
    fn publish(&self, events: Vec<Event>) {
        let (control, others): (Vec<_>, Vec<_>) = events.into_iter().partition(Event::is_control);
        if !control.is_empty() {
            add(&self.counts.dropped_control, self.control.push(control.into_iter()));
        }
        if let Some(queue) = &self.others
            && !others.is_empty()
        {
            add(&self.counts.dropped, queue.push(others.into_iter()));
        }
    }
}

struct Lanes {
    target: RedisTarget,
    replica: Uuid,
    counts: Arc<Counts>,
    epochs: Arc<watch::Sender<Epoch>>,
    following: Arc<watch::Sender<usize>>,
    sink: Arc<dyn Bus>,
    settings: EventSettings,
}

impl Lanes {
    fn start(
        &self,
        tasks: &mut Vec<Task>,
        name: &'static str,
        dropped: fn(&Counts) -> &std::sync::atomic::AtomicU64,
    ) -> Arc<Queue> {
        let stream = format!("{}:{name}", self.settings.prefix);
        let queue = Arc::new(Queue::new(self.settings.queue, self.settings.queue_bytes));
        let link =
            |response| Link::new(self.target.clone(), name, response, Arc::clone(&self.counts));
        let writer = Writer {
            link: link(WRITE),
            stream: stream.clone(),
            replica: self.replica,
            queue: Arc::clone(&queue),
            counts: Arc::clone(&self.counts),
            dropped,
            max_entry_bytes: self.settings.max_entry_bytes,
            kept: self.settings.kept,
        };
        let reader = Reader {
            link: link(RESPONSE).of_reader(),
            stream,
            replica: self.replica,
            sink: Arc::clone(&self.sink),
            epochs: Arc::clone(&self.epochs),
            following: Arc::clone(&self.following),
            counts: Arc::clone(&self.counts),
            place: Place::default(),
        };
        tasks.extend([Task::spawn(writer.run()), Task::spawn(reader.run())]);
        queue
    }
}

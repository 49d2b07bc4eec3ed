//! Sends the log to the configured destinations while this process leads.
//!
//! Each outlet has a durable cursor for each shard: the number of leaves it has processed. The
//! cursor moves only after the work is done, and repeated work changes nothing. A process may
//! therefore end at any point, and two may work at the same time. An outlet whose peer is
//! unavailable waits with increasing delays and does not block other outlets.

mod entries;
mod mirrored;
mod shard;
mod witnessed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::ports::LogStore;
use sentinel_core::store::StoreError;
use sentinel_objects::Folder;
use sentinel_provenance::log::{TrustedAuthority, TrustedLog, WitnessPolicy, WitnessPolicyError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::mirror::MirrorError;
use crate::rekor::{Rekor, RekorError};
use crate::timestamp::{TimestampError, Timestamper};
use crate::witness::{Witness, WitnessError};
use entries::Entries;
use mirrored::Mirrored;
use shard::Shard;
use witnessed::Witnessed;

/// The pause after a failure doubles from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(300);

/// Why an outlet made no progress.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    #[error("the log cannot be read: {0}")]
    Store(#[from] StoreError),
    #[error("the log is not as it was stored: {0}")]
    Log(String),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error(transparent)]
    Witness(#[from] WitnessError),
    #[error("leaf {index}: {error}")]
    Rekor { index: u64, error: RekorError },
    #[error("leaf {index}: {error}")]
    Timestamp { index: u64, error: TimestampError },
    /// Another party has a larger checkpoint of this log than we have.
    #[error(
        "{who} has a checkpoint of log `{origin}` with {theirs} leaves, and the log has {ours}: THE \
         LOG WAS ROLLED BACK, or another party signs with its key"
    )]
    RolledBack { who: String, origin: String, theirs: u64, ours: u64 },
}

impl OutletError {
    /// Whether the log was forked or rolled back, which only an operator can fix.
    #[must_use]
    pub const fn is_alarm(&self) -> bool {
        match self {
            Self::RolledBack { .. } => true,
            Self::Mirror(error) => error.is_fork(),
            Self::Witness(error) => error.is_fork(),
            _ => false,
        }
    }
}

/// Where the log is sent.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    /// The address of the mirror as it was configured, and the folder there.
    pub mirror: Option<(String, Folder)>,
    pub witnesses: Vec<Witness>,
    /// How many of them must have cosigned a checkpoint before bundles contain it.
    pub quorum: usize,
    pub rekor: Option<Rekor>,
    pub timestamper: Option<Timestamper>,
}

impl Destinations {
    /// The witnesses that a verifier requires; `None` if it requires none.
    ///
    /// # Errors
    /// When there are too few witnesses for the quorum.
    pub fn witness_policy(&self) -> Result<Option<WitnessPolicy>, WitnessPolicyError> {
        if self.witnesses.is_empty() {
            return Ok(None);
        }
        let keys = self.witnesses.iter().map(|witness| witness.key().clone()).collect();
        WitnessPolicy::new(self.quorum, keys).map(Some)
    }

    /// The other logs that a verifier of our bundles has to trust.
    #[must_use]
    pub fn trusted_logs(&self) -> Vec<TrustedLog> {
        self.rekor.as_ref().map(|rekor| rekor.trusted().logs.clone()).unwrap_or_default()
    }

    /// The timestamp authorities that it has to trust.
    #[must_use]
    pub fn trusted_authorities(&self) -> Vec<TrustedAuthority> {
        self.timestamper.iter().map(Timestamper::trusted).collect()
    }
}

/// The counters of one outlet.
#[derive(Debug)]
pub struct OutletCounts {
    /// `mirror`, `witnesses`, `rekor` or `timestamps`.
    pub name: &'static str,
    lag: AtomicU64,
    failures: AtomicU64,
    alarms: AtomicU64,
}

impl OutletCounts {
    fn of(name: &'static str) -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self { name, lag: zero(), failures: zero(), alarms: zero() })
    }

    /// Sequenced leaves that were not processed at the last check; zero on servers that do not
    /// lead.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.lag.load(Ordering::Relaxed)
    }

    /// Attempts that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Failed attempts that show a fork or a rollback of the log.
    #[must_use]
    pub fn alarms(&self) -> u64 {
        self.alarms.load(Ordering::Relaxed)
    }

    fn failed(&self, error: &OutletError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if error.is_alarm() {
            self.alarms.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The result of one step on a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There may be more work.
    Moved,
    /// There is no work at the moment.
    Idle,
}

/// One kind of destination.
#[async_trait]
trait Outlet: Send + Sync {
    fn counts(&self) -> &Arc<OutletCounts>;

    /// The pause when there is nothing to do.
    fn pause(&self) -> Duration;

    /// How many leaves of a shard were processed.
    async fn done(&self, shard: &Shard) -> Result<u64, OutletError>;

    /// Processes some of the remaining leaves, if any.
    async fn step(&self, shard: &Shard, done: u64) -> Result<Step, OutletError>;
}

/// The outlets of one process.
#[derive(Debug)]
pub struct Outlets {
    store: Arc<dyn LogStore>,
    destinations: Destinations,
    counts: Vec<Arc<OutletCounts>>,
}

impl Outlets {
    #[must_use]
    pub fn new(store: Arc<dyn LogStore>, destinations: Destinations) -> Self {
        let wanted = [
            ("mirror", destinations.mirror.is_some()),
            ("witnesses", !destinations.witnesses.is_empty()),
            ("rekor", destinations.rekor.is_some()),
            ("timestamps", destinations.timestamper.is_some()),
        ];
        let counts =
            wanted.into_iter().filter(|(_, is)| *is).map(|(name, _)| OutletCounts::of(name));
        Self { store, destinations, counts: counts.collect() }
    }

    /// The counters of each outlet.
    #[must_use]
    pub fn counts(&self) -> Vec<Arc<OutletCounts>> {
        self.counts.clone()
    }

    /// Sends while `leads` is true. Ends when its sender is dropped. Cancelling it is safe at any
    /// point.
    pub async fn run(self, leads: watch::Receiver<bool>) {
        let mut following = JoinSet::new();
        for outlet in self.outlets() {
            following.spawn(follow(outlet, Arc::clone(&self.store), leads.clone()));
        }
        while following.join_next().await.is_some() {}
    }

    fn outlets(&self) -> Vec<Arc<dyn Outlet>> {
        let Destinations { mirror, witnesses, quorum, rekor, timestamper } =
            self.destinations.clone();
        let counts = |name| self.counts.iter().find(|counts| counts.name == name).cloned();
        let mut outlets: Vec<Arc<dyn Outlet>> = Vec::new();
        if let (Some((url, folder)), Some(counts)) = (mirror, counts("mirror")) {
            outlets.push(Arc::new(Mirrored::new(&url, folder, counts)));
        }
        if let Some(counts) = counts("witnesses") {
            outlets.push(Arc::new(Witnessed::new(witnesses, quorum, counts)));
        }
        if let (Some(rekor), Some(counts)) = (rekor, counts("rekor")) {
            outlets.push(Arc::new(Entries::of_rekor(rekor, counts)));
        }
        if let (Some(timestamper), Some(counts)) = (timestamper, counts("timestamps")) {
            outlets.push(Arc::new(Entries::of_timestamper(timestamper, counts)));
        }
        outlets
    }
}

async fn follow(
    outlet: Arc<dyn Outlet>,
    store: Arc<dyn LogStore>,
    mut leads: watch::Receiver<bool>,
) {
    let mut pause = Pause::default();
    let name = outlet.counts().name;
    loop {
        if !*leads.borrow() {
            outlet.counts().lag.store(0, Ordering::Relaxed);
        }
        let may_lead = leads.wait_for(|leads| *leads).await.is_ok();
        if !may_lead || leads.has_changed().is_err() {
            return;
        }
        match look(&*outlet, &store).await {
            Ok(step) => {
                if pause.reset() {
                    tracing::info!(outlet = name, "the log is sent again");
                }
                if step == Step::Idle {
                    rest(&mut leads, outlet.pause()).await;
                }
            }
            Err(error) => {
                outlet.counts().failed(&error);
                if error.is_alarm() {
                    tracing::error!(%error, outlet = name, "THE TRANSPARENCY LOG IS NOT WHAT IT WAS; see docs/transparency.md");
                } else if pause.is_first() {
                    tracing::warn!(%error, outlet = name, "the log is not sent; trying again");
                } else {
                    tracing::debug!(%error, outlet = name, "the log is not sent");
                }
                rest(&mut leads, pause.next(error.is_alarm())).await;
            }
        }
    }
}

/// Waits, but only until the lead changes.
async fn rest(leads: &mut watch::Receiver<bool>, pause: Duration) {
    drop(tokio::time::timeout(pause, leads.changed()).await);
}

/// Processes each shard, the oldest first, because later ones continue it.
async fn look(outlet: &dyn Outlet, store: &Arc<dyn LogStore>) -> Result<Step, OutletError> {
    let mut looked = Step::Idle;
    let mut lag = 0;
    for shard in Shard::all(store).await? {
        let done = outlet.done(&shard).await?;
        lag += shard.size().saturating_sub(done);
        outlet.counts().lag.store(lag, Ordering::Relaxed);
        if shard.size() > 0 && outlet.step(&shard, done).await? == Step::Moved {
            looked = Step::Moved;
        }
    }
    Ok(looked)
}

/// The delay after failures.
#[derive(Debug, Default)]
struct Pause(Option<Duration>);

impl Pause {
    const fn is_first(&self) -> bool {
        self.0.is_none()
    }

    /// The next delay; the longest at once if a quick retry is useless.
    fn next(&mut self, longest: bool) -> Duration {
        let next = match self.0 {
            _ if longest => LAST_PAUSE,
            None => FIRST_PAUSE,
            Some(last) => (last * 2).min(LAST_PAUSE),
        };
        self.0 = Some(next);
        next
    }

    /// Returns whether there were failures.
    fn reset(&mut self) -> bool {
        self.0.take().is_some()
    }
}

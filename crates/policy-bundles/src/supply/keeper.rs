//! Keeps the policy in force what its source says, as far as that can be trusted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sentinel_policy::{EmbeddedEngine, LoadError};
use tokio::sync::Notify;

use super::disk::sha256;
use super::history::{Active, History};
use super::kept::Kept;
use super::pace::Pace;
use super::source::{BundleSource, Candidate, FetchError, Fetched};
use crate::archive::BundleLimits;
use crate::bundle::Bundle;
use crate::error::{BundleError, SupplyError};
use crate::signature::Trust;

/// Time after which a refused bundle is vetted again: the machine may have been to blame.
const VET_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// What may come into force, and where it is kept.
#[derive(Debug, Clone)]
pub struct KeeperConfig {
    /// The address of the source: what was kept of another is not used.
    pub address: String,
    /// Whose signature is needed; without, bundles must be unsigned.
    pub trust: Option<Trust>,
    pub limits: BundleLimits,
    /// A directory of this server's own, in which the last good bundle is kept.
    pub dir: Option<PathBuf>,
    /// Lets revisions come back.
    pub allow_rollback: bool,
    pub pace: Pace,
}

/// Keeps one engine supplied from one source.
#[derive(Debug)]
pub struct Keeper {
    engine: Arc<EmbeddedEngine>,
    source: Box<dyn BundleSource>,
    config: KeeperConfig,
    kept: Option<Kept>,
    state: Mutex<State>,
    /// Held while a candidate is looked at: each is compared with what the one before left.
    activating: Mutex<()>,
    wake: Notify,
}

/// How questions to the source ended, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SupplyCounts {
    pub unchanged: u64,
    pub loaded: u64,
    pub refused: u64,
    pub away: u64,
}

#[derive(Debug, Default)]
struct State {
    counts: SupplyCounts,
    history: History,
    /// Whether what must not come back could not be read: then nothing may come.
    unreadable: Option<String>,
    /// The last bundle whose policy was refused: it is not vetted again for a while.
    refused: Option<Refused>,
}

#[derive(Debug, Clone)]
struct Refused {
    sha256: String,
    why: Arc<SupplyError>,
    at: Timestamp,
}

/// What one question came to.
#[derive(Debug)]
enum Polled {
    Unchanged,
    Loaded(Arc<str>),
    Refused(Arc<SupplyError>),
    Away(String),
}

impl Keeper {
    /// Nothing is loaded yet.
    #[must_use]
    pub fn new(
        engine: Arc<EmbeddedEngine>,
        source: Box<dyn BundleSource>,
        config: KeeperConfig,
    ) -> Self {
        // An address may have a secret in its query.
        let source_name = sha256(config.address.as_bytes());
        let kept = config.dir.clone().map(|dir| Kept::new(dir, source_name));
        let (state, wake) = (Mutex::new(State::default()), Notify::new());
        Self { engine, source, config, kept, state, activating: Mutex::new(()), wake }
    }

    /// Loads what was in force last, if it is kept and still good: it is verified and vetted again.
    /// Blocks for as long as that takes.
    ///
    /// # Errors
    /// When something is kept and cannot be used. Nothing is in force then.
    pub fn restore(&self, now: Timestamp) -> Result<Option<Arc<str>>, SupplyError> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let unusable = |error: std::io::Error| {
            SupplyError::Source(format!("what was kept of the last policy cannot be used: {error}"))
        };
        let history = match kept.history() {
            Ok(Some(history)) => history,
            Ok(None) => return Ok(None),
            Err(error) => {
                let error = unusable(error);
                lock(&self.state).unreadable = Some(error.to_string());
                self.report(&error, now);
                return Err(error);
            }
        };
        lock(&self.state).history = history.clone();
        let Some(active) = history.active else { return Ok(None) };
        let restored = kept.bundle(&active).map_err(unusable).and_then(|bytes| {
            let bundle = self.open(&bytes)?;
            let source = self.engine.as_read(bundle.source(active.stated.as_deref())?);
            self.engine.load_source(source, now, || Ok::<_, SupplyError>(()))
        });
        if let Err(error) = &restored {
            // Nothing is in force, so the source must send it even if it has not changed.
            if let Some(active) = &mut lock(&self.state).history.active {
                active.tag = None;
            }
            self.report(error, now);
        }
        restored.map(Some)
    }

    /// Has the engine's status say why there is no newer policy.
    fn report(&self, error: &SupplyError, now: Timestamp) {
        match error {
            SupplyError::Source(_) => self.engine.miss(error, now),
            _ => self.engine.refuse(error, now),
        }
    }

    fn open(&self, bytes: &[u8]) -> Result<Bundle, SupplyError> {
        Ok(Bundle::open(bytes, &self.config.limits, self.config.trust.as_ref())?)
    }

    #[must_use]
    pub fn counts(&self) -> SupplyCounts {
        lock(&self.state).counts
    }

    /// Asks the source at once, whatever the pause.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Asks the source once.
    ///
    /// # Errors
    /// Why there is nothing new from it, with what is in force as it was.
    pub async fn poll(
        self: &Arc<Self>,
        now: Timestamp,
    ) -> Result<Option<Arc<str>>, Arc<SupplyError>> {
        match self.ask(now).await {
            Polled::Unchanged => Ok(None),
            Polled::Loaded(revision) => Ok(Some(revision)),
            Polled::Refused(error) => Err(error),
            Polled::Away(why) => Err(Arc::new(SupplyError::Source(why))),
        }
    }

    async fn ask(self: &Arc<Self>, now: Timestamp) -> Polled {
        let polled = self.question(now).await;
        let counts = &mut lock(&self.state).counts;
        let count = match &polled {
            Polled::Unchanged => &mut counts.unchanged,
            Polled::Loaded(_) => &mut counts.loaded,
            Polled::Refused(_) => &mut counts.refused,
            Polled::Away(_) => &mut counts.away,
        };
        *count += 1;
        polled
    }

    async fn question(self: &Arc<Self>, now: Timestamp) -> Polled {
        let known = lock(&self.state).history.active.as_ref().and_then(|active| active.tag.clone());
        match self.source.fetch(known.as_deref()).await {
            Err(FetchError::Untrusted(why)) => {
                let error = SupplyError::Bundle(BundleError::Signature(why));
                self.report(&error, now);
                Polled::Refused(Arc::new(error))
            }
            Err(FetchError::Away(why)) => {
                self.report(&SupplyError::Source(why.clone()), now);
                Polled::Away(why)
            }
            Ok(Fetched::Unchanged) => {
                self.engine.confirm(now);
                Polled::Unchanged
            }
            Ok(Fetched::Bundle(candidate)) => {
                let keeper = Arc::clone(self);
                let activating = move || keeper.activate(&candidate, now);
                match tokio::task::spawn_blocking(activating).await {
                    Ok(polled) => polled,
                    Err(error) => Polled::Away(error.to_string()),
                }
            }
        }
    }

    /// Puts a candidate in force, if it may. Blocks while it is vetted.
    fn activate(&self, candidate: &Candidate, now: Timestamp) -> Polled {
        let _one_at_a_time = lock(&self.activating);
        let hash = sha256(&candidate.bytes);
        let refused = lock(&self.state).refused.clone();
        if let Some(Refused { sha256, why, at }) = refused
            && sha256 == hash
            && now.duration_since(at) < VET_AGAIN
        {
            self.report(&why, now);
            return Polled::Refused(why);
        }
        match self.try_activate(candidate, &hash, now) {
            Ok(polled) => polled,
            Err(error) => {
                self.report(&error, now);
                let why = Arc::new(error);
                // Anything else is cheap to find, or passes.
                if is_of_vetting(&why) {
                    let refused = Refused { sha256: hash, why: Arc::clone(&why), at: now };
                    lock(&self.state).refused = Some(refused);
                }
                Polled::Refused(why)
            }
        }
    }

    fn try_activate(
        &self,
        candidate: &Candidate,
        hash: &str,
        now: Timestamp,
    ) -> Result<Polled, SupplyError> {
        let bundle = self.open(&candidate.bytes)?;
        let source = self.engine.as_read(bundle.source(candidate.revision.as_deref())?);
        let source = source.with_tests(candidate.tests.clone());
        let (history, unreadable) = {
            let state = lock(&self.state);
            (state.history.clone(), state.unreadable.clone())
        };
        if !self.config.allow_rollback {
            if let Some(unreadable) = unreadable {
                return Err(SupplyError::Rollback(unreadable));
            }
            history.admit(source.revision(), source.digest())?;
        }
        let same = history.active.as_ref().is_some_and(|active| {
            active.revision == **source.revision() && active.digest == source.digest()
        });
        let active = Active {
            revision: source.revision().to_string(),
            digest: source.digest().to_owned(),
            sha256: hash.to_owned(),
            tag: candidate.tag.clone(),
            stated: candidate.revision.clone(),
            at: now,
        };
        let next = history.with(active);
        let keep = || match &self.kept {
            Some(kept) => kept
                .keep(&next, Some(&candidate.bytes))
                .map_err(|error| SupplyError::NotKept(error.to_string())),
            None => Ok(()),
        };
        // In force under another tag; unless it could not be restored, it stays as it is.
        let in_force = self.engine.in_force().as_deref() == Some(&**source.revision());
        if same && in_force {
            // A server without tags sends it each time, and there is nothing to keep then.
            let kept = |active: &Active| active.tag == candidate.tag && active.sha256 == hash;
            if !history.active.as_ref().is_some_and(kept) {
                keep()?;
                lock(&self.state).history = next;
            }
            self.engine.confirm(now);
            return Ok(Polled::Unchanged);
        }
        let revision = self.engine.load_source(source, now, keep)?;
        let mut state = lock(&self.state);
        (state.history, state.refused, state.unreadable) = (next, None, None);
        Ok(Polled::Loaded(revision))
    }

    /// Asks from time to time, for as long as it is polled. Each change of what is wrong is logged.
    pub async fn run(self: Arc<Self>, now: impl Fn() -> Timestamp) {
        let (mut failures, mut reported) = (0_u32, None);
        loop {
            let polled = tokio::select! {
                polled = self.ask(now()) => polled,
                // The wait for the source is broken off. What is being vetted already goes on, and
                // the next candidate waits for it.
                () = self.wake.notified() => continue,
            };
            let trouble = match &polled {
                Polled::Unchanged => None,
                Polled::Loaded(revision) => {
                    tracing::info!(%revision, "the policy was loaded again");
                    None
                }
                Polled::Refused(error) => Some(error.to_string()),
                Polled::Away(why) => Some(why.clone()),
            };
            if reported != trouble {
                match (&trouble, &polled) {
                    (Some(error), Polled::Away(_)) => tracing::warn!(
                        %error, "the source of the policy does not answer; it is asked again"
                    ),
                    (Some(error), _) if self.engine.in_force().is_none() => tracing::error!(
                        %error,
                        "the bundle was refused; there still is none in force: every check is denied"
                    ),
                    (Some(error), _) => tracing::error!(
                        %error, "the bundle was refused; the policy before stays in force"
                    ),
                    (None, Polled::Unchanged) => {
                        tracing::info!("the policy in force is what its source says, again");
                    }
                    (None, _) => {}
                }
                reported = trouble;
            }
            let trouble = matches!(polled, Polled::Away(_) | Polled::Refused(_));
            let away = matches!(polled, Polled::Away(_));
            failures = if away { failures.saturating_add(1) } else { 0 };
            let pause = self.source.pause(trouble).unwrap_or_else(|| match failures {
                0 => self.config.pace.pause(),
                _ => self.config.pace.retry(failures - 1),
            });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }
}

/// Whether vetting is why a bundle was refused: that is costly to find out again.
fn is_of_vetting(error: &SupplyError) -> bool {
    matches!(error, SupplyError::Load(LoadError::Refused(_) | LoadError::VettingFailed(_)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

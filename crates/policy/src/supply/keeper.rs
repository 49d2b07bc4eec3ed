//! Keeps the policy in force what its source says, as far as that can be trusted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::history::{Active, History};
use super::kept::Kept;
use super::{BundleSource, Candidate, FetchError, Fetched, sha256};
use crate::bundle::{Bundle, BundleError, BundleLimits, Trust};
use crate::embedded::{EmbeddedEngine, lock};
use crate::error::LoadError;

/// Time after which a refused bundle is vetted again: the machine may have been to blame.
const VET_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// The first pause after a failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// How often a source is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A random time between the two lies between two questions, so that servers do not ask all at
    /// once. After failures it begins with less and grows up to `max_delay`.
    pub min_delay: Duration,
    pub max_delay: Duration,
    /// A number from 0 to 1, another one each time.
    pub random: fn() -> f64,
}

impl Pace {
    fn pause(&self) -> Duration {
        let between = self.max_delay.saturating_sub(self.min_delay);
        self.min_delay + between.mul_f64((self.random)().clamp(0.0, 1.0))
    }

    fn retry(&self, failures: u32) -> Duration {
        let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.min(16)));
        let most = doubled.min(self.max_delay);
        most.mul_f64(0.5 + 0.5 * (self.random)().clamp(0.0, 1.0))
    }
}

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
    why: Arc<LoadError>,
    at: Timestamp,
}

/// What one question came to.
#[derive(Debug)]
enum Polled {
    Unchanged,
    Loaded(Arc<str>),
    Refused(Arc<LoadError>),
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

    /// Loads what was in force last, if it is kept and still good: it is verified and vetted anew.
    /// Blocks for as long as that takes.
    ///
    /// # Errors
    /// When something is kept and cannot be used. Nothing is in force then.
    pub fn restore(&self, now: Timestamp) -> Result<Option<Arc<str>>, LoadError> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let unusable = |error: std::io::Error| {
            LoadError::Source(format!("what was kept of the last policy cannot be used: {error}"))
        };
        let history = match kept.history() {
            Ok(Some(history)) => history,
            Ok(None) => return Ok(None),
            Err(error) => {
                let error = unusable(error);
                lock(&self.state).unreadable = Some(error.to_string());
                self.engine.refuse(&error, now);
                return Err(error);
            }
        };
        lock(&self.state).history = history.clone();
        let Some(active) = history.active else { return Ok(None) };
        let restored = kept.bundle(&active).map_err(unusable).and_then(|bytes| {
            let bundle = self.open(&bytes)?;
            let source = self.engine.as_read(bundle.source(active.stated.as_deref())?);
            self.engine.load_source(source, now, || Ok(()))
        });
        if let Err(error) = &restored {
            // Nothing is in force, so the source must send it even if it has not changed.
            if let Some(active) = &mut lock(&self.state).history.active {
                active.tag = None;
            }
            self.engine.refuse(error, now);
        }
        restored.map(Some)
    }

    fn open(&self, bytes: &[u8]) -> Result<Bundle, LoadError> {
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
    ) -> Result<Option<Arc<str>>, Arc<LoadError>> {
        match self.ask(now).await {
            Polled::Unchanged => Ok(None),
            Polled::Loaded(revision) => Ok(Some(revision)),
            Polled::Refused(error) => Err(error),
            Polled::Away(why) => Err(Arc::new(LoadError::Source(why))),
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
                let error = LoadError::Bundle(BundleError::Signature(why));
                self.engine.refuse(&error, now);
                Polled::Refused(Arc::new(error))
            }
            Err(FetchError::Away(why)) => {
                self.engine.refuse(&LoadError::Source(why.clone()), now);
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
            self.engine.refuse(&why, now);
            return Polled::Refused(why);
        }
        match self.try_activate(candidate, &hash, now) {
            Ok(polled) => polled,
            Err(error) => {
                self.engine.refuse(&error, now);
                let why = Arc::new(error);
                // Anything else is cheap to find, or passes.
                if matches!(*why, LoadError::Refused(_) | LoadError::VettingFailed(_)) {
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
    ) -> Result<Polled, LoadError> {
        let bundle = self.open(&candidate.bytes)?;
        let mut source = self.engine.as_read(bundle.source(candidate.revision.as_deref())?);
        source.tests.clone_from(&candidate.tests);
        let (history, unreadable) = {
            let state = lock(&self.state);
            (state.history.clone(), state.unreadable.clone())
        };
        if !self.config.allow_rollback {
            if let Some(unreadable) = unreadable {
                return Err(LoadError::Rollback(unreadable));
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
                .map_err(|error| LoadError::NotKept(error.to_string())),
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
        let (mut failures, mut told) = (0_u32, None);
        loop {
            let polled = tokio::select! {
                polled = self.ask(now()) => polled,
                // The wait for an answer is broken off. What is being vetted already goes on, and
                // the next candidate waits for it.
                () = self.wake.notified() => continue,
            };
            let trouble = match &polled {
                Polled::Unchanged => None,
                Polled::Loaded(revision) => {
                    tracing::info!(%revision, "the policy was loaded anew");
                    None
                }
                Polled::Refused(error) => Some(error.to_string()),
                Polled::Away(why) => Some(why.clone()),
            };
            if told != trouble {
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
                told = trouble;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_spread_and_failures_back_off_up_to_the_longest_pause() {
        let seconds = Duration::from_secs;
        let pace = |random| Pace { min_delay: seconds(30), max_delay: seconds(60), random };
        let (least, middle, most) = (pace(|| 0.0), pace(|| 0.5), pace(|| 1.0));
        assert_eq!((least.pause(), middle.pause()), (seconds(30), seconds(45)));
        assert_eq!(most.pause(), seconds(60));
        let retries: Vec<_> = [0, 1, 2, 6, 7, 1_000].map(|n| most.retry(n)).to_vec();
        let expected = [500, 1_000, 2_000, 32_000, 60_000, 60_000].map(Duration::from_millis);
        assert_eq!(retries, expected);
        assert_eq!(least.retry(2), seconds(1), "half of it at least");
        // What is configured upside down is no reason to ask without pause, nor to panic.
        let odd = Pace { min_delay: seconds(5), max_delay: seconds(1), random: || f64::MAX };
        assert_eq!((odd.pause(), odd.retry(9)), (seconds(5), seconds(1)));
    }
}

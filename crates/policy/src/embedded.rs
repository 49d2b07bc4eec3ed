//! The embedded engine: the interpreter, on threads of its own.
//!
//! What is in force is one immutable [`Snapshot`] behind an atomic pointer; the data that people
//! put beside it comes with each question, in the version that the decision rests on. A thread that
//! asks looks whether it knows the decision; otherwise it hands the question to a [`Pool`], whose
//! threads each keep a clone of the interpreter and refresh it when policy or data have changed. So
//! a decision is made by exactly one revision, and whatever a policy does, the threads that serve
//! go on: the caller gets [`PolicyError::TimedOut`] when the limit is over.
//!
//! Whatever thread evaluates, [`guarded`](sentinel_policy_analysis::interpreter::guarded) makes
//! sure that there is room on its stack.

use std::fmt::Display;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::id::RolloutId;
use sentinel_core::policy::{
    Candidate, CandidateEngine, CandidateRefused, DataPlace, PolicyDecision, PolicyEngine,
    PolicyError, PolicyInput, PolicyModule, PolicyStatus,
};
use sentinel_core::policy_data::DataPath;
use sentinel_core::rollout::{PolicyFiles, PolicyState, RolloutReport};
use sentinel_policy_analysis::Vetted;
use tokio::sync::{oneshot, watch};

use crate::asked::{Reply, Waiting};
use crate::asker::{self, Posed};
use crate::candidate::{self, Candidates};
use crate::config::EmbeddedConfig;
use crate::error::LoadError;
use crate::evaluation::Evaluation;
use crate::ground::{self, Snapshot};
use crate::grounds::Grounds;
use crate::lock::lock;
use crate::pool::{Limits, Pool, PoolCounts};
use crate::reaper::discard;

const ENGINE: &str = "embedded";

/// Evaluations that may wait; a server lets fewer checks in.
const WAITING: usize = 1 << 20;
/// How often the hard limit fits into the time after which no caller waits any more, the wait for a
/// thread included.
const PATIENCE: u32 = 4;
/// Time that data which was put may take to be prepared, before what waits for it is denied.
const PREPARATION: Duration = Duration::from_secs(30);

/// The embedded engine. With nothing loaded it returns [`PolicyError::NoPolicy`].
pub struct EmbeddedEngine {
    pub(crate) config: EmbeddedConfig,
    snapshot: ArcSwapOption<Snapshot>,
    grounds: Arc<Grounds>,
    /// Started by the first evaluation.
    pool: OnceLock<Result<Pool<Evaluation>, PolicyError>>,
    candidates: Candidates,
    status: Mutex<PolicyStatus>,
    /// Held while loading, so that of two loads the later one wins.
    loading: Mutex<()>,
    /// Notified after each load, however it ended.
    loads: watch::Sender<()>,
}

impl std::fmt::Debug for EmbeddedEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedEngine").field("status", &*lock(&self.status)).finish()
    }
}

impl EmbeddedEngine {
    #[must_use]
    pub fn new(config: EmbeddedConfig) -> Self {
        let status = PolicyStatus {
            revision: None,
            engine: ENGINE,
            loaded_at: None,
            error: None,
            refused_at: None,
            away: false,
            author: None,
            digest: None,
        };
        Self {
            config,
            snapshot: ArcSwapOption::empty(),
            grounds: Arc::default(),
            pool: OnceLock::new(),
            candidates: Candidates::default(),
            status: Mutex::new(status),
            loading: Mutex::new(()),
            loads: watch::Sender::default(),
        }
    }

    /// Changes after each load, once [`PolicyEngine::status`] reports how it ended.
    #[must_use]
    pub fn loads(&self) -> watch::Receiver<()> {
        self.loads.subscribe()
    }

    /// Puts a vetted policy in force, at once for every decision that starts afterwards.
    ///
    /// # Errors
    /// When it cannot be built or decides nothing. What was in force stays in force.
    pub fn install(&self, policy: &Vetted, now: Timestamp) -> Result<Arc<str>, LoadError> {
        let _one_at_a_time = lock(&self.loading);
        let installed = self.try_install(policy, now, || Ok::<_, LoadError>(()));
        self.remember(&installed, now);
        installed
    }

    /// Remembers how a load ended, for the status.
    pub(crate) fn remember<T, E: Display>(&self, outcome: &Result<T, E>, now: Timestamp) {
        self.set_error(outcome.as_ref().err().map(ToString::to_string), false, now);
    }

    /// `away` says that the source gave no policy, rather than one that was refused.
    pub(crate) fn set_error(&self, error: Option<String>, away: bool, now: Timestamp) {
        let mut status = lock(&self.status);
        status.away = away;
        if error != status.error {
            status.refused_at = error.as_ref().map(|_| now);
            status.error = error;
        }
        drop(status);
        self.loads.send_replace(());
    }

    /// The revision in force.
    #[must_use]
    pub fn in_force(&self) -> Option<Arc<str>> {
        self.snapshot.load().as_ref().map(|snapshot| Arc::clone(&snapshot.revision))
    }

    pub(crate) fn loading(&self) -> MutexGuard<'_, ()> {
        lock(&self.loading)
    }

    /// `keep` is called once nothing else can refuse it: what is kept is what a restart begins
    /// with.
    pub(crate) fn try_install<E: From<LoadError>>(
        &self,
        policy: &Vetted,
        now: Timestamp,
        keep: impl FnOnce() -> Result<(), E>,
    ) -> Result<Arc<str>, E> {
        let snapshot = Snapshot::new(policy, &self.config)?;
        if let Some(data) = self.grounds.data()
            && let Some((path, owner)) = snapshot.collision(&data)
        {
            return Err(LoadError::DataInTheWay { path: path.to_string(), owner }.into());
        }
        keep()?;
        let revision = Arc::clone(&snapshot.revision);
        let (author, digest) = (snapshot.author.clone(), snapshot.digest.clone());
        let mut status = lock(&self.status);
        let old = self.snapshot.swap(Some(Arc::new(snapshot)));
        status.revision = Some(revision.as_ref().to_owned());
        status.author = author;
        status.digest = Some(digest);
        status.loaded_at = Some(now);
        drop(status);
        discard(old);
        Ok(revision)
    }

    /// Decides one call and waits for that: not to be called by a task.
    ///
    /// # Errors
    /// As [`PolicyEngine::evaluate`].
    pub fn decide(&self, input: &PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let outcome = self.evaluated_here(input);
        self.compare(input, &outcome);
        outcome
    }

    /// Decides one call, without ever keeping the thread of the task for longer than it takes to
    /// write the question down.
    pub(crate) async fn ask(&self, input: &PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let outcome = self.evaluated(input).await;
        self.compare(input, &outcome);
        outcome
    }

    fn compare(&self, input: &PolicyInput<'_>, decided: &Result<PolicyDecision, PolicyError>) {
        if let Some(rollout) = &input.state.monitored {
            self.candidates.compare(rollout, input, decided, &self.config);
        }
    }

    async fn evaluated(&self, input: &PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let mut posed = self.pose(input)?;
        if let Posed::Unprepared(snapshot) = posed {
            let preparing = self.grounds.prepare(snapshot, Arc::clone(&input.state.data));
            let ground = tokio::time::timeout(PREPARATION, preparing).await;
            posed = asker::open(ground.map_err(|_| PolicyError::TimedOut)??, input);
        }
        if let Posed::Known(decision) = posed {
            return Ok(decision);
        }
        let (sender, receiver) = oneshot::channel();
        self.submit(posed, Reply::Task(sender))?;
        let outcome = tokio::time::timeout(self.config.hard_limit * PATIENCE, receiver).await;
        let outcome = outcome.map_err(|_| PolicyError::TimedOut)?;
        outcome.unwrap_or_else(|_| Err(broken_off()))
    }

    fn evaluated_here(&self, input: &PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let mut posed = self.pose(input)?;
        if let Posed::Unprepared(snapshot) = posed {
            posed = asker::open(self.grounds.make(&snapshot, &input.state.data)?, input);
        }
        if let Posed::Known(decision) = posed {
            return Ok(decision);
        }
        let (sender, receiver) = sync_channel(1);
        self.submit(posed, Reply::Thread(sender))?;
        let outcome = receiver.recv_timeout(self.config.hard_limit * PATIENCE);
        outcome.unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(PolicyError::TimedOut),
            RecvTimeoutError::Disconnected => Err(broken_off()),
        })
    }

    /// Poses a question on this thread; nothing is evaluated here.
    fn pose(&self, input: &PolicyInput<'_>) -> Result<Posed, PolicyError> {
        // Most decisions are the source's, and take no reference that other threads count, too.
        let source = self.snapshot.load();
        let promoted = self.promoted(source.as_ref(), input.state)?;
        let snapshot = promoted.as_ref().or(source.as_ref()).ok_or(PolicyError::NoPolicy)?;
        if let Some(posed) = asker::pose(snapshot, input) {
            return Ok(posed);
        }
        match self.grounds.at_hand(snapshot, &input.state.data) {
            None => Ok(Posed::Unprepared(Arc::clone(snapshot))),
            Some(ground) => {
                let ground = ground?;
                asker::know(Arc::clone(&ground));
                Ok(asker::pose(snapshot, input).unwrap_or_else(|| asker::open(ground, input)))
            }
        }
    }

    /// Has a question evaluated, or has `reply` wait with those who asked the same.
    fn submit(&self, posed: Posed, reply: Reply) -> Result<(), PolicyError> {
        let (evaluation, asked) = match posed {
            Posed::Open(evaluation, asked) => (evaluation, asked),
            Posed::Asked(asked) => {
                asked.add(reply);
                return Ok(());
            }
            Posed::Known(decision) => {
                reply.send(Ok(decision));
                return Ok(());
            }
            Posed::Unprepared(_) => return Err(PolicyError::NoPolicy),
        };
        let waiting = match asked {
            None => Waiting::One(reply),
            Some(asked) => {
                asked.add(reply);
                Waiting::All(asked)
            }
        };
        let refused = match self.pool.get_or_init(|| self.start()) {
            // Full or exhausted: nothing would be evaluated in time.
            Ok(pool) => pool
                .submit(evaluation, waiting)
                .err()
                .map(|(_, waiting)| (waiting, PolicyError::TimedOut)),
            Err(error) => Some((waiting, error.clone())),
        };
        if let Some((waiting, error)) = refused {
            waiting.tell(Err(error));
        }
        Ok(())
    }

    fn start(&self) -> Result<Pool<Evaluation>, PolicyError> {
        let EmbeddedConfig { threads, stuck_threads: spares, hard_limit: time, .. } = self.config;
        let limits = Limits { threads, waiting: WAITING, time, spares };
        Pool::start("policy", limits).map_err(|error| {
            tracing::error!(%error, "nothing can be evaluated: EVERY CHECK IS DENIED");
            PolicyError::Failed(format!("the threads that evaluate cannot be started: {error}"))
        })
    }

    /// How the threads that evaluate fare.
    #[must_use]
    pub fn pool(&self) -> PoolCounts {
        self.pool.get().and_then(|pool| pool.as_ref().ok()).map(Pool::counts).unwrap_or_default()
    }

    /// How the thread that compares candidates fares.
    #[must_use]
    pub fn candidate_pool(&self) -> PoolCounts {
        self.candidates.pool()
    }

    /// The candidate that decides in place of what the source brought: one that was promoted over
    /// exactly that. One that is not here yet denies: the source's policy is no longer in force.
    fn promoted(
        &self,
        source: Option<&Arc<Snapshot>>,
        state: &PolicyState,
    ) -> Result<Option<Arc<Snapshot>>, PolicyError> {
        let Some(promoted) = &state.promoted else { return Ok(None) };
        if source.is_some_and(|source| Some(&source.digest) != promoted.over.as_ref()) {
            return Ok(None);
        }
        match self.candidates.get(promoted.id) {
            Some(snapshot) => Ok(Some(snapshot)),
            None => {
                let why = "the promoted policy is being loaded".to_owned();
                Err(PolicyError::Unavailable(why))
            }
        }
    }

    /// What decides under `state`, if anything does.
    fn deciding(&self, state: &PolicyState) -> Option<Arc<Snapshot>> {
        let source = self.snapshot.load_full();
        self.promoted(source.as_ref(), state).ok()?.or(source)
    }
}

fn broken_off() -> PolicyError {
    PolicyError::Failed("the evaluation broke off".to_owned())
}

#[async_trait]
impl PolicyEngine for EmbeddedEngine {
    async fn evaluate(&self, input: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        self.ask(&input).await
    }

    fn weighs_usage(&self, state: &PolicyState) -> bool {
        let weighs = |snapshot: &Arc<Snapshot>| snapshot.weighs_usage;
        match &state.promoted {
            None => self.snapshot.load().as_ref().is_none_or(weighs),
            Some(_) => self.deciding(state).as_ref().is_none_or(weighs),
        }
    }

    fn status(&self) -> PolicyStatus {
        lock(&self.status).clone()
    }

    fn is_stuck(&self) -> bool {
        self.pool.get().and_then(|pool| pool.as_ref().ok()).is_some_and(Pool::is_exhausted)
    }

    fn data_place(&self, path: &DataPath) -> DataPlace {
        let candidates = self.candidates.snapshots();
        let mut all = self.snapshot.load_full().into_iter().chain(candidates);
        match all.find_map(|snapshot| snapshot.owned.owner(path)) {
            Some(owner) => DataPlace::Owned(owner),
            None => DataPlace::Free,
        }
    }

    fn candidates(&self) -> Option<&dyn CandidateEngine> {
        Some(self)
    }

    fn observe(&self, state: &PolicyState) {
        if let Some(snapshot) = self.deciding(state) {
            // A failure is the outcome of each decision, and was logged.
            drop(self.grounds.make(&snapshot, &state.data));
        }
    }

    fn revision(&self, state: &PolicyState) -> Option<String> {
        let snapshot = self.deciding(state)?;
        let revision = match self.grounds.at_hand(&snapshot, &state.data) {
            Some(ground) => Arc::clone(&ground.ok()?.revision),
            // Not made here: what asks for this serves.
            None if snapshot.collision(&state.data).is_some() => return None,
            None => ground::revision(&snapshot, &state.data),
        };
        Some(revision.as_ref().to_owned())
    }

    fn modules(&self, state: &PolicyState) -> Vec<PolicyModule> {
        self.deciding(state).map_or_else(Vec::new, |snapshot| snapshot.modules.clone())
    }
}

impl CandidateEngine for EmbeddedEngine {
    fn load_candidate(
        &self,
        id: RolloutId,
        files: &PolicyFiles,
    ) -> Result<Candidate, CandidateRefused> {
        if let Some(known) = self.candidates.get(id) {
            return Ok(candidate::describe(&known, &[]));
        }
        let data = self.grounds.data();
        let loaded = self.candidates.load(id, files, &self.config, data.as_deref());
        loaded.map_err(|error| CandidateRefused(error.to_string()))
    }

    fn has_candidate(&self, id: RolloutId) -> bool {
        self.candidates.get(id).is_some()
    }

    fn refuses_candidate(&self, id: RolloutId) -> bool {
        self.candidates.refused(id).is_some()
    }

    fn keep_candidates(&self, ids: &[RolloutId]) {
        self.candidates.keep(ids);
    }

    fn rollout(&self, id: RolloutId) -> Option<RolloutReport> {
        self.candidates.report(id)
    }
}

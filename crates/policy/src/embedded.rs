//! The embedded engine: the interpreter, one clone of it for each thread.
//!
//! What is in force is one immutable [`Snapshot`] behind an atomic pointer; the data that people put
//! beside it comes with each question, in the version that the decision rests on. Each thread keeps a
//! clone of the interpreter with both and refreshes it when one of them has changed, so a decision
//! is made by exactly one revision and no two threads wait for each other.
//!
//! Whatever thread evaluates, [`crate::stack`] sees to it that there is room.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use jiff::Timestamp;
use regorus::{Engine, LimitError, Value};
use sentinel_core::id::RolloutId;
use sentinel_core::policy::{
    Candidate, DataPlace, PolicyDecision, PolicyEngine, PolicyError, PolicyInput, PolicyModule,
    PolicyStatus,
};
use sentinel_core::policy_data::{DataPath, PolicyData};
use sentinel_core::rollout::{PolicyState, RolloutReport};
use sentinel_core::store::PolicyFiles;
use tokio::sync::watch;

use crate::build::Shape;
use crate::candidate::Candidates;
use crate::document;
use crate::error::LoadError;
use crate::ground::{Ground, Snapshot};
use crate::input::InputBuilder;
use crate::memo::Memo;
use crate::source::SourceLimits;
use crate::stack::guarded;
use crate::vet::{Vetted, Vetter};

const ENGINE: &str = "embedded";

/// How policy is loaded and evaluated.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Time that one rule may take.
    pub time_limit: Duration,
    pub limits: SourceLimits,
    /// Without one, no directory can be loaded.
    pub vetter: Option<Vetter>,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { time_limit: Duration::from_millis(5), limits: SourceLimits::default(), vetter: None }
    }
}

/// The last ground that was made, or why it could not be.
struct Made {
    snapshot: Arc<Snapshot>,
    data: Arc<PolicyData>,
    ground: Result<Arc<Ground>, PolicyError>,
}

/// The embedded engine. With nothing loaded it answers [`PolicyError::NoPolicy`].
pub struct EmbeddedEngine {
    pub(crate) config: EmbeddedConfig,
    snapshot: ArcSwapOption<Snapshot>,
    /// With the data that was put last; held while the next is made, so that it is made once.
    made: Mutex<Option<Made>>,
    candidates: Candidates,
    status: Mutex<PolicyStatus>,
    /// Held while loading, so that of two loads the later one wins.
    loading: Mutex<()>,
    /// Told after each load, whatever came of it.
    loads: watch::Sender<()>,
}

impl std::fmt::Debug for EmbeddedEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedEngine").field("status", &*lock(&self.status)).finish()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            made: Mutex::new(None),
            candidates: Candidates::default(),
            status: Mutex::new(status),
            loading: Mutex::new(()),
            loads: watch::Sender::default(),
        }
    }

    /// Changes after each load, once [`PolicyEngine::status`] tells what came of it.
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
        let installed = self.try_install(policy, now, || Ok(()));
        self.remember(&installed, now);
        installed
    }

    pub(crate) fn remember<T>(
        &self,
        outcome: &Result<T, impl std::borrow::Borrow<LoadError>>,
        now: Timestamp,
    ) {
        let error = outcome.as_ref().err().map(std::borrow::Borrow::borrow);
        let away = matches!(error, Some(LoadError::Source(_)));
        let error = error.map(ToString::to_string);
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
    pub(crate) fn in_force(&self) -> Option<Arc<str>> {
        self.snapshot.load().as_ref().map(|snapshot| Arc::clone(&snapshot.revision))
    }

    pub(crate) fn loading(&self) -> MutexGuard<'_, ()> {
        lock(&self.loading)
    }

    /// `keep` is called once nothing else can refuse it: what is kept is what a restart begins with.
    pub(crate) fn try_install(
        &self,
        policy: &Vetted,
        now: Timestamp,
        keep: impl FnOnce() -> Result<(), LoadError>,
    ) -> Result<Arc<str>, LoadError> {
        let snapshot = Snapshot::new(policy, &self.config)?;
        if let Some(made) = &*lock(&self.made)
            && let Some((path, owner)) = snapshot.collision(&made.data)
        {
            return Err(LoadError::DataInTheWay { path: path.to_string(), owner });
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

    /// Decides one call on this thread, in the time limit for each rule.
    ///
    /// # Errors
    /// As [`PolicyEngine::evaluate`].
    pub fn decide(&self, input: &PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let outcome = self.answer(input);
        if let Some(rollout) = &input.state.monitored {
            self.candidates.compare(rollout, input, &outcome);
        }
        outcome
    }

    fn answer(&self, input: &PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        // Most decisions are the source's, and take no reference that other threads count, too.
        let source = self.snapshot.load();
        let promoted = self.promoted(source.as_ref(), input.state)?;
        let snapshot = promoted.as_ref().or(source.as_ref()).ok_or(PolicyError::NoPolicy)?;
        let data = &input.state.data;
        WORKER.with_borrow_mut(|slot| {
            let worker = match slot.take() {
                Some(worker) if worker.ground.is(snapshot, data) => worker,
                old => match self.ground(snapshot, data) {
                    Ok(ground) => {
                        let input = old.map_or_else(InputBuilder::new, Worker::retire);
                        Worker::new(ground, input)
                    }
                    Err(error) => {
                        *slot = old;
                        return Err(error);
                    }
                },
            };
            let (outcome, worker) = worker.run(input);
            *slot = worker;
            outcome
        })
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

    /// The policy with the data, made by the first thread that needs it.
    fn ground(
        &self,
        snapshot: &Arc<Snapshot>,
        data: &Arc<PolicyData>,
    ) -> Result<Arc<Ground>, PolicyError> {
        let mut made = lock(&self.made);
        if let Some(made) = &*made
            && Arc::ptr_eq(&made.snapshot, snapshot)
            && Arc::ptr_eq(&made.data, data)
        {
            return made.ground.clone();
        }
        let before = made.as_ref().and_then(|made| made.ground.as_ref().ok());
        let ground = Ground::new(snapshot, data, before.map(AsRef::as_ref))
            .map(Arc::new)
            .map_err(PolicyError::Failed);
        if let Err(error) = &ground {
            tracing::error!(%error, "nothing can be decided: EVERY CHECK IS DENIED");
        }
        let (snapshot, data) = (Arc::clone(snapshot), Arc::clone(data));
        let old = made.replace(Made { snapshot, data, ground: ground.clone() });
        drop(made);
        discard(old);
        ground
    }
}

#[async_trait]
impl PolicyEngine for EmbeddedEngine {
    async fn evaluate(&self, input: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        self.decide(&input)
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

    fn data_place(&self, path: &DataPath) -> DataPlace {
        let candidates = self.candidates.snapshots();
        let mut all = self.snapshot.load_full().into_iter().chain(candidates);
        match all.find_map(|snapshot| snapshot.owned.owner(path)) {
            Some(owner) => DataPlace::Owned(owner),
            None => DataPlace::Free,
        }
    }

    fn takes_candidates(&self) -> bool {
        true
    }

    fn load_candidate(&self, id: RolloutId, files: &PolicyFiles) -> Result<Candidate, String> {
        if let Some(known) = self.candidates.get(id) {
            return Ok(crate::candidate::describe(&known, &[]));
        }
        let data = lock(&self.made).as_ref().map(|made| Arc::clone(&made.data));
        self.candidates.load(id, files, &self.config, data.as_deref()).map_err(|e| e.to_string())
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

    fn observe(&self, state: &PolicyState) {
        if let Some(snapshot) = self.deciding(state) {
            // A failure is told by each decision, and was logged.
            drop(self.ground(&snapshot, &state.data));
        }
    }

    fn revision(&self, state: &PolicyState) -> Option<String> {
        let ground = self.ground(&self.deciding(state)?, &state.data).ok()?;
        Some(ground.revision.as_ref().to_owned())
    }

    fn modules(&self, state: &PolicyState) -> Vec<PolicyModule> {
        self.deciding(state).map_or_else(Vec::new, |snapshot| snapshot.modules.clone())
    }
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// One thread's clone of the interpreter. The fields drop in this order.
struct Worker {
    engine: Engine,
    input: InputBuilder,
    memo: Memo,
    ground: Arc<Ground>,
}

impl Worker {
    fn new(ground: Arc<Ground>, input: InputBuilder) -> Self {
        let memo = Memo::new(ground.snapshot.reads);
        Self { engine: ground.engine.clone(), input, memo, ground }
    }

    /// Keeps the values of tools and keys; the rest may be large, and is dropped elsewhere.
    fn retire(self) -> InputBuilder {
        discard((self.engine, self.memo, self.ground));
        self.input
    }

    fn run(self, input: &PolicyInput<'_>) -> (Result<PolicyDecision, PolicyError>, Option<Self>) {
        let Some(question) = self.memo.question(input) else { return self.evaluate(input) };
        if let Some(known) = self.memo.get(&question) {
            return (Ok(known), Some(self));
        }
        let (decision, mut worker) = self.evaluate(input);
        if let (Ok(decision), Some(worker)) = (&decision, &mut worker) {
            worker.memo.keep(question, decision);
        }
        (decision, worker)
    }

    /// Evaluates. The worker comes back only when the interpreter answered: after an error or a
    /// panic its state is unknown, so the next decision starts from a new clone.
    fn evaluate(
        mut self,
        input: &PolicyInput<'_>,
    ) -> (Result<PolicyDecision, PolicyError>, Option<Self>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.answers(input)));
        match outcome {
            Ok(Ok(answers)) => {
                let decision = answers.read(input.usage, &self.ground.revision);
                (decision, Some(self))
            }
            Ok(Err(error)) => (Err(error), None),
            Err(_) => (Err(PolicyError::Failed("the interpreter panicked".to_owned())), None),
        }
    }

    fn answers(&mut self, input: &PolicyInput<'_>) -> Result<Answers, PolicyError> {
        let value = self.input.build(input);
        self.engine.set_input(value);
        let answers = answers(&mut self.engine, self.ground.snapshot.shape);
        // What a policy prints may be a payload.
        drop(self.engine.take_prints());
        answers
    }
}

/// What the rules of a policy say.
#[derive(Debug)]
pub(crate) enum Answers {
    Decision(Value),
    Seed { allow: Value, deny_reason: Value, quota_remaining: Value },
}

/// Evaluates the rules that decide.
pub(crate) fn answers(engine: &mut Engine, shape: Shape) -> Result<Answers, PolicyError> {
    guarded(|| of_rules(engine, shape))
}

fn of_rules(engine: &mut Engine, shape: Shape) -> Result<Answers, PolicyError> {
    let mut rule = |name: &str| engine.eval_rule(format!("data.sentinel.policy.{name}"));
    let mut optional =
        |name: &str, defined: bool| if defined { rule(name) } else { Ok(Value::Undefined) };
    let answers = match shape {
        Shape::Decision => optional("decision", true).map(Answers::Decision),
        Shape::Seed { deny_reason, quota_remaining } => optional("allow", true).and_then(|allow| {
            let deny_reason = optional("deny_reason", deny_reason)?;
            let quota_remaining = optional("quota_remaining", quota_remaining)?;
            Ok(Answers::Seed { allow, deny_reason, quota_remaining })
        }),
    };
    answers.map_err(|error| match error.downcast_ref::<LimitError>() {
        Some(LimitError::TimeLimitExceeded { .. }) => PolicyError::TimedOut,
        _ => PolicyError::Failed(place(&error.to_string())),
    })
}

impl Answers {
    /// Reads them as a decision.
    pub(crate) fn read(
        &self,
        usage: u64,
        revision: &Arc<str>,
    ) -> Result<PolicyDecision, PolicyError> {
        match self {
            Self::Decision(document) => document::decision(document, revision),
            Self::Seed { allow, deny_reason, quota_remaining } => {
                document::seed_decision(allow, deny_reason, quota_remaining, usage, revision)
            }
        }
    }
}

/// Where the interpreter failed, and no more: its messages repeat values, which may be secrets.
fn place(message: &str) -> String {
    match message.lines().find_map(|line| line.trim().strip_prefix("--> ")) {
        Some(place) => format!("at {place}; `sentinel policy eval` shows the error"),
        None => "`sentinel policy eval` shows the error".to_owned(),
    }
}

/// Drops something large on a thread of its own, so that no decision waits for it.
fn discard(value: impl Send + 'static) {
    static REAPER: OnceLock<Sender<Box<dyn Send>>> = OnceLock::new();
    let reaper = REAPER.get_or_init(|| {
        let (sender, receiver) = channel::<Box<dyn Send>>();
        // Without the thread the channel is closed, and values are dropped where they are.
        drop(std::thread::Builder::new().name("policy-reaper".to_owned()).spawn(move || {
            for value in receiver {
                drop(value);
            }
        }));
        sender
    });
    drop(reaper.send(Box::new(value)));
}

//! The embedded engine: the interpreter, one clone of it for each thread.
//!
//! What is in force is one immutable [`Snapshot`] behind an atomic pointer. Each thread keeps a
//! clone of the snapshot's interpreter and refreshes it when the pointer has moved, so a decision
//! is made by exactly one revision and no two threads wait for each other.
//!
//! A thread that evaluates needs a stack of 2 MiB or more; vetting bounds what a policy can use.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use jiff::Timestamp;
use regorus::{Engine, LimitError, Value};
use sentinel_core::policy::{
    PolicyDecision, PolicyEngine, PolicyError, PolicyInput, PolicyModule, PolicyStatus,
};

use crate::build::{Include, Shape, build};
use crate::document;
use crate::error::LoadError;
use crate::input::InputBuilder;
use crate::memo::{Memo, Reads};
use crate::source::SourceLimits;
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

/// The policy in force.
struct Snapshot {
    revision: Arc<str>,
    shape: Shape,
    reads: Option<Reads>,
    modules: Vec<PolicyModule>,
    /// Prepared, never evaluated: each thread clones it.
    engine: Engine,
}

/// The embedded engine. With nothing loaded it answers [`PolicyError::NoPolicy`].
pub struct EmbeddedEngine {
    pub(crate) config: EmbeddedConfig,
    snapshot: ArcSwapOption<Snapshot>,
    status: Mutex<PolicyStatus>,
    /// Held while loading, so that of two loads the later one wins.
    loading: Mutex<()>,
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
        };
        Self {
            config,
            snapshot: ArcSwapOption::empty(),
            status: Mutex::new(status),
            loading: Mutex::new(()),
        }
    }

    /// Puts a vetted policy in force, at once for every decision that starts afterwards.
    ///
    /// # Errors
    /// When it cannot be built or decides nothing. What was in force stays in force.
    pub fn install(&self, policy: &Vetted, now: Timestamp) -> Result<Arc<str>, LoadError> {
        let _one_at_a_time = lock(&self.loading);
        let installed = self.try_install(policy, now);
        self.remember(&installed, now);
        installed
    }

    pub(crate) fn remember<T>(
        &self,
        outcome: &Result<T, impl std::borrow::Borrow<LoadError>>,
        now: Timestamp,
    ) {
        let error = outcome.as_ref().err().map(|error| error.borrow().to_string());
        let mut status = lock(&self.status);
        if error != status.error {
            status.refused_at = error.as_ref().map(|_| now);
            status.error = error;
        }
    }

    /// The revision in force.
    pub(crate) fn in_force(&self) -> Option<Arc<str>> {
        self.snapshot.load().as_ref().map(|snapshot| Arc::clone(&snapshot.revision))
    }

    pub(crate) fn loading(&self) -> MutexGuard<'_, ()> {
        lock(&self.loading)
    }

    pub(crate) fn try_install(
        &self,
        policy: &Vetted,
        now: Timestamp,
    ) -> Result<Arc<str>, LoadError> {
        let source = policy.source();
        let built = build(source, Include::Policy, self.config.time_limit)?;
        let shape = built.shape.ok_or(LoadError::NoDecision)?;
        let mut engine = built.engine;
        // Analyzes and schedules the rules, without evaluating one.
        engine
            .eval_query("true".to_owned(), false)
            .map_err(|error| LoadError::Evaluation(crate::error::one_line(&error)))?;
        let revision = Arc::clone(source.revision());
        let reads = Reads::of(&engine, shape);
        let modules = source
            .rego
            .iter()
            .map(|(id, text)| PolicyModule { id: id.clone(), raw: text.as_str().into() });
        let modules = modules.collect();
        let snapshot = Snapshot { revision: Arc::clone(&revision), shape, reads, modules, engine };
        let mut status = lock(&self.status);
        let old = self.snapshot.swap(Some(Arc::new(snapshot)));
        status.revision = Some(revision.as_ref().to_owned());
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
        let current = self.snapshot.load();
        let snapshot = current.as_ref().ok_or(PolicyError::NoPolicy)?;
        WORKER.with_borrow_mut(|slot| {
            let worker = match slot.take() {
                Some(worker) if Arc::ptr_eq(&worker.snapshot, snapshot) => worker,
                old => {
                    let input = old.map_or_else(InputBuilder::new, Worker::retire);
                    Worker::new(Arc::clone(snapshot), input)
                }
            };
            let (outcome, worker) = worker.run(input);
            *slot = worker;
            outcome
        })
    }
}

#[async_trait]
impl PolicyEngine for EmbeddedEngine {
    async fn evaluate(&self, input: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        self.decide(&input)
    }

    fn status(&self) -> PolicyStatus {
        lock(&self.status).clone()
    }

    fn modules(&self) -> Vec<PolicyModule> {
        self.snapshot.load().as_ref().map_or_else(Vec::new, |snapshot| snapshot.modules.clone())
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
    snapshot: Arc<Snapshot>,
}

impl Worker {
    fn new(snapshot: Arc<Snapshot>, input: InputBuilder) -> Self {
        let memo = Memo::new(snapshot.reads);
        Self { engine: snapshot.engine.clone(), input, memo, snapshot }
    }

    /// Keeps the values of tools and keys; the rest may be large, and is dropped elsewhere.
    fn retire(self) -> InputBuilder {
        discard((self.engine, self.memo, self.snapshot));
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
                let decision = answers.read(input.usage, &self.snapshot.revision);
                (decision, Some(self))
            }
            Ok(Err(error)) => (Err(error), None),
            Err(_) => (Err(PolicyError::Failed("the interpreter panicked".to_owned())), None),
        }
    }

    fn answers(&mut self, input: &PolicyInput<'_>) -> Result<Answers, PolicyError> {
        let value = self.input.build(input);
        self.engine.set_input(value);
        let answers = answers(&mut self.engine, self.snapshot.shape);
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

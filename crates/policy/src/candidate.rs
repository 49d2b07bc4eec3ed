//! Candidates of staged rollouts: held ready beside what decides, and compared with it by a thread
//! of its own, without influence on any decision.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use jiff::Timestamp;
use regorus::{Engine, Value};
use sentinel_core::id::{DecisionId, RolloutId};
use sentinel_core::json;
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::policy::{Candidate, PolicyDecision, PolicyError, PolicyInput};
use sentinel_core::policy_data::PolicyData;
use sentinel_core::rollout::{Rollout, RolloutExample, RolloutReport};
use sentinel_core::shadow::ShadowAnswer;
use sentinel_core::store::PolicyFiles;

use crate::embedded::{EmbeddedConfig, answers, lock};
use crate::error::LoadError;
use crate::finding::Finding;
use crate::ground::{Ground, Snapshot};
use crate::input::InputBuilder;
use crate::stack::STACK;

/// Comparisons that may wait.
const WAITING: usize = 256;
/// Bytes that their inputs may take in memory, about. What is beyond is dropped and counted.
const WAITING_BYTES: usize = 32 * 1024 * 1024;
/// Disagreements that are kept.
const KEPT: usize = 200;

/// The candidates that are held ready: one that is monitored and one that was promoted, as a rule.
#[derive(Default)]
pub(crate) struct Candidates {
    held: RwLock<BTreeMap<RolloutId, Arc<Held>>>,
    /// Why vetting refused one. It is not vetted again: what ends the vetting process would do so
    /// each time.
    refused: RwLock<BTreeMap<RolloutId, String>>,
    /// The entrance to the thread that compares; it ends with the engine.
    waiting: OnceLock<Option<SyncSender<Comparison>>>,
    /// Bytes that the inputs take that wait.
    bytes: Arc<AtomicUsize>,
}

/// The bytes that one input takes, until it is compared or dropped.
struct Taken {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Taken {
    fn of(input: &PolicyInput<'_>, all: &Arc<AtomicUsize>) -> Option<Self> {
        let bytes = json::weight(input.context) + json::weight(input.arguments);
        let fits = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= WAITING_BYTES);
        all.try_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Self { bytes, of: Arc::clone(all) })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Held {
    snapshot: Arc<Snapshot>,
    findings: Mutex<RolloutReport>,
}

struct Comparison {
    held: Arc<Held>,
    data: Arc<PolicyData>,
    input: Value,
    usage: u64,
    decision_id: DecisionId,
    at: Timestamp,
    tenant: TenantSlug,
    tool: ToolName,
    decided: ShadowAnswer,
    _taken: Taken,
}

/// A candidate in words.
pub(crate) fn describe(snapshot: &Snapshot, warnings: &[Finding]) -> Candidate {
    Candidate {
        revision: snapshot.revision.as_ref().to_owned(),
        digest: snapshot.digest.clone(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
    }
}

impl Candidates {
    /// Vets a candidate as any other policy, and holds it ready. Nothing evaluates it before the
    /// vetting process has survived it, also not one that a server finds in the store at its start.
    pub(crate) fn load(
        &self,
        id: RolloutId,
        files: &PolicyFiles,
        config: &EmbeddedConfig,
        data: Option<&PolicyData>,
    ) -> Result<Candidate, LoadError> {
        if let Some(why) = self.refused(id) {
            return Err(LoadError::Vetoed(why));
        }
        let loaded = self.vet_and_hold(id, files, config, data);
        if let Err(
            error @ (LoadError::Refused(_)
            | LoadError::Empty(_)
            | LoadError::TooMuch { .. }
            | LoadError::Invalid { .. }
            | LoadError::Shadow { .. }
            | LoadError::NoDecision
            | LoadError::VettingFailed(_)
            | LoadError::Vetoed(_)),
        ) = &loaded
        {
            let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
            refused.insert(id, error.to_string());
        }
        loaded
    }

    fn vet_and_hold(
        &self,
        id: RolloutId,
        files: &PolicyFiles,
        config: &EmbeddedConfig,
        data: Option<&PolicyData>,
    ) -> Result<Candidate, LoadError> {
        let vetter = config.vetter.as_ref().ok_or(LoadError::NoVetter)?;
        let dir = tempfile::tempdir().map_err(|source| io(Path::new("the candidate"), source))?;
        write(dir.path(), files)?;
        let vetted = vetter.vet(dir.path(), &config.limits)?;
        let snapshot = Arc::new(Snapshot::new(&vetted, config)?);
        if let Some((path, owner)) = data.and_then(|data| snapshot.collision(data)) {
            return Err(LoadError::DataInTheWay { path: path.to_string(), owner });
        }
        let candidate = describe(&snapshot, vetted.warnings());
        let held = Held { snapshot, findings: Mutex::default() };
        self.held.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(held));
        Ok(candidate)
    }

    pub(crate) fn get(&self, id: RolloutId) -> Option<Arc<Snapshot>> {
        self.held(id).map(|held| Arc::clone(&held.snapshot))
    }

    /// Why vetting refused a candidate.
    pub(crate) fn refused(&self, id: RolloutId) -> Option<String> {
        self.refused.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(crate) fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.values().map(|held| Arc::clone(&held.snapshot)).collect()
    }

    pub(crate) fn keep(&self, ids: &[RolloutId]) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.retain(|id, _| ids.contains(id));
        drop(held);
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|id, _| ids.contains(id));
    }

    pub(crate) fn report(&self, id: RolloutId) -> Option<RolloutReport> {
        self.held(id).map(|held| lock(&held.findings).clone())
    }

    fn held(&self, id: RolloutId) -> Option<Arc<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Hands a call on to be compared, if the rollout watches it and there is room; never waits.
    pub(crate) fn compare(
        &self,
        rollout: &Rollout,
        input: &PolicyInput<'_>,
        decided: &Result<PolicyDecision, PolicyError>,
    ) {
        if !rollout.watches(input.tenant, input.tool, input.agent, input.time) {
            return;
        }
        let Some(held) = self.held(rollout.id) else { return };
        let Some(taken) = Taken::of(input, &self.bytes) else {
            lock(&held.findings).dropped += 1;
            return;
        };
        let waiting = self.waiting.get_or_init(start).as_ref();
        let comparison = Comparison {
            data: Arc::clone(&input.state.data),
            input: BUILDER.with_borrow_mut(|builder| builder.build(input)),
            usage: input.usage,
            decision_id: input.decision_id,
            at: input.time,
            tenant: input.tenant.clone(),
            tool: input.tool.clone(),
            decided: ShadowAnswer::of(decided),
            held: Arc::clone(&held),
            _taken: taken,
        };
        if waiting.is_none_or(|waiting| waiting.try_send(comparison).is_err()) {
            lock(&held.findings).dropped += 1;
        }
    }
}

thread_local! {
    static BUILDER: RefCell<InputBuilder> = RefCell::new(InputBuilder::new());
}

fn io(path: &Path, source: std::io::Error) -> LoadError {
    LoadError::Io { path: path.to_owned(), source }
}

/// Writes the files where only this process looks, for the vetting process to read.
fn write(dir: &Path, files: &PolicyFiles) -> Result<(), LoadError> {
    for (name, text) in files {
        let path = Path::new(name);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || name.contains('\0') || !inside {
            return Err(LoadError::invalid(name.as_str(), "it is no path within a policy"));
        }
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|source| io(parent, source))?;
        }
        std::fs::write(&path, text).map_err(|source| io(Path::new(name), source))?;
    }
    Ok(())
}

/// Starts the thread that compares; without it, nothing is compared.
fn start() -> Option<SyncSender<Comparison>> {
    let (sender, receiver) = sync_channel(WAITING);
    let thread = std::thread::Builder::new().name("policy-candidate".to_owned());
    let thread = thread.stack_size(STACK);
    thread.spawn(move || work(&receiver)).ok().map(|_| sender)
}

fn work(waiting: &Receiver<Comparison>) {
    let mut asked = Asked::default();
    for comparison in waiting {
        let began = Instant::now();
        let answer = asked.answer(&comparison);
        comparison.settle(&answer);
        // Half of one core at most: what is compared must not be what slows decisions down.
        std::thread::sleep(began.elapsed());
    }
}

/// The candidate that was asked last, with the data as it was then.
#[derive(Default)]
struct Asked {
    ground: Option<Ground>,
    engine: Option<Engine>,
}

impl Asked {
    fn answer(&mut self, of: &Comparison) -> Result<PolicyDecision, PolicyError> {
        let snapshot = &of.held.snapshot;
        if self.ground.as_ref().is_none_or(|ground| !ground.is(snapshot, &of.data)) {
            let made = Ground::new(snapshot, &of.data, self.ground.as_ref());
            self.engine = None;
            self.ground = Some(made.map_err(PolicyError::Failed)?);
        }
        let ground = self.ground.as_ref().ok_or(PolicyError::NoPolicy)?;
        // After an error the state of an interpreter is unknown, so it does not come back.
        let mut engine = self.engine.take().unwrap_or_else(|| ground.engine.clone());
        let shape = snapshot.shape;
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            engine.set_input(of.input.clone());
            let answers = answers(&mut engine, shape);
            drop(engine.take_prints());
            answers.map(|answers| (answers, engine))
        }));
        let panicked = |_| Err(PolicyError::Failed("the interpreter panicked".to_owned()));
        let (answers, engine) = asked.unwrap_or_else(panicked)?;
        self.engine = Some(engine);
        answers.read(of.usage, &ground.revision)
    }
}

impl Comparison {
    fn settle(self, answer: &Result<PolicyDecision, PolicyError>) {
        let candidate = ShadowAnswer::of(answer);
        let mut findings = lock(&self.held.findings);
        findings.errors += u64::from(answer.is_err());
        if self.decided.agrees_with(&candidate) {
            findings.agreed += 1;
            return;
        }
        match (self.decided.allow, candidate.allow) {
            (false, true) => findings.newly_allowed += 1,
            (true, false) => findings.newly_denied += 1,
            _ => findings.otherwise += 1,
        }
        let example = RolloutExample {
            decision_id: self.decision_id,
            at: self.at,
            tenant: self.tenant,
            tool: self.tool,
            decided: self.decided,
            candidate,
        };
        let mut examples = VecDeque::from(std::mem::take(&mut findings.examples));
        examples.truncate(KEPT - 1);
        examples.push_front(example);
        findings.examples = examples.into();
    }
}

//! Candidates of staged rollouts: held ready beside what decides, and compared with it by a thread
//! of its own, without influence on any decision. A candidate that does not come back takes that
//! thread, and one more in its place; after that nothing is compared until one has come back.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use regorus::{Engine, Value};
use sentinel_core::id::{DecisionId, RolloutId};
use sentinel_core::json;
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::policy::{Candidate, PolicyDecision, PolicyError, PolicyInput};
use sentinel_core::policy_data::PolicyData;
use sentinel_core::rollout::{PolicyFiles, Rollout, RolloutExample, RolloutReport};
use sentinel_core::shadow::ShadowAnswer;
use sentinel_policy_analysis::interpreter::RuleValues;
use sentinel_policy_analysis::{AnalysisError, Finding};

use crate::asker;
use crate::config::EmbeddedConfig;
use crate::error::LoadError;
use crate::ground::{Ground, Snapshot};
use crate::lock::lock;
use crate::pool::{Limits, Pool, PoolCounts, Work};

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
    /// The thread that compares, started by the first comparison; without it, nothing is compared.
    pool: OnceLock<Option<Pool<Comparison>>>,
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
    snapshot: Arc<Snapshot>,
    data: Arc<PolicyData>,
    input: Value,
    usage: u64,
}

/// What a comparison goes into.
struct Settlement {
    held: Arc<Held>,
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
            | LoadError::Analysis(
                AnalysisError::Empty(_)
                | AnalysisError::TooMuch { .. }
                | AnalysisError::Invalid { .. }
                | AnalysisError::Shadow { .. }
                | AnalysisError::NoDecision,
            )
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
        config: &EmbeddedConfig,
    ) {
        if !rollout.watches(input.tenant, input.tool, input.agent, input.time) {
            return;
        }
        let Some(held) = self.held(rollout.id) else { return };
        let Some(taken) = Taken::of(input, &self.bytes) else {
            lock(&held.findings).dropped += 1;
            return;
        };
        let comparison = Comparison {
            snapshot: Arc::clone(&held.snapshot),
            data: Arc::clone(&input.state.data),
            input: asker::input_value(input),
            usage: input.usage,
        };
        let settlement = Settlement {
            decision_id: input.decision_id,
            at: input.time,
            tenant: input.tenant.clone(),
            tool: input.tool.clone(),
            decided: ShadowAnswer::of(decided),
            held: Arc::clone(&held),
            _taken: taken,
        };
        let pool = self.pool.get_or_init(|| start(config.hard_limit)).as_ref();
        if pool.is_none_or(|pool| pool.submit(comparison, settlement).is_err()) {
            lock(&held.findings).dropped += 1;
        }
    }

    /// How the thread that compares fares.
    pub(crate) fn pool(&self) -> PoolCounts {
        self.pool.get().and_then(Option::as_ref).map(Pool::counts).unwrap_or_default()
    }
}

fn io(path: &Path, source: std::io::Error) -> AnalysisError {
    AnalysisError::Io { path: path.to_owned(), source }
}

/// Writes the files where only this process looks, for the vetting process to read.
fn write(dir: &Path, files: &PolicyFiles) -> Result<(), AnalysisError> {
    for (name, text) in files {
        let path = Path::new(name);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || name.contains('\0') || !inside {
            return Err(AnalysisError::invalid(name.as_str(), "it is not a path within a policy"));
        }
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|source| io(parent, source))?;
        }
        std::fs::write(&path, text).map_err(|source| io(Path::new(name), source))?;
    }
    Ok(())
}

fn start(time: Duration) -> Option<Pool<Comparison>> {
    let limits = Limits { threads: 1, waiting: WAITING, time, spares: 1 };
    Pool::start("policy-candidate", limits)
        .inspect_err(|error| tracing::error!(%error, "candidates are not compared"))
        .ok()
}

/// The candidate that was asked last, with the data as it was then.
#[derive(Default)]
struct Asked {
    ground: Option<Result<Ground, PolicyError>>,
    engine: Option<Engine>,
}

impl Work for Comparison {
    type State = Asked;
    type Outcome = Result<PolicyDecision, PolicyError>;
    type Asker = Settlement;

    fn prepare(&self, asked: &mut Asked) {
        let current = |ground: &Result<Ground, PolicyError>| {
            ground.as_ref().is_ok_and(|ground| ground.is(&self.snapshot, &self.data))
        };
        if !asked.ground.as_ref().is_some_and(current) {
            let before = asked.ground.as_ref().and_then(|ground| ground.as_ref().ok());
            let made = Ground::new(&self.snapshot, &self.data, before);
            asked.engine = None;
            asked.ground = Some(made.map_err(PolicyError::from));
        }
        if let (None, Some(Ok(ground))) = (&asked.engine, &asked.ground) {
            asked.engine = Some(ground.engine.clone());
        }
    }

    fn run(self, asked: &mut Asked) -> Self::Outcome {
        let ground = asked.ground.as_ref().ok_or(PolicyError::NoPolicy)?;
        let ground = ground.as_ref().map_err(Clone::clone)?;
        // After an error the state of an interpreter is unknown, so it does not come back.
        let mut engine = asked.engine.take().ok_or(PolicyError::NoPolicy)?;
        let (input, shape) = (self.input, self.snapshot.shape);
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            engine.set_input(input);
            let values = RuleValues::evaluate(&mut engine, shape);
            drop(engine.take_prints());
            values.map(|values| (values, engine))
        }));
        let panicked = |_| Err(PolicyError::Failed("the interpreter panicked".to_owned()));
        let (values, engine) = run.unwrap_or_else(panicked)?;
        asked.engine = Some(engine);
        values.decision(self.usage, &ground.revision)
    }

    fn tell(settlement: Settlement, outcome: Option<Self::Outcome>) {
        settlement.settle(&outcome.unwrap_or(Err(PolicyError::TimedOut)));
    }

    /// Half of one core at most: what is compared must not be what slows decisions down.
    fn rest(took: Duration) {
        std::thread::sleep(took);
    }
}

impl Settlement {
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

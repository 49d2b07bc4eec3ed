//! What a decision rests on: a policy, and the data that people put beside what it brings.

use std::collections::HashMap;
use std::sync::Arc;

use regorus::{Engine, Value};
use sentinel_core::policy::{PolicyError, PolicyModule};
use sentinel_core::policy_data::{DataEntry, DataPath, PolicyData};
use sentinel_policy_analysis::interpreter::{
    Include, InterpreterError, Owned, Shape, build, json_value, prepare,
};
use sentinel_policy_analysis::reads::{Reads, weighs_usage};
use sentinel_policy_analysis::{AnalysisError, Vetted};

use crate::config::EmbeddedConfig;
use crate::error::LoadError;

/// A policy, ready to decide.
pub(crate) struct Snapshot {
    pub(crate) revision: Arc<str>,
    pub(crate) digest: String,
    pub(crate) author: Option<String>,
    pub(crate) shape: Shape,
    pub(crate) reads: Option<Reads>,
    /// Whether a decision may state another window with another usage.
    pub(crate) weighs_usage: bool,
    pub(crate) modules: Vec<PolicyModule>,
    pub(crate) owned: Owned,
    /// Prepared, never evaluated: each thread that evaluates clones it.
    engine: Engine,
}

impl Snapshot {
    /// # Errors
    /// When it cannot be built or decides nothing.
    pub(crate) fn new(policy: &Vetted, config: &EmbeddedConfig) -> Result<Self, LoadError> {
        let source = policy.source();
        let built = build(source, Include::Policy, config.time_limit)?;
        let shape = built.shape.ok_or(AnalysisError::NoDecision)?;
        let mut engine = built.engine;
        prepare(&mut engine).map_err(AnalysisError::from)?;
        let modules = source
            .rego()
            .iter()
            .map(|(id, text)| PolicyModule { id: id.clone(), raw: text.as_str().into() });
        Ok(Self {
            revision: Arc::clone(source.revision()),
            digest: source.digest().to_owned(),
            author: source.author().map(str::to_owned),
            shape,
            reads: Reads::of(&engine, shape),
            weighs_usage: weighs_usage(&engine, shape),
            modules: modules.collect(),
            owned: built.owned,
            engine,
        })
    }

    /// Where data that was put meets what the policy has, and whose that is.
    pub(crate) fn collision(&self, data: &PolicyData) -> Option<(DataPath, String)> {
        data.entries().find_map(|(path, _)| Some((path.clone(), self.owned.owner(path)?)))
    }
}

/// Why no decision can be made with a policy and the data beside it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum GroundError {
    #[error("the data put at `{path}` is where {owner} is; remove it")]
    Collision { path: DataPath, owner: String },
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
}

impl From<GroundError> for PolicyError {
    fn from(error: GroundError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A policy with data put beside its own. Immutable; each thread clones the interpreter.
pub(crate) struct Ground {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) data: Arc<PolicyData>,
    pub(crate) revision: Arc<str>,
    pub(crate) engine: Engine,
    converted: Converted,
}

/// Values as the interpreter has them; a change of one leaves the others as they are.
type Converted = HashMap<DataPath, (Arc<DataEntry>, Value)>;

impl Ground {
    /// Puts `data` beside what the policy brings. What `before` has converted is used again.
    ///
    /// # Errors
    /// When they collide: one of them would be lost, so nothing can be decided.
    pub(crate) fn new(
        snapshot: &Arc<Snapshot>,
        data: &Arc<PolicyData>,
        before: Option<&Self>,
    ) -> Result<Self, GroundError> {
        let (snapshot, data) = (Arc::clone(snapshot), Arc::clone(data));
        let mut engine = snapshot.engine.clone();
        if data.version() == 0 {
            let revision = revision(&snapshot, &data);
            return Ok(Self { snapshot, data, revision, engine, converted: HashMap::new() });
        }
        if let Some((path, owner)) = snapshot.collision(&data) {
            return Err(GroundError::Collision { path, owner });
        }
        let mut converted = HashMap::new();
        let mut document = Value::new_object();
        for (path, entry) in data.entries() {
            let known = before.and_then(|ground| ground.converted.get(path));
            let known = known.filter(|(known, _)| Arc::ptr_eq(known, entry));
            let value = known.map_or_else(|| json_value(entry.value()), |(_, value)| value.clone());
            converted.insert(path.clone(), (Arc::clone(entry), value.clone()));
            set(&mut document, path.parts(), value);
        }
        // Copies the objects on the way to what is put, and shares all else.
        engine.add_data(document).map_err(|error| InterpreterError::new(&error))?;
        prepare(&mut engine)?;
        let revision = revision(&snapshot, &data);
        Ok(Self { snapshot, data, revision, engine, converted })
    }

    /// Whether it is this policy with this data.
    pub(crate) fn is(&self, snapshot: &Arc<Snapshot>, data: &Arc<PolicyData>) -> bool {
        let same = |data: &Arc<PolicyData>| {
            Arc::ptr_eq(&self.data, data) || (self.data.version() == 0 && data.version() == 0)
        };
        Arc::ptr_eq(&self.snapshot, snapshot) && same(data)
    }
}

/// That of the policy and, once data was put, `+data.` and its version.
pub(crate) fn revision(snapshot: &Snapshot, data: &PolicyData) -> Arc<str> {
    match data.version() {
        0 => Arc::clone(&snapshot.revision),
        version => format!("{}+data.{version}", snapshot.revision).into(),
    }
}

/// No entry is within another, so everything on the way is an object.
fn set(at: &mut Value, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    let Ok(object) = at.as_object_mut() else { return };
    let key = Value::from(first.as_str());
    if object.get(&key).is_none() {
        object.insert(key.clone(), Value::new_object());
    }
    if let Some(inner) = object.get_mut(&key) {
        set(inner, rest, value);
    }
}

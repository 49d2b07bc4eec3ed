//! The cases of a test that is an object: each must be `true`, and one that began must be in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use regorus::{Engine, Value};
use serde::Serialize;

use crate::error::{WorkbenchError, interpreter};
use crate::test_runner::Outcome;

/// One case of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// Its key, and where objects are nested the keys below: what is not a string is written as
    /// JSON.
    pub name: Vec<String>,
    /// [`Outcome::Pass`] or [`Outcome::Fail`].
    pub outcome: Outcome,
}

/// By test, the keys of the cases that have begun.
type ByTest = BTreeMap<usize, BTreeSet<Vec<String>>>;

/// What the tests report while they run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun(Arc<Mutex<ByTest>>);

impl Begun {
    /// Lets the policies of `engine` report by calling `function`.
    pub(crate) fn listen(&self, engine: &mut Engine, function: &str) -> Result<(), WorkbenchError> {
        let begun = Arc::clone(&self.0);
        let report = move |params: Vec<Value>| {
            let test = params.first().and_then(|test| test.as_u64().ok());
            let test = test.and_then(|test| usize::try_from(test).ok());
            let key = params.get(1).and_then(|key| key.as_array().ok());
            if let (Some(test), Some(key)) = (test, key) {
                let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
                begun.entry(test).or_default().insert(key.iter().map(name).collect());
            }
            // Whatever is reported, the condition holds: it must not change the test.
            Ok(Value::from(true))
        };
        engine.add_extension(function.to_owned(), 2, Box::new(report)).map_err(interpreter)
    }

    fn take(&self, test: usize) -> BTreeSet<Vec<String>> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.remove(&test).unwrap_or_default()
    }

    /// The cases of a test, given its value.
    pub(crate) fn cases(&self, test: usize, value: &Value) -> Vec<CaseResult> {
        let mut found = BTreeMap::new();
        if value.as_object().is_ok() {
            leaves(value, &mut Vec::new(), &mut found);
        }
        for key in self.take(test) {
            // What is in the value ended, and was judged by it.
            if !found.keys().any(|other: &Vec<String>| other.starts_with(&key)) {
                found.insert(key, false);
            }
        }
        let result = |(name, passed)| {
            let outcome = if passed { Outcome::Pass } else { Outcome::Fail };
            CaseResult { name, outcome }
        };
        found.into_iter().map(result).collect()
    }
}

/// The innermost values. An empty object asks for nothing, and holds.
fn leaves(value: &Value, path: &mut Vec<String>, found: &mut BTreeMap<Vec<String>, bool>) {
    let Ok(object) = value.as_object() else {
        found.insert(path.clone(), matches!(value, Value::Bool(true)));
        return;
    };
    if object.iter().next().is_none() && !path.is_empty() {
        found.insert(path.clone(), true);
    }
    for (key, inner) in object.iter() {
        path.push(name(key));
        leaves(inner, path, found);
        path.pop();
    }
}

fn name(key: &Value) -> String {
    match key {
        Value::String(text) => text.to_string(),
        other => serde_json::to_string(other).unwrap_or_else(|_| other.to_string()),
    }
}

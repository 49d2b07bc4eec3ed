//! Evaluating a policy by hand: `sentinel policy eval`.

use std::time::{Duration, Instant};

use regorus::Engine;
use sentinel_policy_analysis::Vetted;
use sentinel_policy_analysis::interpreter::{Include, build, guarded, json_value};
use serde_json::Value;

use crate::error::{WorkbenchError, interpreter};
use crate::once;

/// What one query may take.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The same for what does not end between two steps of the interpreter.
pub(crate) const HARD_LIMIT: Duration = Duration::from_secs(10);

/// What a query came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Evaluation {
    /// `None` when undefined.
    pub result: Option<Value>,
    /// What `print` printed.
    pub prints: Vec<String>,
    /// In microseconds, parsing of the query included.
    pub duration_us: u128,
}

/// A policy that is asked more than once.
#[derive(Debug)]
pub struct Evaluator {
    engine: Engine,
    /// As it was before any query, and the input since.
    fresh: Engine,
    input: Option<regorus::Value>,
    /// Whether a query has not come to its end: what it leaves in the interpreter is unknown then,
    /// and the next query would see it.
    unknown: bool,
}

impl Evaluator {
    /// # Errors
    /// When the policy cannot be built.
    pub fn new(policy: &Vetted) -> Result<Self, WorkbenchError> {
        let fresh = build(policy.source(), Include::Policy, TIME_LIMIT)?.engine;
        Ok(Self { engine: fresh.clone(), fresh, input: None, unknown: false })
    }

    /// Evaluates a query, such as the rule `data.sentinel.policy.decision`, on any input. Errors
    /// tell everything here, values of the input included.
    ///
    /// # Errors
    /// When the query cannot be parsed or evaluated.
    pub fn eval(&mut self, query: &str, input: &Value) -> Result<Evaluation, WorkbenchError> {
        let input = json_value(input);
        self.engine.set_input(input.clone());
        self.input = Some(input);
        self.eval_without_input(query)
    }

    /// Evaluates a query with the input of the query before, or none: `input` is undefined then.
    ///
    /// # Errors
    /// As [`Evaluator::eval`].
    pub fn eval_without_input(&mut self, query: &str) -> Result<Evaluation, WorkbenchError> {
        if std::mem::replace(&mut self.unknown, true) {
            self.engine = self.fresh.clone();
            if let Some(input) = &self.input {
                self.engine.set_input(input.clone());
            }
        }
        let engine = &mut self.engine;
        let started = Instant::now();
        let results =
            guarded(|| engine.eval_query(query.to_owned(), false)).map_err(interpreter)?;
        self.unknown = false;
        let duration_us = started.elapsed().as_micros();
        let result = first(&results)?;
        let prints = engine.take_prints().unwrap_or_default();
        Ok(Evaluation { result, prints, duration_us })
    }
}

/// What a query came to; `None` when undefined.
pub(crate) fn first(results: &regorus::QueryResults) -> Result<Option<Value>, WorkbenchError> {
    let value = results.result.first().and_then(|result| result.expressions.first());
    value
        .map(|expression| &expression.value)
        .filter(|value| **value != regorus::Value::Undefined)
        .map(serde_json::to_value)
        .transpose()
        .map_err(WorkbenchError::from)
}

/// Evaluates a query once, as [`Evaluator::eval`] does, on a thread of its own.
///
/// # Errors
/// When the policy cannot be built, or the query cannot be parsed or evaluated in time.
pub fn eval(policy: &Vetted, query: &str, input: &Value) -> Result<Evaluation, WorkbenchError> {
    let (policy, query, input) = (policy.clone(), query.to_owned(), input.clone());
    once::within(HARD_LIMIT, move || Evaluator::new(&policy)?.eval(&query, &input))
}

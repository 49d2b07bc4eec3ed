//! Reasons not to start, collected so that all of them are reported at once.

use serde_json::Value;

use super::places::Places;
use crate::failure::Failure;

/// One reason not to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) what: String,
    /// How to fix it.
    pub(crate) fix: String,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub(crate) fn add(&mut self, what: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Problem::new(what, fix));
    }

    /// The value, if there is one; otherwise adds the reason.
    pub(crate) fn keep<T>(&mut self, found: Result<T, Problem>) -> Option<T> {
        found.map_err(|problem| self.0.push(problem)).ok()
    }

    /// Adds a problem for each field of `values` whose number is outside the bounds in `schema`. A
    /// field that was not given is not.
    pub(crate) fn outside(&mut self, schema: &Value, values: &Value) {
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, field) in fields {
            let bound = |bound: &str| field.get(bound).and_then(Value::as_u64);
            let Some(value) = values.get(name).and_then(Value::as_u64) else { continue };
            let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum"));
            if value < least || most.is_some_and(|most| value > most) {
                let fix = match most {
                    Some(most) => format!("set it between {least} and {most}"),
                    None => format!("set it to {least} or more"),
                };
                self.add(format!("`{name}: {value}` is out of range"), fix);
            }
        }
    }

    /// The same problems, each after the place where its field was given.
    #[must_use]
    pub(crate) fn at(mut self, places: &Places) -> Self {
        for problem in &mut self.0 {
            problem.what = places.before(&problem.what);
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Adds each problem and its fix to a failure, numbered.
    pub(crate) fn list(&self, failure: Failure) -> Failure {
        self.0.iter().zip(1..).fold(failure, |failure, (problem, number)| {
            failure
                .detail(format!("{number}. {}", problem.what))
                .detail(format!("   fix: {}", problem.fix))
        })
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

//! Runs the tests of a policy, `*_test.rego`, by the conventions of `opa test`.

use std::time::{Duration, Instant};

use regorus::{Engine, Value};
use serde::Serialize;

use crate::ast::File;
use crate::build::{Include, build};
use crate::depend;
use crate::error::{LoadError, one_line};
use crate::vet::{Vetted, check_text};

/// What one test may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// The rule is `true`.
    Pass,
    /// The rule is undefined, or anything but `true`.
    Fail,
    /// The rule could not be evaluated.
    Error,
    /// The rule's name begins with `todo_`.
    Skipped,
}

/// Result of one test.
#[derive(Debug, Clone, Serialize)]
pub struct TestResult {
    /// `data.sentinel.policy_test`.
    pub package: String,
    pub name: String,
    pub file: String,
    pub line: u32,
    pub outcome: Outcome,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    /// What `print` printed.
    pub prints: Vec<String>,
    /// In microseconds.
    pub duration_us: u128,
}

/// Runs every `test_` rule of the test files, in the order of packages and names.
///
/// # Errors
/// When policy or tests cannot be parsed, or recurse.
pub fn run_tests(policy: &Vetted) -> Result<Vec<TestResult>, LoadError> {
    let source = policy.source();
    let mut engine = build(source, Include::PolicyAndTests, TIME_LIMIT)?.engine;
    check_text(&engine)?;
    let tree =
        engine.get_ast_as_json().map_err(|error| LoadError::Evaluation(error.to_string()))?;
    let files: Vec<File> =
        serde_json::from_str(&tree).map_err(|error| LoadError::Evaluation(error.to_string()))?;
    engine
        .eval_query("true".to_owned(), false)
        .map_err(|error| LoadError::Evaluation(one_line(&error)))?;
    let facts = depend::collect(&files);
    let mut tests: Vec<_> = facts
        .definitions
        .iter()
        .filter(|definition| source.tests.contains_key(definition.file))
        .filter_map(|definition| Some((definition.path.split_last()?, definition)))
        .filter(|((name, _), _)| name.starts_with("test_") || name.starts_with("todo_"))
        .collect();
    tests.sort_by(|((a, x), _), ((b, y), _)| (x, a).cmp(&(y, b)));
    tests.dedup_by(|(a, _), (b, _)| a == b);
    let result =
        |((name, package), definition): ((&String, &[String]), &depend::Definition<'_>)| {
            let package = rule_path(package);
            let mut result = TestResult {
                name: name.clone(),
                file: definition.file.to_owned(),
                line: definition.span.line,
                outcome: Outcome::Skipped,
                error: None,
                prints: Vec::new(),
                duration_us: 0,
                package,
            };
            if !name.starts_with("todo_") {
                run(engine.clone(), &mut result);
            }
            result
        };
    Ok(tests.into_iter().map(result).collect())
}

fn run(mut engine: Engine, test: &mut TestResult) {
    let started = Instant::now();
    let value = engine.eval_rule(format!("{}.{}", test.package, test.name));
    test.duration_us = started.elapsed().as_micros();
    test.outcome = match value {
        Ok(Value::Bool(true)) => Outcome::Pass,
        Ok(_) => Outcome::Fail,
        Err(error) => {
            test.error = Some(one_line(&error));
            Outcome::Error
        }
    };
    test.prints = engine.take_prints().unwrap_or_default();
}

/// `data.a["b-c"]`.
fn rule_path(path: &[String]) -> String {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    path.iter().fold("data".to_owned(), |text, part| {
        if is_name(part) { format!("{text}.{part}") } else { format!("{text}[{part:?}]") }
    })
}

//! Runs the tests of a policy, `*_test.rego`, by the conventions of `opa test`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use regorus::{Engine, Value};
use serde::Serialize;

use crate::build::{Include, build};
use crate::depend;
use crate::error::{LoadError, one_line};
use crate::explain::failing;
use crate::source::PolicySource;
use crate::syntax::{Module, modules};
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
    /// The rule's name begins with `todo_test_`.
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
    /// Line of the first condition that does not hold, of a test that failed.
    pub failed_at: Option<u32>,
    pub outcome: Outcome,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    /// What `print` printed.
    pub prints: Vec<String>,
    /// In microseconds.
    pub duration_us: u128,
}

/// Results of tests, and what of the policy they reached.
#[derive(Debug, Serialize)]
pub struct TestReport {
    pub tests: Vec<TestResult>,
    /// Empty unless it was asked for.
    pub coverage: Vec<CoveredFile>,
}

/// Lines of a policy file that tests evaluated. Test files are not measured.
#[derive(Debug, Serialize)]
pub struct CoveredFile {
    pub file: String,
    pub covered: BTreeSet<u32>,
    pub not_covered: BTreeSet<u32>,
}

/// Runs every `test_` rule of the test files, in the order of packages and names.
///
/// # Errors
/// When policy or tests cannot be parsed, or recurse.
pub fn run_tests(policy: &Vetted) -> Result<Vec<TestResult>, LoadError> {
    run_selected(policy, |_| true, false).map(|report| report.tests)
}

/// Runs the tests whose name, such as `data.sentinel.policy_test.test_x`, is selected.
///
/// # Errors
/// As [`run_tests`].
pub fn run_selected(
    policy: &Vetted,
    selects: impl Fn(&str) -> bool,
    coverage: bool,
) -> Result<TestReport, LoadError> {
    run_of(policy.source(), selects, coverage)
}

/// The tests of a policy that vetting is about to pass.
pub(crate) fn run_all(source: &PolicySource) -> Result<Vec<TestResult>, LoadError> {
    run_of(source, |_| true, false).map(|report| report.tests)
}

fn run_of(
    source: &PolicySource,
    selects: impl Fn(&str) -> bool,
    coverage: bool,
) -> Result<TestReport, LoadError> {
    let mut engine = build(source, Include::PolicyAndTests, TIME_LIMIT)?.engine;
    check_text(&engine)?;
    let files = crate::ast::files(&engine)?;
    engine
        .eval_query("true".to_owned(), false)
        .map_err(|error| LoadError::Evaluation(one_line(&error)))?;
    engine.set_enable_coverage(coverage);
    let facts = depend::collect(&files);
    let mut found: Vec<_> = facts
        .definitions
        .iter()
        .filter(|definition| source.is_test(definition.file))
        .filter_map(|definition| Some((definition.path.split_last()?, definition)))
        .filter(|((name, _), _)| name.starts_with("test_") || name.starts_with("todo_test_"))
        .filter(|((name, package), _)| selects(&format!("{}.{name}", rule_path(package))))
        .collect();
    found.sort_by(|((a, x), _), ((b, y), _)| (x, a).cmp(&(y, b)));
    found.dedup_by(|(a, _), (b, _)| a == b);
    let modules = modules(&engine)?;
    let mut lines = Lines::new(source.rego.keys());
    let mut tests = Vec::new();
    for ((name, package), definition) in found {
        let mut result = TestResult {
            name: name.clone(),
            file: definition.file.to_owned(),
            line: definition.span.line,
            failed_at: None,
            outcome: Outcome::Skipped,
            error: None,
            prints: Vec::new(),
            duration_us: 0,
            package: rule_path(package),
        };
        if !name.starts_with("todo_") {
            let ran = run(engine.clone(), &mut result);
            if coverage {
                lines.add(&ran)?;
            }
            if result.outcome == Outcome::Fail {
                result.failed_at = failing(&engine, &modules, &result.file, result.line);
            }
        }
        tests.push(result);
    }
    Ok(TestReport { tests, coverage: if coverage { lines.files(&modules) } else { Vec::new() } })
}

/// Runs one test; the engine comes back for what it has covered.
fn run(mut engine: Engine, test: &mut TestResult) -> Engine {
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
    engine
}

/// What the tests evaluated, all of them together.
struct Lines {
    /// By file: lines that were evaluated, and lines that can be.
    by_file: BTreeMap<String, (BTreeSet<u32>, BTreeSet<u32>)>,
}

impl Lines {
    fn new<'a>(files: impl Iterator<Item = &'a String>) -> Self {
        Self { by_file: files.map(|file| (file.clone(), Default::default())).collect() }
    }

    fn add(&mut self, engine: &Engine) -> Result<(), LoadError> {
        let report = engine
            .get_coverage_report()
            .map_err(|error| LoadError::Evaluation(one_line(&error)))?;
        for file in report.files {
            // Test files are not among them.
            let Some((covered, all)) = self.by_file.get_mut(&file.path) else { continue };
            all.extend(file.covered.iter().chain(&file.not_covered));
            covered.extend(&file.covered);
        }
        Ok(())
    }

    fn files(self, modules: &[Module]) -> Vec<CoveredFile> {
        let file = |(file, (covered, mut all)): (String, (BTreeSet<u32>, BTreeSet<u32>))| {
            // The interpreter does not mention a file of which nothing was evaluated.
            if all.is_empty() {
                let rules = modules.iter().filter(|module| module.file == file);
                let rules = rules.flat_map(|module| &module.rules);
                all.extend(rules.flat_map(|rule| {
                    let bodies = rule.bodies.iter().flat_map(|body| &body.conditions);
                    std::iter::once(rule.line).chain(bodies.map(|condition| condition.line))
                }));
            }
            let not_covered = all.difference(&covered).copied().collect();
            CoveredFile { file, covered, not_covered }
        };
        self.by_file.into_iter().map(file).collect()
    }
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

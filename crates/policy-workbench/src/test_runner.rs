//! Runs the tests of a policy, the `test_` rules of all its files, by the conventions of `opa
//! test`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use regorus::{Engine, Value};
use sentinel_policy_analysis::PolicySource;
use sentinel_policy_analysis::interpreter::{Include, build, guarded, prepare};
use sentinel_policy_analysis::vet::{Vetted, check_text};
use serde::Serialize;

use crate::error::{WorkbenchError, interpreter};
use crate::explain::failing;
use crate::syntax::{Module, modules};
use crate::test_cases::{Begun, CaseResult};
use crate::test_rules::{self, Kind, TestRule, dotted};

/// What one test may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// The rule is `true`; of a rule with cases, each is.
    Pass,
    /// The rule is undefined, or anything but `true`; a case is, or is missing.
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
    /// `test_x`, and `test_x#01` for the second definition of that name.
    pub name: String,
    pub file: String,
    pub line: u32,
    /// Line of the first condition that does not hold, of a test that failed.
    pub failed_at: Option<u32>,
    pub outcome: Outcome,
    /// Those of a test that has cases (`test_x[name] if …`).
    pub cases: Vec<CaseResult>,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    /// What `print` printed.
    pub prints: Vec<String>,
    /// In microseconds.
    pub duration_us: u128,
}

impl TestResult {
    /// Outcomes as `opa test` counts them: those of its cases, if it has any, or its own.
    pub fn counted(&self) -> impl Iterator<Item = Outcome> {
        let by_cases = !self.cases.is_empty() && self.outcome != Outcome::Error;
        let own = (!by_cases).then_some(self.outcome);
        let cases = if by_cases { self.cases.as_slice() } else { &[] };
        own.into_iter().chain(cases.iter().map(|case| case.outcome))
    }
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

/// Runs every `test_` rule, in the order of packages and names.
///
/// # Errors
/// When policy or tests cannot be parsed, or recurse.
pub fn run_tests(policy: &Vetted) -> Result<Vec<TestResult>, WorkbenchError> {
    run_selected(policy, |_| true, false).map(|report| report.tests)
}

/// Runs the tests whose name, such as `data.sentinel.policy_test.test_x`, is selected. Of a name
/// that is defined twice, both definitions are.
///
/// # Errors
/// As [`run_tests`].
pub fn run_selected(
    policy: &Vetted,
    selects: impl Fn(&str) -> bool,
    coverage: bool,
) -> Result<TestReport, WorkbenchError> {
    run_of(policy.source(), selects, coverage)
}

pub(crate) fn run_of(
    source: &PolicySource,
    selects: impl Fn(&str) -> bool,
    coverage: bool,
) -> Result<TestReport, WorkbenchError> {
    let mut engine = build(source, Include::PolicyAndTests, TIME_LIMIT)?.engine;
    // Of the text as it is written: the copy below only calls what cannot be named in it.
    check_text(&engine)?;
    let mut rules = test_rules::find(&engine)?;
    let begun = Begun::default();
    if let Some(copy) = test_rules::separate(&engine, source, &mut rules)? {
        engine = build(&copy.source, Include::PolicyAndTests, TIME_LIMIT)?.engine;
        begun.listen(&mut engine, &copy.case_begins)?;
    }
    prepare(&mut engine)?;
    engine.set_enable_coverage(coverage);
    let modules = modules(&engine)?;
    let mut lines = Lines::new(source.rego().keys().filter(|file| !holds_tests(file, &rules)));
    let mut tests = Vec::new();
    for (id, rule) in rules.iter().enumerate() {
        if !rule.names().iter().any(|name| selects(name)) {
            continue;
        }
        let mut result = unrun(rule);
        match rule.kind {
            Kind::Skipped | Kind::Function | Kind::SeveralBodies => {}
            Kind::Single | Kind::Cases => {
                let ran = run(engine.clone(), rule, (id, &begun), &mut result);
                if coverage {
                    lines.add(&ran)?;
                }
            }
        }
        if result.outcome == Outcome::Fail {
            result.failed_at = failing(&engine, &modules, &result.file, result.line);
        }
        tests.push(result);
    }
    Ok(TestReport { tests, coverage: if coverage { lines.files(&modules) } else { Vec::new() } })
}

/// Whether a file is there to test: by its name, or since tests are in it and its package is named
/// for them. What is not is part of the policy that tests must reach.
fn holds_tests(file: &str, rules: &[TestRule]) -> bool {
    let is_for_tests = |rule: &TestRule| {
        let last = rule.package.last();
        last.is_some_and(|name| name.ends_with("test") || name.ends_with("tests"))
    };
    PolicySource::is_test(file) || rules.iter().any(|rule| rule.file == file && is_for_tests(rule))
}

/// The result of a test that was not run, as it is when that is all there is to say.
fn unrun(rule: &TestRule) -> TestResult {
    let error = match rule.kind {
        Kind::Function => Some("a test cannot have arguments".to_owned()),
        Kind::SeveralBodies => Some(
            "a test with several bodies holds when one of them does: write a rule for each"
                .to_owned(),
        ),
        Kind::Single | Kind::Cases | Kind::Skipped => None,
    };
    TestResult {
        package: dotted(&rule.package),
        name: rule.shown(),
        file: rule.file.clone(),
        line: rule.line,
        failed_at: None,
        outcome: if error.is_some() { Outcome::Error } else { Outcome::Skipped },
        cases: Vec::new(),
        error,
        prints: Vec::new(),
        duration_us: 0,
    }
}

/// Runs one test; the engine comes back for what it has covered.
fn run(
    mut engine: Engine,
    rule: &TestRule,
    (id, begun): (usize, &Begun),
    test: &mut TestResult,
) -> Engine {
    let started = Instant::now();
    let value = guarded(|| value_of(&mut engine, rule));
    test.duration_us = started.elapsed().as_micros();
    test.outcome = match value {
        Ok(value) if rule.kind == Kind::Cases => {
            test.cases = begun.cases(id, &value);
            let failed = test.cases.iter().any(|case| case.outcome == Outcome::Fail);
            if failed { Outcome::Fail } else { Outcome::Pass }
        }
        Ok(Value::Bool(true)) => Outcome::Pass,
        Ok(_) => Outcome::Fail,
        Err(error) => {
            test.error = Some(error.to_string());
            Outcome::Error
        }
    };
    test.prints = engine.take_prints().unwrap_or_default();
    engine
}

/// The value of a rule; what has a fixed part behind the name of the test (`test_x.a`) is not a
/// rule to the interpreter, and is asked for as a query.
fn value_of(engine: &mut Engine, rule: &TestRule) -> Result<Value, WorkbenchError> {
    let path = rule.path();
    match engine.eval_rule(path.clone()) {
        Err(error) if error.to_string().contains("not a valid rule path") => {
            let results = engine.eval_query(path, false).map_err(interpreter)?;
            let first = results.result.into_iter().next();
            let value = first.and_then(|result| result.expressions.into_iter().next());
            Ok(value.map_or(Value::Undefined, |found| found.value))
        }
        found => found.map_err(interpreter),
    }
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

    fn add(&mut self, engine: &Engine) -> Result<(), WorkbenchError> {
        let report = engine.get_coverage_report().map_err(interpreter)?;
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

//! The part of vetting that runs the policy's own tests, and the vetting process with it.

use std::path::Path;
use std::process::ExitCode;

use sentinel_policy_analysis::vet::MAX_FINDINGS;
use sentinel_policy_analysis::{Finding, Lint, PolicySource, Span};

use crate::test_runner::{Outcome, TestResult, run_of};

/// The vetting process: [`sentinel_policy::run_child`] with the tests of the policy. To be called
/// by a hidden subcommand of the program, before it starts anything else.
#[must_use]
pub fn run_child(dir: &Path) -> ExitCode {
    sentinel_policy::run_child(dir, failed_tests)
}

/// Vets many policies in one process: [`sentinel_policy::run_stream`] with their tests.
#[doc(hidden)]
#[must_use]
pub fn run_stream() -> ExitCode {
    sentinel_policy::run_stream(failed_tests)
}

/// A finding for each of the policy's own tests that does not pass, or for each of its cases: what
/// vetting runs after it has shown that the policy may be evaluated.
fn failed_tests(source: &PolicySource) -> Vec<Finding> {
    let may_test =
        |(file, text): (&str, &str)| PolicySource::is_test(file) || text.contains("test_");
    if !source.files().any(may_test) {
        return Vec::new();
    }
    let results = match run_of(source, |_| true, false) {
        Ok(report) => report.tests,
        Err(error) => {
            let message = format!("the policy's tests cannot be run: {error}");
            return vec![Finding::new(Lint::FailingTest, message)];
        }
    };
    results.iter().flat_map(|test| failures_of(source, test)).take(MAX_FINDINGS).collect()
}

fn failures_of(source: &PolicySource, test: &TestResult) -> Vec<Finding> {
    let of_cases = test.cases.iter().filter(|case| case.outcome == Outcome::Fail);
    let failures: Vec<String> = match test.outcome {
        Outcome::Pass | Outcome::Skipped => return Vec::new(),
        Outcome::Fail if test.cases.is_empty() => vec!["does not hold".to_owned()],
        Outcome::Fail => of_cases
            .map(|case| format!("does not hold for the case `{}`", case.name.join("/")))
            .collect(),
        Outcome::Error => vec![format!("fails: {}", test.error.as_deref().unwrap_or_default())],
    };
    let text = source.tests().get(&test.file).or_else(|| source.rego().get(&test.file));
    let line = test.failed_at.unwrap_or(test.line);
    let span = Span { line, col: 1, ..Span::default() };
    let finding = |what: String| {
        let message = format!("the test `{}.{}` {what}", test.package, test.name);
        let finding = Finding::new(Lint::FailingTest, message);
        finding.in_text(&test.file, text.map_or("", String::as_str), span)
    };
    failures.into_iter().map(finding).collect()
}

//! `sentinel policy test`: runs the tests of a policy, by the conventions of `opa test`.

use std::fmt::Write as _;
use std::path::PathBuf;

use regex::Regex;
use sentinel_policy_workbench::Outcome::{Error, Fail, Pass, Skipped};
use sentinel_policy_workbench::{
    CaseResult, CoveredFile, Outcome as Verdict, TestReport, TestResult,
};
use serde_json::json;

use super::source::{Version, vet};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory with `*.rego` and data.
    dir: PathBuf,
    /// Shows the tests that passed, too.
    #[arg(long, short)]
    verbose: bool,
    /// Only tests whose name, such as `data.sentinel.policy_test.test_x`, matches.
    #[arg(long, short, value_name = "REGEX")]
    run: Option<Regex>,
    /// Shows which lines of the policy the tests evaluated.
    #[arg(long)]
    coverage: bool,
    /// Fails when less than so much of the policy was evaluated, in percent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    threshold: Option<u8>,
    /// Writes the results in the format of JUnit, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) version: Version,
}

pub(crate) fn run(args: &Args, json: bool) -> Outcome {
    let selects = |name: &str| args.run.as_ref().is_none_or(|regex| regex.is_match(name));
    let coverage = args.coverage || args.threshold.is_some();
    let report =
        sentinel_policy_workbench::run_selected(&vet(&args.dir, args.version)?, selects, coverage)
            .map_err(|error| Failure::new(error.to_string()))?;
    if let Some(path) = &args.junit {
        std::fs::write(path, junit(&report.tests))
            .or_fail(|| format!("cannot write `{}`", path.display()))?;
    }
    let failed = count(&report.tests, Fail) + count(&report.tests, Error);
    let percent = percent(&report.coverage);
    match (json, coverage) {
        (true, false) => output::json(&report.tests)?,
        (true, true) => output::json(
            &json!({"tests": report.tests, "coverage": report.coverage, "percent": percent}),
        )?,
        (false, _) => show(&report, failed, args.verbose)?,
    }
    if let Some(threshold) = args.threshold
        && percent < f64::from(threshold)
    {
        let message = format!("the tests evaluate {percent:.1} % of the policy, not {threshold} %");
        return Err(Failure::new(message));
    }
    if report.tests.is_empty() {
        return Err(match args.run {
            Some(_) => Failure::new("no test has a name that matches"),
            None => {
                Failure::new("there are no tests").help("tests are rules whose name begins `test_`")
            }
        });
    }
    if failed > 0 { Err(Failure::silent()) } else { Ok(()) }
}

/// Tests of that outcome, each case being one, as `opa test` counts.
fn count(tests: &[TestResult], outcome: Verdict) -> usize {
    tests.iter().flat_map(TestResult::counted).filter(|counted| *counted == outcome).count()
}

fn show(report: &TestReport, failed: usize, verbose: bool) -> Outcome {
    for test in report.tests.iter().filter(|test| verbose || test.outcome != Pass) {
        show_test(test, verbose)?;
    }
    let skipped = count(&report.tests, Skipped);
    if !report.tests.is_empty() {
        let passed = count(&report.tests, Pass);
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        output::line(&format!("{passed} passed, {failed} failed{skipped}"))?;
    }
    for file in &report.coverage {
        let all = std::slice::from_ref(file);
        let rest = match ranges(&file.not_covered) {
            lines if lines.is_empty() => String::new(),
            lines => format!("  not evaluated: {lines}"),
        };
        output::line(&format!("{:5.1} %  {}{rest}", percent(all), output::printable(&file.file)))?;
    }
    if !report.coverage.is_empty() {
        output::line(&format!("{:5.1} %  in all", percent(&report.coverage)))?;
    }
    Ok(())
}

fn word(outcome: Verdict) -> String {
    let (style, word) = match outcome {
        Pass => (output::GREEN, "pass "),
        Fail => (output::RED, "FAIL "),
        Error => (output::RED, "ERROR"),
        Skipped => (output::DIM, "skip "),
    };
    output::styled(style, word)
}

fn show_test(test: &TestResult, verbose: bool) -> Outcome {
    let name = format!("{}.{}", test.package, test.name);
    let (name, file) = (output::printable(&name), output::printable(&test.file));
    output::line(&format!("{}  {name}  {file}:{}", word(test.outcome), test.line))?;
    for case in test.cases.iter().filter(|case| verbose || case.outcome != Pass) {
        let name = case_name(case);
        output::line(&format!("         {}  {}", word(case.outcome), output::printable(&name)))?;
    }
    if let Some(line) = test.failed_at {
        output::line(&format!("         line {line} does not hold"))?;
    }
    for line in test.error.iter().chain(&test.prints) {
        output::line(&format!("         {}", output::printable(line)))?;
    }
    Ok(())
}

fn case_name(case: &CaseResult) -> String {
    case.name.join("/")
}

/// Of the lines that can be evaluated. All, when there are none.
fn percent(files: &[CoveredFile]) -> f64 {
    let covered: usize = files.iter().map(|file| file.covered.len()).sum();
    let missing: usize = files.iter().map(|file| file.not_covered.len()).sum();
    let count = |lines: usize| f64::from(u32::try_from(lines).unwrap_or(u32::MAX));
    if covered + missing == 0 { 100.0 } else { 100.0 * count(covered) / count(covered + missing) }
}

/// `3, 7-9`.
fn ranges<'a>(lines: impl IntoIterator<Item = &'a u32>) -> String {
    let mut found: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match found.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            _ => found.push((*line, *line)),
        }
    }
    let text = |(first, last): (u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    found.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

fn junit(tests: &[TestResult]) -> String {
    let all: usize = tests.iter().map(|test| test.counted().count()).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "  <testsuite name=\"policy\" tests=\"{all}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        count(tests, Fail),
        count(tests, Error),
        count(tests, Skipped),
    );
    for test in tests {
        if test.cases.is_empty() || test.outcome == Error {
            junit_case(&mut out, test, &test.name, test.outcome);
        }
        for case in test.cases.iter().filter(|_| test.outcome != Error) {
            let name = format!("{}/{}", test.name, case_name(case));
            junit_case(&mut out, test, &name, case.outcome);
        }
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn junit_case(out: &mut String, test: &TestResult, name: &str, outcome: Verdict) {
    let millionths = test.duration_us % 1_000_000;
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{}.{millionths:06}\"",
        xml(&test.package),
        xml(name),
        xml(&test.file),
        test.line,
        test.duration_us / 1_000_000,
    );
    let line = test.failed_at.unwrap_or(test.line);
    let _ = match outcome {
        Pass => writeln!(out, "/>"),
        Skipped => writeln!(out, "><skipped/></testcase>"),
        Fail => {
            let place = format!("{}:{line} does not hold", test.file);
            writeln!(out, "><failure message=\"{}\"/></testcase>", xml(&place))
        }
        Error => {
            let error = test.error.as_deref().unwrap_or_default();
            writeln!(out, "><error message=\"{}\"/></testcase>", xml(error))
        }
    };
}

/// Text as XML takes it, in an attribute: most control characters cannot be written at all.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

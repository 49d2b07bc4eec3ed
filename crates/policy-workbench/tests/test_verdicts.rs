//! Tests are found, counted and judged as `opa test` does, by the real one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rstest::rstest;
use sentinel_policy::LoadError;
use sentinel_policy_analysis::{Lint, PolicySource, SourceLimits, Vetted};
use sentinel_policy_workbench::{Outcome, run_selected, run_tests};
use sentinel_testkit::opa;
use serde_json::Value;
use support::{trusted, vetter};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn case(name: &str) -> PathBuf {
    root().join("tests/cases").join(name)
}

fn source(dir: &Path) -> Vetted {
    Vetted::trusted(PolicySource::read(dir, &SourceLimits::default()).unwrap())
}

/// Every test and case by its name, each once for each definition, with its verdict.
type Verdicts = BTreeMap<String, Vec<Outcome>>;

fn ours(dir: &Path) -> Verdicts {
    let mut found = Verdicts::new();
    for test in run_tests(&source(dir)).unwrap() {
        let name = format!("{}.{}", test.package, test.name);
        found.entry(name.clone()).or_default().push(test.outcome);
        // What could not be evaluated has no cases to OPA.
        for case in test.cases.iter().filter(|_| test.outcome != Outcome::Error) {
            let name = format!("{name}: {}", case.name.join("/"));
            found.entry(name).or_default().push(case.outcome);
        }
    }
    found
}

fn theirs(dir: &Path) -> Verdicts {
    let output = opa::command().args(["test", "--format=json"]).arg(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let tests: Vec<Value> = serde_json::from_slice(&output.stdout).expect(&text);
    let mut found = Verdicts::new();
    for test in &tests {
        let is = |verdict: &str| test.get(verdict).is_some();
        let outcome = match () {
            () if is("skip") => Outcome::Skipped,
            () if is("error") => Outcome::Error,
            () if is("fail") => Outcome::Fail,
            () => Outcome::Pass,
        };
        let name =
            format!("{}.{}", test["package"].as_str().unwrap(), test["name"].as_str().unwrap());
        cases(&test["sub_results"], &mut Vec::new(), &mut |case, outcome| {
            found.entry(format!("{name}: {case}")).or_default().push(outcome);
        });
        found.entry(name).or_default().push(outcome);
    }
    found
}

/// The innermost results: those are what OPA counts.
fn cases(results: &Value, path: &mut Vec<String>, found: &mut dyn FnMut(String, Outcome)) {
    for (name, result) in results.as_object().into_iter().flatten() {
        path.push(name.clone());
        if result.get("sub_results").is_some_and(|inner| !inner.as_object().unwrap().is_empty()) {
            cases(&result["sub_results"], path, found);
        } else {
            let failed = result.get("fail").is_some();
            found(path.join("/"), if failed { Outcome::Fail } else { Outcome::Pass });
        }
        path.pop();
    }
}

/// As `opa test` counts: passed, failed, errors, skipped.
fn counts(dir: &Path) -> [usize; 4] {
    let tests = run_tests(&source(dir)).unwrap();
    let of = |outcome| {
        tests.iter().flat_map(|test| test.counted()).filter(|counted| *counted == outcome).count()
    };
    [of(Outcome::Pass), of(Outcome::Fail), of(Outcome::Error), of(Outcome::Skipped)]
}

/// What `opa test` prints at its end.
fn counts_of_opa(dir: &Path) -> [usize; 4] {
    let output = opa::command().args(["test", "--format=pretty"]).arg(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    ["PASS: ", "FAIL: ", "ERROR: ", "SKIPPED: "].map(|label| {
        let line = text.lines().find_map(|line| line.strip_prefix(label));
        line.map_or(0, |counts| counts.split('/').next().unwrap().parse().unwrap())
    })
}

#[rstest]
#[case::one_name(case("tests-of-one-name"), [1, 1, 0, 0])]
#[case::other_files(case("tests-in-other-files"), [1, 1, 0, 0])]
#[case::with_cases(case("tests-with-cases"), [2, 0, 0, 0])]
#[case::shapes(root().join("crates/policy-workbench/tests/fixtures/test-shapes"), [41, 42, 2, 2])]
fn tests_have_the_names_verdicts_and_counts_of_opa(
    #[case] dir: PathBuf,
    #[case] expected: [usize; 4],
) {
    assert_eq!(ours(&dir), theirs(&dir));
    assert_eq!((counts(&dir), counts_of_opa(&dir)), (expected, expected));
}

#[test]
fn so_have_those_of_the_policies_that_are_shipped() {
    let library = std::fs::read_dir(root().join("policies/library")).unwrap();
    let mut dirs: Vec<_> = library.map(|entry| entry.unwrap().path()).collect();
    dirs.retain(|path| path.is_dir());
    assert!(dirs.len() > 5, "{dirs:?}");
    dirs.extend(["policies/shipped", "policies/starter"].map(|dir| root().join(dir)));
    for dir in dirs {
        assert_eq!(ours(&dir), theirs(&dir), "{}", dir.display());
        let counted = counts(&dir);
        assert_eq!(counted, counts_of_opa(&dir), "{}", dir.display());
        assert!(counted[0] > 0 && counted[1] + counted[2] == 0, "{}: {counted:?}", dir.display());
    }
}

#[track_caller]
fn refused_for(dir: &Path, message: &str, line: u32) {
    let refused = vetter().vet(dir, &SourceLimits::default());
    let Err(LoadError::Refused(findings)) = refused else { panic!("{refused:?}") };
    let found: Vec<_> =
        findings.iter().filter(|finding| finding.lint == Lint::FailingTest).collect();
    assert_eq!(found.len(), 1, "{findings:?}");
    assert!(found[0].message.contains(message), "{found:?}");
    assert_eq!(found[0].place.as_ref().map(|place| place.line), Some(line), "{found:?}");
}

#[test]
fn vetting_refuses_a_policy_for_the_second_test_of_a_name() {
    let name = "`data.sentinel.policy_test.test_docs#01` does not hold";
    refused_for(&case("tests-of-one-name"), name, 7);
}

#[test]
fn vetting_refuses_a_policy_for_a_test_in_any_file() {
    let name = "`data.sentinel.policy_test.test_wrong` does not hold";
    refused_for(&case("tests-in-other-files"), name, 7);
}

#[test]
fn vetting_takes_a_policy_whose_cases_hold_and_names_the_one_that_does_not() {
    vetter().vet(&case("tests-with-cases"), &SourceLimits::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for file in ["policy.rego", "policy_test.rego"] {
        let text = std::fs::read_to_string(case("tests-with-cases/sentinel").join(file)).unwrap();
        let wrong = text.replace("\"allow\": false}", "\"allow\": true}");
        std::fs::write(dir.path().join(file), wrong).unwrap();
    }
    let named =
        "`data.sentinel.policy_test.test_calls` does not hold for the case `ledger may not`";
    refused_for(dir.path(), named, 5);
}

#[test]
fn a_test_with_several_bodies_is_not_hidden_by_the_one_that_holds() {
    let tests = "package sentinel.policy_test\n\ntest_a { false } { true }\n";
    let manifest = r#"{"rego_version": 0}"#;
    let policy = trusted([
        ("p.rego", "package sentinel.policy\n\nallow = false\n".to_owned()),
        ("p_test.rego", tests.to_owned()),
        (".manifest", manifest.to_owned()),
    ]);
    let found = run_tests(&policy).unwrap();
    assert_eq!((found.len(), found[0].outcome), (1, Outcome::Error), "{found:?}");
    assert!(found[0].error.as_ref().unwrap().contains("a rule for each"), "{found:?}");
}

#[test]
fn a_name_that_is_selected_selects_every_definition_of_it() {
    let policy = source(&case("tests-of-one-name"));
    let named = |wanted: &'static str| {
        let report = run_selected(&policy, |name| name == wanted, false).unwrap();
        report.tests.into_iter().map(|test| test.name).collect::<Vec<_>>()
    };
    assert_eq!(named("data.sentinel.policy_test.test_docs"), ["test_docs", "test_docs#01"]);
    assert_eq!(named("data.sentinel.policy_test.test_docs#01"), ["test_docs#01"]);
}

#[test]
fn what_is_measured_is_the_policy_and_not_its_tests_wherever_they_are() {
    let report = run_selected(&source(&case("tests-in-other-files")), |_| true, true).unwrap();
    let files: Vec<_> = report.coverage.iter().map(|covered| covered.file.as_str()).collect();
    assert_eq!(files, ["sentinel/policy.rego"]);
    // Tests in the file of a policy do not take it out.
    let shapes = root().join("crates/policy-workbench/tests/fixtures/test-shapes");
    let report = run_selected(&source(&shapes), |_| true, true).unwrap();
    let policy = report.coverage.iter().find(|covered| covered.file == "policy.rego").unwrap();
    assert!(policy.covered.contains(&5), "{policy:?}");
}

#[test]
fn prints_belong_to_the_test_that_printed_and_the_report_of_cases_is_not_one() {
    let shapes = root().join("crates/policy-workbench/tests/fixtures/test-shapes");
    let found = run_tests(&source(&shapes)).unwrap();
    let printed: Vec<_> = found.iter().filter(|test| !test.prints.is_empty()).collect();
    assert_eq!(printed.len(), 1, "{printed:?}");
    assert_eq!((printed[0].name.as_str(), printed[0].prints.len()), ("test_print", 1));
    assert!(printed[0].prints[0].contains("hello a"), "{printed:?}");
}

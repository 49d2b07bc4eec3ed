//! Which version of Rego a policy is read in: stated, and never guessed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::path::{Path, PathBuf};

use rstest::rstest;
use sentinel_core::id::RolloutId;
use sentinel_core::policy::CandidateEngine as _;
use sentinel_core::rollout::PolicyFiles;
use sentinel_policy::{EmbeddedConfig, EmbeddedEngine};
use sentinel_policy_analysis::{Finding, Lint, PolicySource, SourceLimits, Vetted};
use sentinel_policy_bundles::Bundle;
use sentinel_policy_workbench::eval;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{now, usual, vet_files, vetter, write};

const V0: &str = "package sentinel.policy\n\ndefault allow = false\n\nallow { input.usage < 5 }\n";
const SEED: &str =
    "package sentinel.policy\n\nallow {\n\tinput.purpose in data.purposes[input.tool]\n}\n";

fn v0_compatible() -> SourceLimits {
    SourceLimits { v0_compatible: true, ..SourceLimits::default() }
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases").join(name)
}

/// What vetting has against a case, or the answer to the case's input.
fn outcome(name: &str) -> Result<Option<Value>, Vec<Finding>> {
    let vetted = vetter().vet(&case(name), &SourceLimits::default());
    let vetted = vetted.map_err(|error| error.findings())?;
    let input = std::fs::read_to_string(case(name).join("input.json")).unwrap();
    let input = serde_json::from_str(&input).unwrap();
    Ok(eval(&vetted, "data.sentinel.policy.allow", &input).unwrap().result)
}

/// The only finding of a policy that is refused.
fn refused(files: &[(&str, &str)]) -> Finding {
    let findings = vet_files(files).unwrap_err().findings();
    let errors: Vec<_> = findings
        .into_iter()
        .filter(|found| found.lint.severity() == sentinel_policy_analysis::Severity::Error)
        .collect();
    let [found] = errors.try_into().unwrap();
    found
}

fn place(found: &Finding) -> (&str, u32, u32) {
    let place = found.place.as_ref().unwrap();
    (found.file.as_deref().unwrap(), place.line, place.column)
}

#[test]
fn a_rule_without_if_does_not_turn_the_others_into_unconditional_ones() {
    let found = outcome("v0-fallback-missing-if").unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].lint, Lint::RegoVersion);
    assert!(found[0].message.contains("`import future.keywords.if`"), "{found:?}");
    assert_eq!(place(&found[0]).1, 10);
}

#[rstest]
#[case("v0-fallback-function-fact")]
#[case("function-fact-v1")]
fn a_function_without_a_body_is_named_and_not_taken_for_v0(#[case] name: &str) {
    let found = outcome(name).unwrap_err();
    assert_eq!(found[0].lint, Lint::RuleWithoutBody, "{found:?}");
    let (_, line, _) = place(&found[0]);
    assert!(found[0].place.as_ref().unwrap().source.starts_with("is_open("), "line {line}");
}

#[test]
fn the_way_around_that_a_function_without_a_body_is_told_is_accepted() {
    let rules = "is_open(\"docs\") := true\nallow if is_open(input.tool)";
    support::vet(&format!("default allow := false\n{rules}")).unwrap();
}

#[test]
fn text_that_is_v0_is_refused_with_its_place_unless_the_version_is_stated() {
    let found = refused(&[("p.rego", V0)]);
    assert_eq!((found.lint, place(&found)), (Lint::RegoVersion, ("p.rego", 5, 7)));
    assert!(found.message.contains("would be v0, which has to be stated"), "{found}");
    assert!(found.lint.fix().contains("--v0-compatible"));

    vet_files(&[("p.rego", V0), (".manifest", "{\"rego_version\": 0}")]).unwrap();
    let one = "{\"rego_version\": 1, \"file_rego_versions\": {\"/old/*.rego\": 0}}";
    vet_files(&[("old/p.rego", V0), (".manifest", one)]).unwrap();
    assert_eq!(refused(&[("p.rego", V0), (".manifest", one)]).lint, Lint::RegoVersion);
    let two = "{\"file_rego_versions\": {\"/old/*.rego\": 0, \"/*/p.rego\": 1}}";
    let error = vet_files(&[("old/p.rego", V0), (".manifest", two)]).expect_err("two").to_string();
    assert!(error.contains("two versions for `old/p.rego`"), "{error}");
}

#[test]
fn patterns_are_those_of_opa() {
    vetter().vet(&case("file-rego-versions-pattern"), &SourceLimits::default()).unwrap();
}

#[test]
fn v0_needs_the_import_of_in_and_the_seed_is_told_so() {
    let stated = (".manifest", "{\"rego_version\": 0}");
    let found = refused(&[("p.rego", SEED), stated]);
    assert_eq!(found.lint, Lint::InvalidFile);
    assert!(found.message.contains("only with `import future.keywords.in`"), "{found}");
    let guessed = refused(&[("p.rego", SEED)]);
    assert_eq!(guessed.lint, Lint::RegoVersion);
    assert!(guessed.message.contains("`import future.keywords.in`"), "{guessed}");
    let text = SEED.replace("policy\n\n", "policy\n\nimport future.keywords.in\n\n");
    vet_files(&[("p.rego", &text), stated]).unwrap();
    assert_eq!(refused(&[("p.rego", &text)]).lint, Lint::RegoVersion);
}

/// Stated as v0 they are read as v0, where OPA refuses them or both take a keyword for a name.
#[rstest]
#[case("allow if { input.usage < 5 }", "`if` is a name here")]
#[case("allow = true if { input.usage < 5 }", "`if` is a name here")]
#[case("allow\nother { input.usage < 5 }", "`allow` alone would be a rule that always holds")]
fn v0_that_is_stated_is_not_misread_either(#[case] rules: &str, #[case] why: &str) {
    let text = format!("package sentinel.policy\n\n{rules}\n");
    let manifest = (".manifest", "{\"rego_version\": 0}");
    let error = vet_files(&[("p.rego", &text), manifest]).expect_err(rules);
    assert!(error.findings()[0].message.contains(why), "{error}");
}

#[test]
fn an_import_states_v1_in_a_file_that_would_be_v0() {
    let manifest = (".manifest", "{\"rego_version\": 0}");
    let text = "package sentinel.policy\nimport rego.v1\nallow if { input.usage < 5 }\n";
    vet_files(&[("p.rego", text), manifest]).unwrap();
    let older = "package sentinel.policy\nimport rego.v1\nallow { input.usage < 5 }\n";
    assert_eq!(place(&refused(&[("p.rego", older), manifest])), ("p.rego", 3, 7));
    let later = "package sentinel.policy\nimport rego.v2\nallow if input.usage < 5\n";
    let findings = vet_files(&[("p.rego", later)]).unwrap_err().findings();
    let refused = |found: &Finding| found.message.contains("`rego.v2` cannot be imported");
    assert!(findings.iter().any(refused), "{findings:?}");
}

#[test]
fn the_reader_may_state_v0_for_directories_bundles_and_candidates() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("p.rego", V0)]);
    assert!(vetter().vet(dir.path(), &SourceLimits::default()).is_err());
    let vetted: Vetted = vetter().vet(dir.path(), &v0_compatible()).unwrap();
    let allowed = |usage| {
        let input = json!({"usage": usage});
        eval(&vetted, "data.sentinel.policy.allow", &input).unwrap().result
    };
    assert_eq!((allowed(4), allowed(5)), (Some(json!(true)), Some(json!(false))));

    let config =
        |limits| EmbeddedConfig { vetter: Some(vetter()), limits, ..EmbeddedConfig::default() };
    let [strict, older] =
        [SourceLimits::default(), v0_compatible()].map(|it| EmbeddedEngine::new(config(it)));
    assert!(strict.load(dir.path(), now()).is_err());
    older.load(dir.path(), now()).unwrap();
    assert!(usual().decide(&older).is_ok());

    let files = PolicyFiles::from([("p.rego".to_owned(), V0.to_owned())]);
    let id = RolloutId(Uuid::now_v7());
    assert!(strict.load_candidate(id, &files).unwrap_err().to_string().contains("v0"));
    older.load_candidate(id, &files).unwrap();

    // What is stated goes with the policy, so that OPA and other servers read it likewise.
    let bundle = Bundle::from_directory(dir.path(), &v0_compatible(), None).unwrap();
    assert_eq!(bundle.manifest().rego_version, Some(0));
    vetter().vet_source(bundle.source(None).unwrap()).unwrap();
    let source = PolicySource::read(dir.path(), &v0_compatible()).unwrap();
    let files: PolicyFiles =
        source.files().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    strict.load_candidate(RolloutId(Uuid::now_v7()), &files).unwrap();
}

#[test]
fn a_manifest_that_states_a_version_wins_over_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("p.rego", V0), (".manifest", "{\"rego_version\": 1}")]);
    assert!(vetter().vet(dir.path(), &v0_compatible()).is_err());
    let source = PolicySource::from_files([
        ("p.rego", V0),
        (".manifest", "{\"revision\": \"r1\", \"metadata\": {\"author\": \"a\"}}"),
    ]);
    let source = source.unwrap().v0_compatible();
    assert_eq!((&**source.revision(), source.author()), ("r1", Some("a")));
    vetter().vet_source(source).unwrap();
}

#[test]
fn two_packages_that_refer_to_each_other_are_refused_as_the_interpreter_refuses_them() {
    for name in ["rules-across-packages", "sibling-leaves"] {
        let found = outcome(name).unwrap_err();
        assert_eq!(found[0].lint, Lint::Recursion, "{name}");
        let source = PolicySource::read(&case(name), &SourceLimits::default()).unwrap();
        let input = std::fs::read_to_string(case(name).join("input.json")).unwrap();
        let input = serde_json::from_str(&input).unwrap();
        let asked = eval(&Vetted::trusted(source), "data.sentinel.policy.allow", &input);
        let error = asked.expect_err(name).to_string();
        assert!(error.contains("recursion"), "{name}: {error}");
    }
}

#[test]
fn a_variable_that_is_looked_up_by_its_own_value_is_refused_by_vetting() {
    let vetted = vetter().vet(&case("unsafe-var-v0"), &v0_compatible());
    let found = vetted.expect_err("unsafe").findings();
    assert_eq!(found[0].lint, Lint::UnsafeVariable, "{found:?}");
    assert_eq!(place(&found[0]).1, 15);
    let bound = "x = 1\n\tx = data.list[x]";
    support::vet(&format!("default allow := false\nallow if {{\n\t{bound}\n}}")).unwrap();
}

//! Traps of writing policies: each is found by its code, at its place, and what is written as
//! recommended gives no finding.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::path::Path;

use rstest::rstest;
use sentinel_core::policy::PolicyEngine as _;
use sentinel_policy_analysis::{Finding, Lint, Severity, SourceLimits};
use support::{engine, now, usual, vet, vet_files, vetter, write};

/// What vetting has to say, whether it refuses the policy or not.
fn findings(rules: &str) -> Vec<Finding> {
    match vet(rules) {
        Ok(vetted) => vetted.warnings().to_vec(),
        Err(error) => error.findings(),
    }
}

fn codes(rules: &str) -> Vec<&'static str> {
    findings(rules).iter().map(|finding| finding.lint.code()).collect()
}

const SOUND: &str = "default allow := false\n";
const SET: &str = "default allow := false\ndeny contains \"x\" if input.tool == \"x\"\n";

#[rstest]
#[case("allow if count(deny) == 0", "negative_allow")]
#[case("allow if 0 == count(deny)", "negative_allow")]
#[case("allow if { n := count(deny); n == 0 }", "negative_allow")]
#[case("allow if { n := count(deny); n < 1 }", "negative_allow")]
#[case("allow if { input.tool; not count(deny) > 0 }", "negative_allow")]
#[case("allow if deny == set()", "negative_allow")]
#[case("allow if count(data.sentinel.policy.deny) <= 0", "negative_allow")]
#[case("allow if ok\nok if { input.tool; count(deny) == 0 }", "negative_allow")]
#[case("allow if input.usage < 10\nquota_remaining := 1", "unchecked_comparison")]
#[case("allow if { u := input.usage; u < 10 }\nquota_remaining := 1", "unchecked_comparison")]
#[case("allow if { is_number(input.usage); input.usage < 10 }", "usage_without_quota")]
#[case("allow if { u := input.usage; is_number(u); not u >= 3 }", "usage_without_quota")]
#[case(
    "allow if { is_number(input.usage); every l in [1, 2] { input.usage < l } }",
    "usage_without_quota"
)]
#[case(
    "allow if { is_number(input.usage); 10 > input.usage }\n# its quota\nr := \"quota_exceeded\"",
    "usage_without_quota"
)]
#[case("allow if input.arguments.amount <= data.limit", "unchecked_comparison")]
#[case("allow if 10 > input.context.n", "unchecked_comparison")]
#[case("allow if { input.tool == \"a\"; not is_number(input.usage) }", "negated_call")]
#[case("allow if { input.tool == \"a\"; not startswith(input.agent, \"x\") }", "negated_call")]
#[case("deny contains sprintf(\"%v\", [input.agent]) if true", "undefined_in_message")]
#[case(
    "deny contains m if { input.tool == \"a\"; m := sprintf(\"%v\", [input.purpose]) }",
    "undefined_in_message"
)]
#[case("allow if not denied\ndenied if input.tool == \"a\"", "allow_by_absence")]
#[case("allow if input.tenent == \"a\"", "unknown_input_field")]
#[case("allow if input.principal.role == \"a\"", "unknown_input_field")]
#[case("allow if input[\"user\"].name", "unknown_input_field")]
#[case("allow if input.tool == \"Not A Tool\"", "never_matches")]
#[case("allow if \"A B\" == input.tenant", "never_matches")]
#[case("allow if tools[input.tool]\ntools contains t if some t in data.list", "whole_set")]
#[case("allow if input.tool in tools\ntools contains t if some t in data.list", "whole_set")]
fn a_trap_is_found(#[case] rules: &str, #[case] code: &str) {
    assert_eq!(codes(&format!("{SET}{rules}")), [code], "{rules}");
}

#[rstest]
#[case("allow if input.tool == \"a\"", "no_default")]
#[case("default allow := true", "default_allow")]
#[case("decision := {\"allow\": false} if input.tool == \"a\"", "no_default")]
fn the_rule_that_answers_needs_a_default_that_denies(#[case] rules: &str, #[case] code: &str) {
    assert_eq!(codes(rules), [code], "{rules}");
}

#[rstest]
#[case("allow if { is_number(input.usage); input.usage < 10 }\nquota_remaining := 1")]
#[case(
    "allow if { has_usage; input.usage < 10 }\nhas_usage if is_number(input.usage)\nquota_remaining := 1"
)]
#[case("allow if { u := input.usage; is_number(u); u < 10 }\nquota_remaining := 1")]
#[case("allow if { input.tool == \"a\"; is_number(input.usage) }")]
#[case("allow if input.time < \"2030-01-01T00:00:00Z\"")]
#[case("allow if { input.agent; not startswith(input.agent, \"x\") }")]
#[case("allow if { input.tool == \"a\"; not startswith(input.tool, \"x\") }")]
#[case("deny contains m if { input.agent; m := sprintf(\"%v\", [input.agent]) }")]
#[case(
    "deny contains sprintf(\"%v\", [object.get(input, \"agent\", \"\")]) if input.tool == \"a\""
)]
#[case("allow if { input.action == \"call\"; not denied }\ndenied if input.tool == \"a\"")]
#[case("allow if count(input.arguments) == 0")]
#[case("allow if { l := [x | some x in data.l]; count(l) == 0 }")]
#[case("allow if input.context.anything.at.all == \"A B\"")]
#[case("allow if input.tool_record.metadata.tier == \"Gold One\"")]
#[case("allow if data.list[input.tool]")]
fn what_is_written_as_recommended_gives_no_finding(#[case] rules: &str) {
    assert_eq!(findings(&format!("{SOUND}{rules}")), []);
}

#[test]
fn the_shipped_policies_give_no_finding() {
    let policies = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shipped"));
    assert_eq!(vetter().vet(policies, &SourceLimits::default()).unwrap().warnings(), []);
}

#[test]
fn the_seeds_whole_set_lookup_is_reported_and_the_policy_still_loads() {
    let seed = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/seed-v0"));
    let vetted = vetter().vet(seed, &SourceLimits::default()).unwrap();
    let found: Vec<_> = vetted.warnings().iter().map(|finding| finding.lint).collect();
    assert!(found.contains(&Lint::WholeSet), "{found:?}");
    assert!(found.contains(&Lint::UncheckedComparison), "{found:?}");
}

#[test]
fn a_finding_has_the_place_and_the_line() {
    let found = findings("default allow := false\nallow if {\n\tinput.tool\n\tinput.usage < 10\n}");
    let place = found[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column, place.length), (5, 2, 16));
    assert_eq!(place.source, "\tinput.usage < 10");
    assert_eq!(found[0].file.as_deref(), Some("p.rego"));
    let text = found[0].to_string();
    assert_eq!(text, "p.rego:5:2: `input.usage` is compared, but nothing checks its type");
}

#[test]
fn a_misspelled_field_is_answered_with_the_one_that_was_meant() {
    let found = findings("default allow := false\nallow if input.tenent == \"a\"");
    assert!(found[0].message.ends_with("did you mean `input.tenant`?"), "{found:?}");
}

#[rstest]
#[case("allow if x\nx if y\ny if x", "recursion")]
#[case("allow if count(numbers.range(1, input.usage)) > 0", "unbounded_builtin")]
#[case("allow if not http.send({\"url\": \"http://a.example\"})", "refused_builtin")]
#[case("allow if startwith(input.tool, \"a\")", "unknown_function")]
#[case("allow if {", "invalid_file")]
#[case("decision := {\"allow\": 1}", "malformed_decision")]
fn what_refuses_a_policy_has_a_code_and_a_place(#[case] rules: &str, #[case] code: &str) {
    let error = vet(rules).expect_err(rules);
    let finding = error.findings().into_iter().next().unwrap();
    assert_eq!((finding.lint.code(), finding.lint.severity()), (code, Severity::Error));
    assert!(finding.place.is_some() || code == "malformed_decision", "{finding:?}");
}

#[test]
fn all_findings_are_told_errors_first() {
    let rules = "allow if input.usage < 10\nallow if foo(1)\nallow if bar(1)\nallow if x\nx if x";
    let error = vet(rules).expect_err(rules);
    let found: Vec<_> = error.findings().iter().map(|finding| finding.lint.code()).collect();
    let expected = [
        "unknown_function",
        "unknown_function",
        "recursion",
        "unchecked_comparison",
        "no_default",
        "usage_without_quota",
    ];
    assert_eq!(found, expected);
    assert!(error.to_string().ends_with("[unknown_function] (and 2 more)"), "{error}");
}

/// The fail-open pattern: `sprintf` of a missing field drops the reason. Refused, it never decides.
#[test]
fn a_negative_allow_never_comes_into_force() {
    let rules = "default allow := false\nallow if count(deny) == 0\n\
                 deny contains sprintf(\"used %v\", [input.context.used]) if input.context.used != 1";
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    write(dir.path(), &[("p.rego", &format!("package sentinel.policy\n{SOUND}"))]);
    let revision = engine.load(dir.path(), now()).unwrap();
    write(dir.path(), &[("p.rego", &format!("package sentinel.policy\n{rules}"))]);
    let error = engine.load(dir.path(), now()).expect_err("fail open").to_string();
    assert!(error.starts_with("p.rego:3:10: ") && error.contains("[negative_allow]"), "{error}");
    let decision = usual().decide(&engine).unwrap();
    assert_eq!((decision.allow, &decision.revision), (false, &revision));
    assert_eq!(engine.status().error, Some(error));
}

#[test]
fn tests_are_not_linted() {
    let policy = format!("package sentinel.policy\n{SET}allow if input.tool == \"a\"");
    let test = "package sentinel.policy_test\nimport data.sentinel.policy\n\
                test_none if count(policy.deny) == 0 with input as {\"tool\": \"b\"}";
    let vetted = vet_files(&[("p.rego", &policy), ("p_test.rego", test)]).unwrap();
    assert_eq!(vetted.warnings(), []);
}

#[test]
fn the_generated_table_of_lints_is_current() {
    let row = |lint: &Lint| {
        let (code, why, fix) = (lint.code(), lint.why(), lint.fix());
        let refused = if lint.severity() == Severity::Error { "refused" } else { "reported" };
        format!("| `{code}` | {refused} | {why} | {fix} |\n")
    };
    let rows: String = Lint::ALL.iter().map(row).collect();
    let table = format!("| code | | why | how to fix it |\n|---|---|---|---|\n{rows}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (start, end) = ("<!-- generated: lints -->\n", "<!-- end: lints -->\n");
    let (before, rest) = page.split_once(start).unwrap();
    let (committed, after) = rest.split_once(end).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{start}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(committed, table, "docs/policy.md is stale; run `make docs`");
    }
}

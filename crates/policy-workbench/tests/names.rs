//! Names mean for vetting what they mean for the interpreter; where OPA takes them as something
//! else, the policy is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rstest::rstest;
use sentinel_policy_analysis::{Finding, Lint};

use crate::support::{engine, now, trusted, usual, vet, vet_files, with_rules};

const DENY: &str = "\ndefault allow := false\n";

fn first(findings: &[Finding]) -> &Finding {
    findings.first().unwrap()
}

/// A called name is never a variable, and a function that is hidden behind one recurses unseen.
#[rstest]
#[case::local("allow if f(1)\nf(x) if { g := x; g(x) }\ng(x) if f(x)", "`g` is a variable")]
#[case::parameter("allow if f(1)\nf(g) if g(1)\ng(x) if f(x)", "`g` is a variable")]
#[case::some("allow if f(1)\nf(x) if { some g in [x]; g(x) }\ng(x) if f(x)", "`g` is a variable")]
#[case::every("allow if f(1)\nf(x) if { every g in [x] { g(x) } }\ng(x) if f(x)", "`g` is a")]
#[case::comprehension("allow if f(1)\nf(x) if count([1 | g := x; g(x)]) > 0\ng(x) if f(x)", "`g`")]
#[case::hidden_by_a_parameter(
    "allow if f(1)\nf(count) if { input.deep; count(1) }\ncount(x) if { input.deep; f(x) }",
    "`count` is a variable here"
)]
#[case::own_function("allow if count(input.x) > 0\ncount(x) := count(x)", "name of a builtin")]
#[case::dotted_function("allow if time.now_ns(1) > 0\ntime.now_ns(x) := x", "name of a builtin")]
#[case::default_function("allow if abs(1) > 0\ndefault abs(x) := 1", "name of a builtin")]
#[case::rule("allow if count(input.x) > 0\ncount := 5", "`count` is a rule or an import")]
#[case::rule_of_the_path("allow if time.now_ns() > 0\ntime.now_ns := 5", "`time` is a rule")]
#[case::first_name("allow if object.get(input, \"x\", 1) > 0\nobject := {}", "`object` is a rule")]
#[case::import("import data.time\nallow if time.now_ns() > 0", "`time` is a rule or an import")]
#[case::import_and_rule("import data.b as h\nh := 1\nallow if h == 1", "the name of a rule")]
#[case::default_with_query("allow if f(1)\ndefault f(x) := [y | y := g(1)]\ng(x) := x", "constant")]
fn names_that_are_two_things_are_refused(#[case] rules: &str, #[case] why: &str) {
    // Imports come first.
    let rules =
        if rules.starts_with("import") { rules.to_owned() } else { format!("{DENY}{rules}") };
    let findings = vet(&rules).expect_err(&rules).findings();
    let found = first(&findings);
    assert_eq!(found.lint, Lint::AmbiguousName, "{findings:?}");
    assert!(found.message.contains(why) && found.place.is_some(), "{found:?}");
}

/// OPA has it as a rule; here it would change how the file is read.
#[test]
fn what_only_the_interpreter_knows_is_refused() {
    let findings = vet("__target__ := \"x\"\nallow if true").expect_err("it is refused").findings();
    assert_eq!(first(&findings).lint, Lint::AmbiguousName, "{findings:?}");
}

/// The interpreter keeps imports by package, so a file has those of its neighbours.
#[test]
fn an_import_of_a_neighbour_hides_no_recursion() {
    let found = vet_files(&[
        ("a.rego", "package sentinel.policy\nimport data.lib as l\nallow if l.ok"),
        ("b.rego", "package sentinel.policy\ny if l.f(1)"),
        ("c.rego", "package lib\nok if f(1)\nf(x) if data.sentinel.policy.y"),
    ]);
    let findings = found.expect_err("it recurses").findings();
    assert_eq!(first(&findings).lint, Lint::Recursion, "{findings:?}");
}

#[test]
fn one_import_is_one_thing_in_all_files_of_a_package() {
    let found = vet_files(&[
        ("a.rego", "package sentinel.policy\nimport data.x as h\nallow if h.ok"),
        ("b.rego", "package sentinel.policy\nimport data.y as h\nz if h.ok"),
    ]);
    let findings = found.expect_err("two meanings").findings();
    let found = first(&findings);
    assert!(found.message.contains("imported as something else"), "{found:?}");
}

/// Where no rule has the path, the interpreter evaluates all that begin with a part of it.
#[test]
fn a_reference_beside_all_rules_of_a_name_refers_to_all_of_them() {
    let findings = vet("a.b := a.zzz\nallow if a.b").expect_err("it recurses").findings();
    assert_eq!(first(&findings).lint, Lint::Recursion, "{findings:?}");
}

#[rstest]
#[case("count := 5\nallow if count == 5")]
#[case("allow if { count := 1; count == 1 }")]
#[case("allow if { f := f1(1); f == 1 }\nf1(x) := x")]
#[case("max := 5\nallow if input.usage < max\nlimit(max) := max")]
#[case("default f(x) := {\"a\": [1, -2]}\nallow if f(1) == 1")]
fn names_that_are_plain_are_accepted(#[case] rules: &str) {
    vet(&format!("{DENY}{rules}")).unwrap();
}

#[test]
fn a_function_behind_an_import_may_have_the_name_of_a_builtin() {
    vet_files(&[
        ("a.rego", "package sentinel.policy\nimport data.time\nallow if time.now_ns(1) == 1"),
        ("b.rego", "package time\nnow_ns(x) := x"),
    ])
    .unwrap();
}

/// A policy that is trusted is not vetted, so this is about the memory alone.
#[rstest]
#[case::rule_of_the_builtins_path("time.now_ns := 0 if false")]
#[case::rule_of_its_first_name("time := 0 if false")]
#[case::neither("other := 0")]
fn an_allow_does_not_outlive_its_time(#[case] beside: &str) {
    let began = Instant::now();
    let until = Timestamp::now().as_nanosecond() + 300_000_000;
    let engine = with_rules(&format!(
        "default decision := {{\"allow\": false}}\n{beside}\n\
         decision := {{\"allow\": true}} if time.now_ns() < {until}"
    ));
    let call = usual();
    assert!(call.decide(&engine).unwrap().allow);
    while call.decide(&engine).unwrap().allow {
        assert!(began.elapsed() < Duration::from_secs(20), "the allow outlived its time");
    }
}

#[rstest]
#[case("json.patch({}, input.context.changes) != 1")]
fn values_are_not_nested_without_bound_by_changes_to_them(#[case] condition: &str) {
    let rules = format!(
        "default decision := {{\"allow\": false}}\ndecision := {{\"allow\": true}} if {condition}"
    );
    let policy = trusted([("p.rego", format!("package sentinel.policy\n{rules}"))]);
    let engine_ = engine();
    engine_.install(&policy, now()).unwrap();
    let change = |n: usize| {
        let copy = serde_json::json!({"op": "copy", "from": "", "path": "/a"});
        let add = serde_json::json!({"op": "add", "path": "/b", "value": 1});
        let copies = std::iter::repeat_n(copy, n);
        let changes: Vec<_> = std::iter::once(add).chain(copies).collect();
        let mut call = usual();
        call.context = serde_json::json!({"changes": changes}).as_object().unwrap().clone();
        call.decide(&engine_)
    };
    assert!(change(20).unwrap().allow);
    assert!(change(300).is_err());
    assert!(change(20).unwrap().allow, "the engine goes on");
}

//! What would take the process down, or longer than anyone waits: vetting refuses it, and this
//! process survives it.
//!
//! Nothing here would do so where it is not refused. What refers to itself does it behind a
//! condition that is `false`, so that no interpreter goes on; a bound is exceeded by a little; and
//! a vetting process that takes too long is one that sleeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use rstest::rstest;
use sentinel_core::policy::PolicyError;
use sentinel_policy::{LoadError, Vetter};
use sentinel_policy_analysis::SourceLimits;
use serde_json::json;
use support::{engine, now, usual, vet, vet_files, vetter, with_rules, write};

fn refusal(rules: &str) -> String {
    vet(rules).expect_err(rules).to_string()
}

#[rstest]
#[case::direct("allow if { false; allow }", "data.sentinel.policy.allow")]
#[case::mutual("allow if { false; y }\ny if { false; allow }", "data.sentinel.policy.y")]
#[case::function(
    "allow if f(1)\nf(x) if { false; g(x) }\ng(x) if { false; f(x) }",
    "data.sentinel.policy.g"
)]
#[case::function_through_rule("allow if f(1)\nf(x) if { false; allow }", "data.sentinel.policy.f")]
#[case::negation("allow if { false; not y }\ny if { false; not allow }", "data.sentinel.policy.y")]
#[case::comprehension(
    "allow if count([1 | false; y]) > 0\ny if { z := {k: 1 | false; some k; allow} }",
    "y"
)]
#[case::every(
    "allow if { every x in [1] { false; y } }\ny if { some z in [1]; false; allow }",
    "y"
)]
#[case::dynamic(
    "allow if { false; some x; data.sentinel.policy[x] }",
    "data.sentinel.policy.allow"
)]
#[case::dynamic_package(
    "allow if { false; some x; data[x].policy.y }\ny := 1",
    "data.sentinel.policy.allow"
)]
#[case::by_input(
    "allow if { false; data.sentinel[input.tool].allow }",
    "data.sentinel.policy.allow"
)]
#[case::whole_data("allow if { false; count(data) > 0 }", "data.sentinel.policy.allow")]
#[case::alias("import data.sentinel.policy as p\nallow if p.y\ny if { false; p.allow }", "y")]
#[case::alias_of_all("import data.sentinel as s\nallow if { false; some x; s[x].allow }", "allow")]
#[case::variable_of_data("allow if { false; p := data.sentinel.policy; p.allow }", "allow")]
#[case::partial("allow if y.a\ny[k] := 1 if { false; some k in [\"a\"]; allow }", "y")]
#[case::set(
    "allow if \"a\" in y\ny contains x if { false; some x in y }",
    "data.sentinel.policy.y"
)]
#[case::head("allow := y if false\ny := allow if false", "y")]
#[case::else_branch("allow if false\nelse := y if false\ny := allow if false", "y")]
#[case::shadowed_elsewhere(
    "allow if { y := 1; y > 0 }\nallow if { false; y }\ny if { false; allow }",
    "y"
)]
#[case::local_after_use("allow if { x := y; y := 1 }\ny if { false; allow }", "y")]
#[case::with_function(
    "allow if f(1)\nf(x) if { false; h(x) }\nh(x) := 1\nz if { false; f(1) with h as g }\ng(x) if { false; f(x) }",
    "g"
)]
#[case::with_builtin(
    "allow if n\nn if { false; count([]) with count as g }\ng(x) := 0 if { false; count(x) == 0 }",
    "count"
)]
#[case::brackets("allow if data[\"sentinel\"][\"policy\"][\"y\"]\ny if { false; allow }", "y")]
fn recursion_is_refused_by_name(#[case] rules: &str, #[case] name: &str) {
    let error = refusal(&format!("{rules}\ndecision := {{\"allow\": false}}"));
    assert!(error.contains("rules refer to themselves") && error.contains(name), "{error}");
    assert!(error.contains("p.rego:"), "{error}");
}

#[test]
fn recursion_across_packages_and_files_is_refused() {
    let error = vet_files(&[
        ("a.rego", "package sentinel.policy\nimport data.lib.roles\nallow if { false; roles.ok }"),
        ("lib/b.rego", "package lib.roles\nok if { false; data.sentinel.policy.allow }"),
    ])
    .expect_err("recursion");
    assert!(error.to_string().contains("`data.lib.roles.ok`"), "{error}");
}

#[rstest]
#[case::argument("allow if f({\"quota\": 1})\nf(quota) if quota.quota == 1\nquota := f(1)")]
#[case::local("allow if { y := input.x; y == 1 }\ny if allow")]
#[case::every("allow if { every y in [1] { y == 1 } }\ny if allow")]
#[case::destructured("allow if { [y, [z]] := input.x; y == z }\ny if allow\nz if allow")]
#[case::object_key("allow if input.allow")]
fn what_only_looks_like_recursion_is_accepted(#[case] rules: &str) {
    vet(&format!("default allow := false\n{rules}")).unwrap();
}

/// The interpreter takes the variable for the rule as well, and could not prepare the policy.
#[rstest]
#[case::some("allow if { some y in [1]; y == 1 }\ny if allow")]
#[case::comprehension("allow if { 1 in [y | some y in [1]] }\ny if allow")]
fn what_the_interpreter_cannot_prepare_is_refused_with_its_reason(#[case] rules: &str) {
    let error = refusal(&format!("default allow := false\n{rules}"));
    assert!(error.contains("`y` used before definition") && error.contains("p.rego:3:"), "{error}");
}

/// None of its rules goes on to the next.
#[test]
fn a_chain_of_rules_deeper_than_the_stack_is_refused() {
    let mut rules = "allow if a0\n".to_owned();
    for i in 0..9_999 {
        rules += &format!("a{i} if {{ false; a{} }}\n", i + 1);
    }
    rules += "a9999 := true\n";
    let error = refusal(&rules);
    assert!(error.contains("levels deep"), "{error}");
}

#[test]
fn the_deepest_chain_that_is_accepted_fits_into_two_mebibytes() {
    let chain = |length: usize| {
        let mut rules = "allow if a0(1)\n".to_owned();
        for i in 0..length {
            let next = i + 1;
            rules += &format!(
                "a{i}(x) if {{ not b{i}(x) }}\nb{i}(x) if {{ c := [y | y := a{next}(x)]; count(c) == 7 }}\n"
            );
        }
        rules + &format!("a{length}(x) := x\n")
    };
    let longest = (1..200).rev().step_by(4).find(|length| vet(&chain(*length)).is_ok()).unwrap();
    let rules = chain(longest);
    assert!(longest > 5, "{longest}");
    let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let decided = small.spawn(move || usual().decide(&with_rules(&rules))).unwrap().join().unwrap();
    assert!(decided.is_ok() || decided == Err(PolicyError::Undefined), "{decided:?}");
}

/// Some text takes the interpreter longer to parse than anyone waits, so it is only ever parsed by
/// a process that can be ended. This one never parses anything.
#[test]
fn a_vetting_process_that_takes_too_long_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("p.rego", "package sentinel.policy\nallow := true")]);
    let slow = Vetter {
        command: "/bin/sh".into(),
        args: vec!["-c".into(), "exec sleep 60".into()],
        timeout: Duration::from_millis(200),
    };
    let started = Instant::now();
    let error = slow.vet(dir.path(), &SourceLimits::default()).expect_err("it sleeps");
    assert!(matches!(error, LoadError::VettingFailed(_)), "{error}");
    assert!(error.to_string().contains("took longer than"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[rstest]
#[case("allow if count(numbers.range(1, input.usage)) > 0", "numbers.range")]
#[case("allow if count(numbers.range(1, 10002)) > 0", "numbers.range")]
#[case("allow if count(numbers.range_step(0, 100, input.usage)) > 0", "numbers.range_step")]
#[case("allow if f(1, 2)\nf(a, b) := 1\nx if { f(1, 2) with f as numbers.range }", "numbers.range")]
#[case("allow if bits.lsh(1, input.usage) > 0", "bits.lsh")]
#[case("allow if units.parse(input.tool) > 0", "units.parse")]
#[case("allow if units.parse(\"1e2\") > 0", "units.parse")]
#[case("allow if count(net.cidr_expand(\"10.0.0.0/30\")) > 0", "net.cidr_expand")]
fn functions_that_nothing_interrupts_are_refused(#[case] rules: &str, #[case] name: &str) {
    let error = refusal(rules);
    assert!(error.contains(name) && error.contains("p.rego:"), "{error}");
}

#[rstest]
#[case("allow if not http.send({\"url\": \"http://a.example/\"})", "http.send")]
#[case("allow if startwith(input.tool, \"a\")", "startwith")]
#[case("allow if not opa.runtime().env", "opa.runtime")]
fn functions_that_do_not_exist_are_refused(#[case] rules: &str, #[case] name: &str) {
    assert!(refusal(rules).contains(&format!("there is no function `{name}`")));
}

#[test]
fn small_literal_ranges_are_accepted() {
    vet("default allow := false\nallow if { some i in numbers.range(-1, 10); i == input.usage }\nx := units.parse(\"5M\")").unwrap();
}

#[rstest]
#[case(r#"{"sentinel": {"policy": {"allow": true}}}"#, "data.json")]
#[case(r#"{"sentinel": {"policy": {"other": 1}}}"#, "data.json")]
#[case(r#"{"sentinel": {"policy": true}}"#, "data.json")]
#[case(r#"{"sentinel": 1}"#, "data.json")]
#[case(r#"{"allow": true}"#, "sentinel/policy/data.json")]
#[case(r#"{"policy": {"allow": true}}"#, "sentinel/data.json")]
fn data_never_shadows_a_rule(#[case] data: &str, #[case] file: &str) {
    let policy = "package sentinel.policy\nallow := false";
    let error = vet_files(&[("p.rego", policy), (file, data)]).expect_err("shadowing");
    assert!(error.to_string().contains("would shadow the rules"), "{error}");
    // The place is that of the rule, and the message names the data.
    let found = &error.findings()[0];
    let line = if data.contains("allow") { 2 } else { 1 };
    assert_eq!(found.place.as_ref().map(|place| place.line), Some(line), "{found:?}");
    assert_eq!(found.file.as_deref(), Some("p.rego"));
    assert!(found.message.contains(file), "{found:?}");
}

#[test]
fn data_may_lie_beside_the_package() {
    let policy = "package sentinel.policy\nallow if data.sentinel.tables.a == 1";
    vet_files(&[("p.rego", policy), ("sentinel/tables/data.yaml", "a: 1")]).unwrap();
}

/// Slow only for one input, so that vetting does not notice.
const SLOW: &str = r#"
default decision := {"allow": false}
decision := {"allow": true} if {
    input.arguments.slow
    some a in numbers.range(1, 300)
    some b in numbers.range(1, 300)
    some c in numbers.range(1, 300)
    a + b + c == 1000000
}
"#;

#[test]
fn a_slow_rule_times_out_and_the_next_decision_is_sound() {
    vet(SLOW).unwrap();
    let engine = with_rules(SLOW);
    let slow = usual().with_arguments(json!({"slow": true}));
    for _ in 0..3 {
        let started = Instant::now();
        assert_eq!(slow.decide(&engine), Err(PolicyError::TimedOut));
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
        assert!(!usual().decide(&engine).unwrap().allow);
    }
}

#[test]
fn a_policy_slow_for_usual_calls_is_refused() {
    let error = refusal(&SLOW.replace("input.arguments.slow", "true"));
    assert!(error.contains("takes longer than 1 s"), "{error}");
}

/// Tests run on stacks of 2 MiB, half of what the vetting process has.
#[test]
fn deep_expressions_are_refused_or_harmless() {
    let sum = |n| format!("allow if {}input.usage{} > 1", "(1 + ".repeat(n), ")".repeat(n));
    let list = |n| format!("allow if {}input.usage{} != []", "[".repeat(n), "]".repeat(n));
    let chain = |n| format!("allow if input{}", ".a".repeat(n));
    let mut accepted = 0;
    for n in [2, 5, 8, 20, 28, 31, 40, 400] {
        for rules in [sum(n), list(n.min(9)), chain(n)] {
            let rules = format!("default allow := false\n{rules}");
            if vet(&rules).is_ok() {
                accepted += 1;
                assert!(usual().decide(&with_rules(&rules)).is_ok(), "{rules}");
            }
        }
    }
    assert!((10..24).contains(&accepted), "{accepted}");
}

#[test]
fn a_vetter_that_cannot_be_started_or_says_nothing_loads_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("p.rego", "package sentinel.policy\nallow := true")]);
    for command in ["/nonexistent", "/bin/true", "/bin/false", "/bin/echo"] {
        let silent = Vetter { command: command.into(), ..vetter() };
        assert!(silent.vet(dir.path(), &SourceLimits::default()).is_err(), "{command}");
    }
    let engine = sentinel_policy::EmbeddedEngine::new(sentinel_policy::EmbeddedConfig::default());
    assert!(matches!(engine.load(dir.path(), now()), Err(LoadError::NoVetter)));
    assert_eq!(usual().decide(&engine), Err(PolicyError::NoPolicy));
    assert_eq!(usual().decide(&self::engine()), Err(PolicyError::NoPolicy));
}

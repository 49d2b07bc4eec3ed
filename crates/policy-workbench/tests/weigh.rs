//! Whether an answer may depend on the usage, as the text of a policy shows: it says how often
//! policy is asked about one call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod support;

use rstest::rstest;
use sentinel_core::policy::PolicyEngine as _;
use sentinel_core::rollout::PolicyState;
use support::{engine, now, vet_files};

fn weighs(rules: &str) -> bool {
    let text = format!("package sentinel.policy\n{rules}");
    let engine = engine();
    engine.install(&vet_files(&[("p.rego", &text)]).expect(rules), now()).unwrap();
    engine.weighs_usage(&PolicyState::default())
}

const DECISION: &str = "default decision := {\"allow\": false}\n";

#[rstest]
#[case("decision := {\"allow\": true} if input.tool == \"a\"", false)]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": 5}} if input.tool == \"a\"", false)]
#[case("decision := {\"allow\": true} if { is_number(input.usage); input.usage < 5 }", true)]
#[case("decision := {\"allow\": true} if { input[\"usage\"] == 5 }", true)]
#[case("decision := {\"allow\": true} if { some k; input[k] == 5 }", true)]
#[case("decision := {\"allow\": true} if { i := input; i.usage == 5 }", true)]
#[case("decision := {\"allow\": true} if count(input) > 5", true)]
fn a_policy_weighs_usage_unless_its_text_shows_that_it_does_not(
    #[case] rules: &str,
    #[case] expected: bool,
) {
    assert_eq!(weighs(&format!("{DECISION}{rules}")), expected, "{rules}");
}

/// It knows the day only, so no other window can come of the usage.
#[test]
fn a_policy_of_the_seeds_shape_does_not() {
    let rules = "default allow := false\nquota_remaining := 10 - input.usage\n\
        allow if { is_number(input.usage); quota_remaining > 0 }";
    assert!(!weighs(rules));
}

#[test]
fn an_engine_without_a_policy_does() {
    assert!(engine().weighs_usage(&PolicyState::default()));
}

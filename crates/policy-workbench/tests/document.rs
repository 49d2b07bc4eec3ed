//! The decision document: exactly a decision, or a deny.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use rstest::rstest;
use sentinel_core::policy::PolicyError;
use sentinel_core::quota::{Quota, Window};
use sentinel_core::rate::{RateRule, RateScope};
use serde_json::json;
use support::{usual, vet, with_rules};

fn error_of(rules: &str) -> PolicyError {
    usual().decide(&with_rules(rules)).expect_err(rules)
}

#[rstest]
#[case("decision := {\"allow\": \"true\"}")]
#[case("decision := {\"allow\": 1}")]
#[case("decision := {\"allow\": null}")]
#[case("decision := {\"allow\": [true]}")]
#[case("decision := true")]
#[case("decision := [{\"allow\": true}]")]
#[case("decision := {}")]
#[case("decision := {\"Allow\": true}")]
#[case("decision := {\"allow\": true, \"alow\": false}")]
#[case("decision := {\"allow\": true, \"obligation\": []}")]
#[case("decision := {\"allow\": true, 1: 2}")]
#[case("decision := {\"allow\": true, \"reasons\": \"none\"}")]
#[case("decision := {\"allow\": true, \"reasons\": [\"none\"]}")]
#[case("decision := {\"allow\": false, \"reasons\": [{\"code\": \"a\"}]}")]
#[case("decision := {\"allow\": false, \"reasons\": [{\"msg\": \"a\"}]}")]
#[case("decision := {\"allow\": false, \"reasons\": [{\"code\": \"a\", \"msg\": 1}]}")]
#[case("decision := {\"allow\": false, \"reasons\": [{\"code\": \"a b\", \"msg\": \"c\"}]}")]
#[case("decision := {\"allow\": false, \"reasons\": [{\"code\": \"a\", \"msg\": \"c\\nd\"}]}")]
#[case(
    "decision := {\"allow\": false, \"reasons\": [{\"code\": \"a\", \"msg\": \"b\", \"c\": 1}]}"
)]
#[case(
    "decision := {\"allow\": false, \"reasons\": [{\"code\": \"a\", \"msg\": concat(\"\", [\"x\" | numbers.range(0, 500)[_]])}]}"
)]
#[case(
    "decision := {\"allow\": true, \"reasons\": [{\"code\": \"a\", \"msg\": sprintf(\"%d\", [i])} | some i in numbers.range(0, 32)]}"
)]
#[case("decision := {\"allow\": true, \"obligations\": {}}")]
#[case("decision := {\"allow\": true, \"obligations\": [\"alert\"]}")]
#[case("decision := {\"allow\": true, \"obligations\": [{\"kind\": \"alert\"}]}")]
#[case("decision := {\"allow\": true, \"obligations\": [{\"type\": 1}]}")]
#[case("decision := {\"allow\": true, \"obligations\": [{\"type\": \"rate_limit\"}]}")]
#[case(
    "decision := {\"allow\": true, \"obligations\": [{\"type\": \"rate_limit\", \"scope\": \"tool\", \"limit\": 0, \"period\": \"1s\"}]}"
)]
#[case(
    "decision := {\"allow\": true, \"obligations\": [{\"type\": \"rate_limit\", \"scope\": \"tool\", \"limit\": 1, \"period\": \"1s\", \"per\": 1}]}"
)]
#[case("decision := {\"allow\": true, \"quota\": null}")]
#[case("decision := {\"allow\": true, \"quota\": 5}")]
#[case("decision := {\"allow\": true, \"quota\": {}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": -1}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": 1.5}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": \"5\"}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": 9223372036854775808}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": 1e300}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": 99999999999999999999999999}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": 5, \"window\": \"1w\"}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": 5, \"window\": 1}}")]
#[case("decision := {\"allow\": true, \"quota\": {\"limit\": 5, \"per\": \"1h\"}}")]
#[case("allow := \"true\"")]
#[case("allow := 1")]
#[case("allow := true\nquota_remaining := \"5\"")]
#[case("allow := true\nquota_remaining := 1.5")]
#[case("allow := true\nquota_remaining := 1e300")]
#[case("allow := false\ndeny_reason := 1")]
fn what_is_not_a_decision_is_malformed(#[case] rules: &str) {
    let error = error_of(rules);
    assert!(matches!(error, PolicyError::Malformed(_)), "{error:?}");
    // And such a policy does not replace one that works.
    if !rules.contains("numbers.range") {
        assert!(vet(rules).is_err() || rules.contains("deny_reason"), "{rules}");
    }
}

/// `require_approval` among them: no one asks for the approval, so the call must not go on.
#[rstest]
#[case("approve")]
#[case("require_approval")]
#[case("Alert")]
fn an_unknown_obligation_does_not_allow(#[case] kind: &str) {
    let rules =
        format!("decision := {{\"allow\": true, \"obligations\": [{{\"type\": \"{kind}\"}}]}}");
    assert_eq!(error_of(&rules), PolicyError::UnknownObligation(kind.to_owned()));
}

#[rstest]
#[case("decision := {\"allow\": true} if input.tool == \"other\"")]
#[case("decision := {\"allow\": true, \"quota\": data.nothing}")]
#[case("allow if input.tool == \"other\"")]
#[case("decision(x) := {\"allow\": true}")]
fn an_undefined_decision_does_not_allow(#[case] rules: &str) {
    assert_eq!(error_of(rules), PolicyError::Undefined);
}

#[rstest]
#[case("decision := {\"allow\": input.tool + 1}")]
#[case("decision := {\"allow\": true} if not startswith(input.usage, \"a\")")]
#[case("decision := {\"allow\": true}\ndecision := {\"allow\": false}")]
#[case("decision := {\"allow\": true} if not to_number(input.arguments.secret)")]
fn an_error_does_not_allow_and_shows_no_value(#[case] rules: &str) {
    let call = usual().with_arguments(json!({"secret": "hunter2"}));
    let error = call.decide(&with_rules(rules)).expect_err(rules);
    assert!(matches!(error, PolicyError::Failed(_)), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("p.rego:") && !text.contains("hunter2") && !text.contains("42"),
        "{text}"
    );
}

#[test]
fn a_full_document_is_read() {
    let rules = r#"decision := {
        "allow": true,
        "reasons": {{"code": "b", "msg": "second"}, {"code": "a", "msg": "first"}},
        "obligations": [{"type": "alert", "channel": "sec", "level": 2}],
        "quota": {"limit": 7, "window": "6h", "remaining": 3},
    }"#;
    let decision = usual().decide(&with_rules(rules)).unwrap();
    assert!(decision.allow);
    let codes: Vec<_> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["a", "b"]);
    assert_eq!(decision.obligations[0].kind, "alert");
    assert_eq!(decision.obligations[0].fields["level"], json!(2));
    assert_eq!(decision.quota, Some(Quota { limit: 7, window: Window::Hours(6) }));
}

#[test]
fn a_rate_limit_is_an_obligation() {
    let rules = r#"decision := {
        "allow": true,
        "obligations": [{"type": "rate_limit", "scope": "agent", "limit": 2 + 3, "period": "1m"}],
    }"#;
    let decision = usual().decide(&with_rules(rules)).unwrap();
    let rule = RateRule::of_obligation(&decision.obligations[0]).unwrap().unwrap();
    assert_eq!((rule.scope, rule.limit.limit(), rule.limit.burst()), (RateScope::Agent, 5, 5));
}

#[test]
fn a_quota_without_window_is_per_day_and_zero_is_a_limit() {
    let rules = "decision := {\"allow\": true, \"quota\": {\"limit\": 0}}";
    let decision = usual().decide(&with_rules(rules)).unwrap();
    assert_eq!(decision.quota, Some(Quota { limit: 0, window: Window::DAY }));
}

#[test]
fn input_has_every_field_and_no_null() {
    let rules = r#"
    decision := {"allow": complete}
    default complete := false
    complete if {
        input.tenant == "platform-eng"
        input.tool == "langsmith-docs-search"
        input.action == "call"
        input.purpose == "documentation_lookup"
        input.usage == 42
        input.context == {}
        input.agent == "agent-7"
        input.arguments == {"n": [1, -2, 2.5, "x", null, true, {"a": {}}], "big": 18446744073709551615}
        startswith(input.principal.id, "key:")
        input.principal.roles == ["agent"]
        input.tool_record.owner == "platform"
        input.tool_record.scopes == ["read"]
        input.tool_record.metadata == {"tier": 1}
        input.tool_record.url == "https://tool.example/mcp"
        count(input.tool_record.digest) == 64
        time.parse_rfc3339_ns(input.time) > 0
        count(input) == 11
    }"#;
    let arguments = json!({"n": [1, -2, 2.5, "x", null, true, {"a": {}}], "big": u64::MAX});
    let call = usual().with_arguments(arguments);
    assert!(call.decide(&with_rules(rules)).unwrap().allow);

    let mut bare = usual();
    (bare.agent, bare.purpose) = (None, None);
    let rules = "decision := {\"allow\": bare}\ndefault bare := false\nbare if { not \"agent\" in object.keys(input); not \"purpose\" in object.keys(input); count(input) == 9 }";
    assert!(bare.decide(&with_rules(rules)).unwrap().allow);
}

#[test]
fn a_changed_tool_is_seen_at_once() {
    let engine = with_rules("decision := {\"allow\": input.tool_record.owner == \"platform\"}");
    assert!(usual().decide(&engine).unwrap().allow);
    for owner in ["security", "platform", "finance"] {
        let mut call = usual();
        let mut record = (*call.record).clone();
        record.owner = owner.parse().unwrap();
        call.record = std::sync::Arc::new(record);
        assert_eq!(call.decide(&engine).unwrap().allow, owner == "platform");
    }
}

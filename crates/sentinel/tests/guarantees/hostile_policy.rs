//! G1: a policy that errs, hangs, returns nonsense or overflows the stack never allows, and never
//! takes the process down.

use sentinel_client::api::CheckAnswer;
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::Server;

fn decided_by(policy: &str) -> CheckAnswer<'static> {
    let server = Server::with_policy(policy);
    let mut agent = Client::new(&server.url, &server.key("agent"));
    let first = agent.check(&check()).answer;
    // It still runs, and decides the same.
    let second = agent.check(&check()).answer;
    assert_eq!(first.code, second.code);
    assert_eq!(agent.get("/healthz").status, 200);
    first
}

fn check() -> Value {
    json!({
        "tenant_slug": "secops",
        "tool_name": "incident-response-runbook",
        "action": "invoke",
        "purpose": "incident_response",
        "arguments": {"n": 3},
    })
}

#[track_caller]
fn assert_denied(policy: &str, codes: &[&str]) {
    let answer = decided_by(policy);
    assert!(!answer.allow, "{answer:?}");
    let code = answer.code.as_str();
    assert!(codes.contains(&code), "code {code}, not one of {codes:?}: {answer:?}");
}

/// A policy that does not survive vetting is not loaded, so there is none.
const NOT_LOADED: &[&str] = &["no_policy"];

#[test]
fn a_policy_that_does_not_parse_denies() {
    assert_denied("package sentinel.policy\n\ndecision := {", NOT_LOADED);
}

#[test]
fn a_policy_whose_rules_refer_to_each_other_denies() {
    let policy = "package sentinel.policy\n\ndecision := {\"allow\": x, \"reasons\": []}\n\nx if { false; y }\n\ny if { false; x }\n";
    assert_denied(policy, NOT_LOADED);
}

#[test]
fn a_function_that_calls_itself_denies() {
    let policy = "package sentinel.policy\n\ndecision := {\"allow\": f(input.arguments.n), \"reasons\": []}\n\nf(n) := f(n + 1) if false\n";
    assert_denied(policy, NOT_LOADED);
}

#[test]
fn expressions_nested_deeper_than_is_allowed_deny() {
    let nested = format!("{}1{}", "(1 + ".repeat(100), ")".repeat(100));
    let policy = format!(
        "package sentinel.policy\n\ndecision := {{\"allow\": true, \"reasons\": []}}\n\nx := {nested}\n"
    );
    assert_denied(&policy, NOT_LOADED);
}

#[test]
fn a_policy_that_takes_too_long_denies() {
    let policy = "package sentinel.policy\n\ndecision := {\"allow\": true, \"reasons\": []} if {\n\tinput.tool == \"incident-response-runbook\"\n\tcount([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i * j == 7]) > 1\n}\n";
    assert_denied(policy, &["policy_timeout", "no_policy"]);
}

#[test]
fn a_policy_without_an_answer_denies() {
    let policy = "package sentinel.policy\n\ndecision := {\"allow\": true, \"reasons\": []} if input.tool == \"another\"\n";
    assert_denied(policy, &["policy_undefined"]);
}

#[test]
fn a_policy_that_errs_denies() {
    let policy = "package sentinel.policy\n\ndecision := {\"allow\": true, \"reasons\": [{\"code\": \"x\", \"msg\": y}]} if {\n\ty := input.tool * 2\n}\n";
    assert_denied(policy, &["policy_error", "policy_undefined", "no_policy"]);
}

#[test]
fn an_allow_that_is_not_the_boolean_true_denies() {
    for allow in ["\"true\"", "1", "null", "[true]", "{\"a\": true}"] {
        let policy = format!(
            "package sentinel.policy\n\ndecision := {{\"allow\": {allow}, \"reasons\": []}}\n"
        );
        assert_denied(&policy, &["policy_malformed", "no_policy"]);
    }
}

#[test]
fn an_unknown_obligation_denies() {
    let policy = "package sentinel.policy\n\ndecision := {\"allow\": true, \"reasons\": [], \"obligations\": [{\"type\": \"rot13\"}]}\n";
    assert_denied(policy, &["unknown_obligation", "no_policy"]);
}

#[test]
fn no_policy_at_all_denies() {
    assert_denied("", NOT_LOADED);
}

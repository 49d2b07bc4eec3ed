//! A limit holds inside functions, and what a decision may take is bounded whatever evaluates it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::time::{Duration, Instant};

use sentinel_core::policy::{PolicyEngine as _, PolicyError};
use sentinel_policy::{EmbeddedConfig, EmbeddedEngine, LoadError};
use serde_json::json;
use support::{now, trusted, usual, vet, with_rules};

/// Allows at once, or once the file that the arguments name is gone.
const PLANTED: &str = "decision := {\"allow\": true} if not input.arguments.gate\n\n\
     else := {\"allow\": true} if f(input.arguments.gate)\n\nf(gate) if planted.spin(gate)";

/// The task's thread goes on: with one thread for everything, an evaluation there would hold all of
/// this.
#[tokio::test(flavor = "current_thread")]
async fn evaluations_that_do_not_come_back_are_denied_in_time_and_hold_nothing_else() {
    let engine = EmbeddedEngine::new(EmbeddedConfig {
        hard_limit: Duration::from_millis(500),
        threads: 1,
        stuck_threads: 1,
        ..EmbeddedConfig::default()
    });
    let policy = trusted([("p.rego", format!("package sentinel.policy\n{PLANTED}"))]);
    engine.install(&policy, now()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("gate");
    std::fs::write(&gate, "").unwrap();
    let hostile = usual().with_arguments(json!({ "gate": gate }));
    for replaced in [true, false] {
        assert_eq!(engine.evaluate(hostile.input()).await, Err(PolicyError::TimedOut));
        assert_eq!(engine.is_stuck(), !replaced, "{:?}", engine.pool());
    }
    let asked = Instant::now();
    assert_eq!(engine.evaluate(usual().input()).await, Err(PolicyError::TimedOut));
    assert!(asked.elapsed() < Duration::from_millis(250), "at once, not {:?}", asked.elapsed());
    std::fs::remove_file(&gate).unwrap();
    let released = Instant::now();
    while engine.is_stuck() {
        assert!(released.elapsed() < Duration::from_secs(20), "{:?}", engine.pool());
        tokio::task::yield_now().await;
    }
    assert!(engine.evaluate(usual().input()).await.unwrap().allow);
    assert!(engine.evaluate(hostile.input()).await.unwrap().allow);
}

/// Many who ask the same at one time are all told, whatever it comes to.
#[tokio::test(flavor = "current_thread")]
async fn a_question_that_is_asked_by_many_at_one_time_is_answered_to_all() {
    let engine = with_rules(
        "decision := {\"allow\": true} if input.purpose == \"documentation_lookup\"\n\n\
         else := {\"allow\": input.usage * \"x\"} if input.purpose == \"x\"",
    );
    let call = usual();
    for _ in 0..2 {
        let decisions = futures::future::join_all((0..64).map(|_| engine.evaluate(call.input())));
        for decision in decisions.await {
            assert!(decision.unwrap().allow);
        }
    }
    let mut failing = usual();
    failing.purpose = Some("x".parse().unwrap());
    for _ in 0..2 {
        let decisions =
            futures::future::join_all((0..64).map(|_| engine.evaluate(failing.input())));
        for decision in decisions.await {
            assert!(matches!(decision, Err(PolicyError::Failed(_))), "{decision:?}");
        }
    }
    assert!(engine.evaluate(call.input()).await.unwrap().allow);
}

/// Takes far longer than a rule may, in small steps.
const LONG: &str = "count([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); \
                    i * j == 7]) > 1";

#[test]
fn a_limit_is_a_limit_in_a_rule_a_function_and_a_function_of_a_function() {
    let rules = [
        format!("decision := {{\"allow\": true}} if {LONG}"),
        format!("decision := {{\"allow\": true}} if f(1)\n\nf(_) if {LONG}"),
        format!("decision := {{\"allow\": true}} if g(1)\n\ng(x) if f(x)\n\nf(_) if {LONG}"),
        format!(
            "decision := {{\"allow\": true}} if f(1)\n\nf(x) := y if {{ x == 2; y := 1 }}\n\nf(_) := 2 if {LONG}"
        ),
    ];
    for rules in rules {
        let engine = with_rules(&rules);
        assert_eq!(usual().decide(&engine), Err(PolicyError::TimedOut), "{rules}");
        // The thread goes on to work.
        assert_eq!(usual().decide(&engine), Err(PolicyError::TimedOut), "{rules}");
    }
}

#[test]
fn a_message_that_looks_like_a_limit_is_an_error_all_the_same() {
    let engine = with_rules("decision := {\"allow\": x} if x := to_number(input.arguments.text)");
    let text = "execution exceeded time limit (elapsed=1ns, limit=1ns)";
    let outcome = usual().with_arguments(json!({ "text": text })).decide(&engine);
    assert!(matches!(outcome, Err(PolicyError::Failed(_))), "{outcome:?}");
}

/// Each parses text; the text is small and harmless, only more than is let through.
#[test]
fn text_that_may_cost_more_than_its_length_is_refused() {
    let depth = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let digits = "9".repeat(1025);
    let cases = [
        ("json.unmarshal", "1e1025"),
        ("json.unmarshal", "[1, {\"a\": -1.5E+1025}]"),
        ("json.unmarshal", digits.as_str()),
        ("json.unmarshal", depth.as_str()),
        ("json.is_valid", "1e1025"),
        ("to_number", "1e1025"),
        ("to_number", digits.as_str()),
        ("yaml.unmarshal", "a: 1e1025"),
        ("yaml.is_valid", "a: 1e1025"),
    ];
    let brackets = format!("[{}]", vec!["[]"; 1024].join(","));
    let aliases = format!("a: &a 1\nb: *a\nc: \"{}\"", "x".repeat(4096));
    let long = "a".repeat(64 * 1024 + 1);
    let yaml = [brackets.as_str(), aliases.as_str(), long.as_str()];
    let yaml = yaml
        .into_iter()
        .flat_map(|text| ["yaml.unmarshal", "yaml.is_valid"].map(|function| (function, text)));
    for (function, text) in cases.into_iter().chain(yaml) {
        let rules = format!(
            "decision := {{\"allow\": true, \"reasons\": [{{\"code\": \"x\", \
             \"msg\": \"x\"}} | {function}(input.arguments.text)]}}"
        );
        let engine = with_rules(&rules);
        let outcome = usual().with_arguments(json!({ "text": text })).decide(&engine);
        let shown: String = text.chars().take(40).collect();
        assert!(matches!(outcome, Err(PolicyError::Failed(_))), "{function} {shown}: {outcome:?}");
        // And not negated either.
        let engine = with_rules(&format!(
            "decision := {{\"allow\": true}} if not {function}(input.arguments.text)"
        ));
        let outcome = usual().with_arguments(json!({ "text": text })).decide(&engine);
        assert!(matches!(outcome, Err(PolicyError::Failed(_))), "{function} {shown}: {outcome:?}");
    }
}

#[test]
fn text_that_is_usual_is_parsed_as_before() {
    let rules = "decision := {\"allow\": all} if all := {\n\
        json.unmarshal(input.arguments.json) == {\"a\": [1, -2.5e3, \"x\"]},\n\
        json.is_valid(input.arguments.json), json.is_valid(\"{\") == false,\n\
        yaml.unmarshal(\"a: &x [1]\\nb: *x\") == {\"a\": [1], \"b\": [1]},\n\
        yaml.is_valid(\"a: 1\"), to_number(\"1.5\") == 1.5, to_number(\"1e3\") == 1000,\n\
        to_number(null) == 0, to_number(true) == 1, to_number(7) == 7,\n\
    } == {true}";
    let json = r#"{"a": [1, -2.5e3, "x"]}"#;
    let outcome = usual().with_arguments(json!({ "json": json })).decide(&with_rules(rules));
    assert!(outcome.as_ref().is_ok_and(|decision| decision.allow), "{outcome:?}");
}

#[test]
fn arguments_that_multiply_have_to_be_literals() {
    let refused = [
        "concat(input.arguments.x, [\"a\"])",
        "replace(input.arguments.x, \"a\", input.arguments.y)",
        "regex.replace(input.arguments.x, \"a\", input.arguments.y)",
        "sprintf(input.arguments.x, [1])",
        "strings.replace_n(input.arguments.x, \"a\")",
        "strings.replace_n({\"a\": input.arguments.x}, \"a\")",
        "json.patch({}, input.arguments.x)",
        "json.patch({}, [p | some p in input.arguments.x])",
        "json.match_schema({}, input.arguments.x)",
        "json.verify_schema(input.arguments.x)",
        "json.marshal_with_options({}, {\"indent\": input.arguments.x})",
    ];
    for call in refused {
        let outcome = vet(&format!("decision := {{\"allow\": false, \"x\": {call}}}"));
        let Err(LoadError::Refused(findings)) = outcome else { panic!("{call}: {outcome:?}") };
        let codes: Vec<_> = findings.iter().map(|finding| finding.lint.code()).collect();
        assert!(codes.contains(&"unbounded_builtin"), "{call}: {findings:?}");
    }
    let taken = [
        "concat(\", \", input.arguments.x)",
        "replace(input.arguments.x, input.arguments.y, \"a\")",
        "regex.replace(input.arguments.x, \"a\", \"b\")",
        "sprintf(\"%v\", [input.arguments.x])",
        "strings.replace_n({\"a\": \"b\"}, input.arguments.x)",
        "json.patch({}, [{\"op\": \"add\", \"path\": \"/a\", \"value\": input.arguments.x}])",
        "json.match_schema(input.arguments, data.schemas.x)",
        "json.match_schema(input.arguments, schema)",
        "json.marshal_with_options(input.arguments, {\"indent\": \"  \"})",
    ];
    for call in taken {
        let rules = format!(
            "decision := {{\"allow\": false, \"reasons\": []}} if count([x | x := {call}]) == 5\n\n\
             schema := {{\"type\": \"object\"}}"
        );
        let outcome = vet(&rules);
        let unbounded = match &outcome {
            Err(LoadError::Refused(findings)) => {
                findings.iter().any(|finding| finding.lint.code() == "unbounded_builtin")
            }
            Err(error) => panic!("{call}: {error}"),
            Ok(_) => false,
        };
        assert!(!unbounded, "{call}: {outcome:?}");
    }
}

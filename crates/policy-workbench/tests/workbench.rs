//! What people who write policies work with: tests beside OPA's, explanations, replay.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::collections::BTreeMap;

use sentinel_policy::shipped;
use sentinel_policy_workbench::{
    Outcome, Replayed, Replayer, bench, explain, run_selected, sample_inputs,
};
use sentinel_testkit::opa;
use serde_json::{Value, json};
use support::{trusted, write};

const POLICY: &str = r#"package sentinel.policy

default allow := false

allow if input.tool == "a"
"#;
const TESTS: &str = r#"package sentinel.policy_test

import data.sentinel.policy

test_ok if policy.allow with input as {"tool": "a"}

test_no if {
	call := {"tool": "b"}
	call.tool == "b"
	policy.allow with input as call
	call.tool == "never reached"
}

test_number := 1

test_conflict if {
	some x in [1, 2]
	f(x) == 0
}

f(x) := 1 if x > 0

f(x) := x if x > 0

todo_test_later if false
"#;

#[test]
fn tests_have_the_names_and_verdicts_that_opa_gives() {
    let files = [("p.rego", POLICY), ("p_test.rego", TESTS)];
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &files);
    let output = opa::command().args(["test", "--format=json"]).arg(dir.path()).output().unwrap();
    let theirs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let theirs: BTreeMap<String, Outcome> = theirs
        .iter()
        .map(|test| {
            let name = format!("{}.{}", test["package"], test["name"]).replace('"', "");
            let is = |verdict: &str| test.get(verdict).is_some();
            let outcome = match () {
                () if is("skip") => Outcome::Skipped,
                () if is("error") => Outcome::Error,
                () if is("fail") => Outcome::Fail,
                () => Outcome::Pass,
            };
            (name, outcome)
        })
        .collect();
    let policy = trusted(files.map(|(name, text)| (name, text.to_owned())));
    let report = run_selected(&policy, |_| true, false).unwrap();
    let ours: BTreeMap<String, Outcome> = report
        .tests
        .iter()
        .map(|test| (format!("{}.{}", test.package, test.name), test.outcome))
        .collect();
    assert_eq!(ours, theirs);
    let all = [Outcome::Pass, Outcome::Fail, Outcome::Error, Outcome::Skipped];
    for outcome in all {
        assert!(ours.values().any(|found| *found == outcome), "no {outcome:?}: {ours:?}");
    }
    let failed = report.tests.iter().find(|test| test.name == "test_no").unwrap();
    assert_eq!(failed.failed_at, Some(10));
}

#[test]
fn only_selected_tests_run_and_coverage_says_what_they_left_out() {
    let other = "package other\n\nx if {\n\tinput.a\n}\n";
    let policy = trusted([
        ("p.rego", POLICY.to_owned()),
        ("other.rego", other.to_owned()),
        ("p_test.rego", TESTS.to_owned()),
    ]);
    let selects = |name: &str| name == "data.sentinel.policy_test.test_ok";
    let report = run_selected(&policy, selects, true).unwrap();
    assert_eq!(report.tests.len(), 1);
    let of = |file: &str| report.coverage.iter().find(|covered| covered.file == file).unwrap();
    assert!(of("p.rego").covered.contains(&5));
    assert!(of("other.rego").covered.is_empty() && of("other.rego").not_covered.contains(&4));
    assert_eq!(report.coverage.len(), 2, "test files are not measured");
}

#[test]
fn an_explanation_names_the_condition_that_decided_and_the_values_in_it() {
    let rules = r#"package sentinel.policy

decision := {"allow": true} if {
	input.tool == "a"
	limit := data.limits[input.tenant]
	input.usage < limit
	input.purpose == ""
} else := {"allow": false}
"#;
    let policy = trusted([
        ("p.rego", rules.to_owned()),
        ("data.json", r#"{"limits": {"t": 5}}"#.to_owned()),
    ]);
    let input = json!({"tool": "a", "tenant": "t", "usage": 7});
    let explanation = explain(&policy, "data.sentinel.policy.decision", &input).unwrap();
    assert_eq!(explanation.result, Some(json!({"allow": false})));
    let rule = &explanation.rules[0];
    assert_eq!((rule.rule.as_str(), rule.line), ("data.sentinel.policy.decision", 3));
    let body = &rule.bodies[0];
    assert_eq!(body.holds, Some(false));
    let holds: Vec<_> = body.conditions.iter().map(|condition| condition.holds).collect();
    assert_eq!(holds, [Some(true), Some(true), Some(false), None]);
    let values: Vec<_> = body.conditions[2]
        .values
        .iter()
        .map(|seen| (seen.reference.as_str(), seen.value.clone()))
        .collect();
    assert!(values.contains(&("input.usage", Some(json!(7)))), "{values:?}");
    assert!(values.contains(&("limit", Some(json!(5)))), "{values:?}");

    let allowed = json!({"tool": "a", "tenant": "t", "usage": 1, "purpose": ""});
    let explanation = explain(&policy, "data.sentinel.policy.decision", &allowed).unwrap();
    let bodies = &explanation.rules[0].bodies;
    assert_eq!((bodies[0].holds, bodies[1].holds), (Some(true), None));
}

fn record(tool: &str, purpose: &str, code: &str, reasons: &[&str]) -> Value {
    let reasons: Vec<_> = reasons.iter().map(|code| json!({"code": code, "msg": ""})).collect();
    json!({
        "id": "00000000-0000-0000-0000-000000000000", "tenant": "demo", "tool": tool,
        "decision": if code == "allowed" { "allow" } else { "deny" }, "code": code,
        "reasons": reasons, "quota": {"limit": 5, "window": "1d"}, "quota_remaining": 3,
        "agent": null, "action": "call", "purpose": purpose, "argument_hash": "00",
        "event_metadata": {"request_id": "r"}, "created_at": "2026-11-24T10:00:00Z",
    })
}

#[test]
fn replay_tells_what_the_candidate_decides_otherwise() {
    let mut replayer = Replayer::new(&shipped().unwrap()).unwrap();
    assert!(replayer.reads_unrecorded().is_empty());
    let codes = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
    let (tool, purpose) = ("mcp-server-time", "scheduling");
    let mut ask = |record: Value| replayer.replay(&record);
    assert_eq!(ask(record(tool, purpose, "allowed", &[])), Replayed::Same);
    let denied = record(tool, "curiosity", "policy_denied", &["purpose_not_allowed"]);
    assert_eq!(ask(denied), Replayed::Same);
    let after = codes(&["purpose_not_allowed"]);
    assert_eq!(ask(record(tool, "curiosity", "allowed", &[])), Replayed::NewlyDenied { after });
    let before = codes(&["x"]);
    let newly = ask(record(tool, purpose, "policy_denied", &["x"]));
    assert_eq!(newly, Replayed::NewlyAllowed { before: before.clone() });
    let after = codes(&["tool_not_allowed"]);
    let other = ask(record("rm", purpose, "policy_denied", &["x"]));
    assert_eq!(other, Replayed::OtherReasons { before, after });
    assert_eq!(ask(record(tool, purpose, "killed", &[])), Replayed::NotByPolicy);
    assert_eq!(ask(record(tool, purpose, "rate_limited", &[])), Replayed::NotByPolicy);
    assert_eq!(ask(json!({"tenant": "demo"})), Replayed::Unreadable);
    // The same limit would have been used up, too.
    let full = record(tool, purpose, "quota_exceeded", &["quota_exceeded"]);
    assert_eq!(ask(full), Replayed::Same);
}

#[test]
fn what_reads_arguments_is_replayed_only_where_there_were_none() {
    let rules = "package sentinel.policy\nallow if not input.arguments.force\n";
    let mut replayer = Replayer::new(&trusted([("p.rego", rules.to_owned())])).unwrap();
    assert_eq!(replayer.reads_unrecorded(), ["arguments"]);
    let mut unknown = record("a", "b", "allowed", &[]);
    assert_eq!(replayer.replay(&unknown), Replayed::NotFaithful);
    let none = sentinel_core::check::Arguments::new(serde_json::Map::new()).hash().to_string();
    unknown["argument_hash"] = json!(none);
    assert_eq!(replayer.replay(&unknown), Replayed::Same);
}

#[test]
fn a_rule_that_goes_through_the_data_is_told_from_one_that_looks_up() {
    let rules = r#"package sentinel.policy

default decision := {"allow": false}

decision := {"allow": true} if {
	indexed
	whole_set
	listed
}

indexed if data.allowlist[input.tenant][input.tool] == true

names contains name if some name, _ in data.allowlist[input.tenant]

whole_set if names[input.tool]

listed if {
	some owner in data.owners
	owner.tool == input.tool
}
"#;
    let data = json!({
        "allowlist": {"t": {"a": true, "b": true}, "u": {"c": true}},
        "owners": [{"tool": "z"}, {"tool": "a"}],
    });
    let policy = trusted([("p.rego", rules.to_owned()), ("data.json", data.to_string())]);
    let inputs = [json!({"tenant": "t", "tool": "a"}), json!({"tenant": "u", "tool": "x"})];
    let report = bench(&policy, &inputs, 50).unwrap();
    assert_eq!((report.inputs, report.rules.len()), (2, 5));
    let first = &report.rules[0];
    assert_eq!((first.rule.as_str(), first.decides), ("data.sentinel.policy.decision", true));
    for rule in &report.rules {
        assert_eq!((rule.evaluations, rule.errors), (50, 0), "{rule:?}");
        assert!(0.0 < rule.p50_us && rule.p50_us <= rule.p99_us && rule.p99_us <= rule.max_us);
    }
    // What only refers to a rule that scans is not told.
    let scans: Vec<_> =
        report.scans.iter().map(|scan| (scan.rule.as_str(), scan.data.as_str())).collect();
    let expected = [
        ("data.sentinel.policy.names", "data.allowlist[_]"),
        ("data.sentinel.policy.listed", "data.owners"),
    ];
    assert_eq!(scans, expected, "{:?}", report.scans);
    assert!(report.scans.iter().all(|scan| scan.after_us > scan.before_us + 30.0));
}

#[test]
fn a_policy_that_looks_up_has_no_scans_and_its_tests_have_inputs() {
    let policy = shipped().unwrap();
    let inputs = sample_inputs(&policy).unwrap();
    let usage = |wanted: u64| inputs.iter().any(|input| input["usage"] == json!(wanted));
    // One that is written out, one that a function of the tests makes, one of the vetter's.
    assert!(usage(0) && usage(999) && inputs.contains(&json!({})), "{inputs:?}");
    let report = bench(&policy, &inputs, 10).unwrap();
    assert!(report.scans.is_empty(), "{:?}", report.scans);
    assert!(report.rules.iter().all(|rule| rule.errors == 0), "{:?}", report.rules);
}

#[test]
fn a_rule_that_fails_is_counted() {
    let rules =
        "package sentinel.policy\n\ndefault allow := false\n\nallow if input.usage + 1 < 5\n";
    let policy = trusted([("p.rego", rules.to_owned())]);
    let report = bench(&policy, &[json!({"usage": "x"}), json!({"usage": 1})], 20).unwrap();
    assert_eq!((report.rules[0].evaluations, report.rules[0].errors), (20, 10));
}

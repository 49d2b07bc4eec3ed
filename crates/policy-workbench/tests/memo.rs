//! A kept answer must be the answer that the policy would give.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use proptest::prelude::*;
use rstest::rstest;
use sentinel_core::policy::{PolicyDecision, PolicyInput};
use sentinel_core::principal::Principal;
use sentinel_policy::{EmbeddedEngine, shipped};
use sentinel_policy_analysis::{SourceLimits, Vetted};
use serde_json::json;
use support::{Call, call, engine, now, trusted, usual, vetter, with_rules};

/// The calls of one pool, few enough that most are asked again.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    let subjects = [
        ("platform-eng", "langsmith-docs-search"),
        ("secops", "incident-response-runbook"),
        ("demo", "mcp-server-time"),
        ("outsider", "mcp-server-time"),
    ];
    let records: Vec<Call> =
        subjects.iter().map(|(tenant, tool)| call(tenant, tool, None, 0)).collect();
    let purposes = ["documentation_lookup", "scheduling", "lunch"];
    let one = (
        proptest::sample::select(records),
        proptest::option::weighted(0.9, proptest::sample::select(purposes.to_vec())),
        prop_oneof![0..7_u64, 790..1002_u64],
        proptest::sample::select(vec!["read", "write"]),
        proptest::option::of(proptest::sample::select(vec!["a", "b"])),
    );
    let one = one.prop_map(|(mut call, purpose, usage, action, agent)| {
        call.purpose = purpose.map(|purpose| purpose.parse().unwrap());
        call.usage = usage;
        call.action = action.parse().unwrap();
        call.agent = agent.map(|agent| agent.parse().unwrap());
        call
    });
    proptest::collection::vec(one, 1..200)
}

/// What an engine decides that has decided nothing before.
fn afresh(policy: &Vetted, input: &PolicyInput<'_>) -> PolicyDecision {
    let fresh = engine();
    fresh.install(policy, now()).unwrap();
    fresh.decide(input).unwrap()
}

fn seed() -> Vetted {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/seed-v0");
    vetter().vet(&dir, &SourceLimits::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_was_asked_before_the_answer_is_the_same(calls in calls()) {
        for policy in [shipped().unwrap(), seed()] {
            let engine = engine();
            engine.install(&policy, now()).unwrap();
            for call in &calls {
                let input = call.input();
                prop_assert_eq!(engine.decide(&input).unwrap(), afresh(&policy, &input));
            }
        }
    }
}

fn message(engine: &EmbeddedEngine, input: &PolicyInput<'_>) -> String {
    engine.decide(input).unwrap().reasons[0].msg.clone()
}

/// Asks, changes one field, and asks again on the same thread.
#[rstest]
fn every_field_that_is_read_counts_however_it_is_named(
    #[values(
        "action",
        "agent",
        "arguments",
        "context",
        "principal",
        "purpose",
        "tenant",
        "time",
        "tool",
        "tool_record",
        "usage"
    )]
    field: &str,
    #[values(
        "msg := json.marshal(input.FIELD)",
        "msg := json.marshal(input[\"FIELD\"])",
        "msg := json.marshal(object.get(input, \"FIELD\", null))",
        "msg := json.marshal(input)",
        "msg := json.marshal([input[name] | some name in {\"FIELD\"}])",
        "msg := json.marshal(sort([v | v := input[_]; not is_object(v)])) if \"FIELD\" in SCALARS\nelse := json.marshal([v | v := input[_]])\nSCALARS := {\"action\", \"agent\", \"purpose\", \"tenant\", \"time\", \"tool\", \"usage\"}",
        "msg := json.marshal(all.FIELD)\nall := input",
        "msg := json.marshal(part(input))\npart(x) := x.FIELD",
        "import input.FIELD as named\nmsg := json.marshal(named)",
        "import input as whole\nmsg := json.marshal(whole.FIELD)",
        "msg := m if { some k, v in input; k == \"FIELD\"; m := json.marshal(v) }",
        "msg := m if { walk(input, [[\"FIELD\"], v]); m := json.marshal(v) }",
        "msg := json.marshal(x) if x := data.sentinel.policy.below with input.spare as 1\nbelow := input.FIELD"
    )]
    rules: &str,
) {
    let rules = rules.replace("FIELD", field);
    let engine = with_rules(&format!(
        "{rules}\ndecision := {{\"allow\": false, \"reasons\": [{{\"code\": \"seen\", \"msg\": msg}}]}}"
    ));
    let before = usual();
    let mut after = before.clone();
    let mut time = now();
    match field {
        "action" => after.action = "other".parse().unwrap(),
        "agent" => after.agent = Some("other".parse().unwrap()),
        "arguments" => after = after.with_arguments(json!({"n": 1})),
        "context" => drop(after.context.insert("n".to_owned(), json!(1))),
        "principal" => after.principal = Principal::LOCAL,
        "purpose" => after.purpose = Some("other".parse().unwrap()),
        "tenant" => after.tenant = "other".parse().unwrap(),
        "time" => time += SignedDuration::from_secs(1),
        "tool" => after.tool = "other".parse().unwrap(),
        "tool_record" => Arc::make_mut(&mut after.record).owner = "other".parse().unwrap(),
        _ => after.usage += 1,
    }
    let first = message(&engine, &before.input());
    assert_eq!(message(&engine, &before.input()), first);
    let second = message(&engine, &PolicyInput { time, ..after.input() });
    assert_ne!(second, first);
    assert_eq!(message(&engine, &before.input()), first);
}

#[rstest]
#[case("time.now_ns()")]
#[case("clock.now")]
#[case("data.clock.now")]
#[case("uuid.rfc4122(\"a\")")]
fn what_changes_by_itself_is_asked_again(#[case] expression: &str) {
    let engine = engine();
    let policy = trusted([
        (
            "p.rego",
            format!(
                "package sentinel.policy\nimport data.clock\ndecision := {{\"allow\": false, \"reasons\": [{{\"code\": \"seen\", \"msg\": sprintf(\"%v\", [{expression}])}}]}}"
            ),
        ),
        ("c.rego", "package clock\nnow := time.now_ns()".to_owned()),
    ]);
    engine.install(&policy, now()).unwrap();
    let call = usual();
    let first = message(&engine, &call.input());
    assert_ne!(message(&engine, &call.input()), first);
}

#[test]
fn a_new_policy_forgets_what_the_old_one_said() {
    let engine = with_rules("decision := {\"allow\": true}");
    let call = usual();
    assert!(call.decide(&engine).unwrap().allow);
    assert!(call.decide(&engine).unwrap().allow);
    let deny = trusted(
        [("p.rego", "package sentinel.policy\ndecision := {\"allow\": false}")]
            .map(|(file, text)| (file, text.to_owned())),
    );
    engine.install(&deny, now()).unwrap();
    assert!(!call.decide(&engine).unwrap().allow);
}

/// More different questions than a thread keeps decisions.
#[test]
fn the_memory_of_answers_is_bounded_and_right_when_it_starts_over() {
    let engine = with_rules(
        "decision := {\"allow\": true, \"quota\": {\"limit\": input.usage, \"window\": \"1d\"}}",
    );
    let call = usual();
    for usage in (0..10_000).chain(0..10_000) {
        let decision = Call { usage, ..call.clone() }.decide(&engine).unwrap();
        assert_eq!(decision.quota.unwrap().limit, usage);
    }
}

//! The policy library: each policy passes vetting and its own tests, and means the same to OPA: its
//! samples, and thousands of inputs made from them, get the same decisions from both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rstest::rstest;
use sentinel_policy_analysis::SourceLimits;
use sentinel_policy_workbench::{Evaluator, Outcome, run_tests};
use sentinel_testkit::opa;
use serde_json::{Value, json};
use support::vetter;

const INPUTS: usize = 10_000;
/// The inputs are the same in every run; another seed makes others.
const SEED: [u8; 32] = *b"the library of policies and opa!";
const RULE: &str = "sentinel/policy/decision";
const QUERY: &str = "data.sentinel.policy.decision";

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies/library").join(name)
}

fn samples(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder(name).join("samples.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_policy_of_the_library_is_tested_here() {
    let mut found: Vec<_> = std::fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    found.sort();
    let tested = [
        "arguments",
        "break-glass",
        "cost-guardrail",
        "environments",
        "relationships",
        "require-approval",
        "time-windows",
    ];
    assert_eq!(found, tested);
    for name in found {
        let page = folder(&name).join("README.md");
        assert!(page.exists(), "`{name}` has no README.md");
    }
}

/// One step from a sample towards something else.
#[derive(Debug, Clone)]
enum Change {
    Remove,
    Replace(Value),
    /// What another sample has at the same place.
    Exchange(prop::sample::Index),
    /// A number a little more or less, a text a little longer or shorter.
    Nudge(i8),
}

/// Any JSON, and what is close to what policies look for.
fn odd() -> impl Strategy<Value = Value> {
    let near = proptest::sample::select(vec![
        "2026-11-24T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-11-24T12:00:00+01:00",
        "/srv/reports/../x",
        "/srv/reports/x\n",
        "select 1; drop table t",
        "a@example.com@evil.example",
        "\u{0}",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        any::<String>().prop_map(Value::from),
        near.prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => Just(Change::Remove),
        3 => odd().prop_map(Change::Replace),
        3 => any::<prop::sample::Index>().prop_map(Change::Exchange),
        3 => any::<i8>().prop_map(Change::Nudge),
    ]
}

/// The places of a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    if !at.is_empty() {
        found.push(at.to_owned());
    }
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(inner, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                places(inner, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn remove(value: &mut Value, place: &str) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(&name.replace("~1", "/"))),
        Some(Value::Array(items)) => drop(items.remove(name.parse().unwrap())),
        _ => {}
    }
}

fn nudge(value: &Value, by: i8) -> Value {
    match value {
        Value::Number(number) => match number.as_i64().and_then(|n| n.checked_add(by.into())) {
            Some(number) => number.into(),
            None => json!(number.as_f64().unwrap_or_default() + f64::from(by) / 100.0),
        },
        Value::String(text) if by < 0 => text.chars().skip(1).collect::<String>().into(),
        Value::String(text) if by % 2 == 0 => text.to_uppercase().into(),
        Value::String(text) => format!("{text}{}", char::from(by.unsigned_abs())).into(),
        other => json!([other]),
    }
}

fn inputs(samples: &[Value]) -> impl Strategy<Value = Value> {
    let others = samples.to_vec();
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), change()), 0..4);
    (proptest::sample::select(samples.to_vec()), changes).prop_map(move |(mut input, changes)| {
        for (index, change) in changes {
            let mut all = Vec::new();
            places(&input, "", &mut all);
            if all.is_empty() {
                return input;
            }
            let place = index.get(&all);
            match change {
                Change::Remove => remove(&mut input, place),
                Change::Replace(value) => *input.pointer_mut(place).unwrap() = value,
                Change::Exchange(other) => {
                    if let Some(value) = other.get(&others).pointer(place) {
                        *input.pointer_mut(place).unwrap() = value.clone();
                    }
                }
                Change::Nudge(by) => {
                    let value = input.pointer_mut(place).unwrap();
                    *value = nudge(value, by);
                }
            }
        }
        input
    })
}

fn generate(samples: &[Value]) -> Vec<Value> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let inputs = inputs(samples);
    (0..INPUTS).map(|_| inputs.new_tree(&mut runner).unwrap().current()).collect()
}

/// A document whose sets are in one order.
fn sorted(document: Option<Value>) -> Option<Value> {
    let mut document = document?;
    for list in ["reasons", "obligations"] {
        if let Some(items) = document.get_mut(list).and_then(Value::as_array_mut) {
            items.sort_by_cached_key(Value::to_string);
        }
    }
    Some(document)
}

#[rstest]
#[case("arguments")]
#[case("break-glass")]
#[case("cost-guardrail")]
#[case("environments")]
#[case("relationships")]
#[case("require-approval")]
#[case("time-windows")]
fn embedded_and_opa_give_the_same_decisions(#[case] name: &str) {
    let server = opa::Server::start(&folder(name));
    let vetted = vetter().vet(&folder(name), &SourceLimits::default()).unwrap();
    let samples = samples(name);
    let mut connection = server.connect().unwrap();
    let mut evaluator = Evaluator::new(&vetted).unwrap();
    let (mut allowed, mut denied) = (0, 0);
    for input in samples.iter().cloned().chain(generate(&samples)) {
        let expected = sorted(connection.eval(RULE, Some(&input)));
        let found = evaluator
            .eval(QUERY, &input)
            .unwrap_or_else(|error| panic!("the embedded engine fails: {error}\ninput {input}"));
        assert_eq!(sorted(found.result), expected, "embedded (left) and OPA differ\ninput {input}");
        match expected.as_ref().map(|document| &document["allow"]) {
            Some(Value::Bool(true)) => allowed += 1,
            Some(Value::Bool(false)) => denied += 1,
            other => panic!("no decision: {other:?}\ninput {input}"),
        }
    }
    // Inputs that all come to the same would prove little.
    assert!(allowed > INPUTS / 20 && denied > INPUTS / 5, "{allowed} allowed, {denied} denied");
}

#[rstest]
#[case("arguments")]
#[case("break-glass")]
#[case("cost-guardrail")]
#[case("environments")]
#[case("relationships")]
#[case("require-approval")]
#[case("time-windows")]
fn the_tests_of_each_policy_pass_here_and_in_opa(#[case] name: &str) {
    let vetted = vetter().vet(&folder(name), &SourceLimits::default()).unwrap();
    let results = run_tests(&vetted).unwrap();
    assert!(results.len() >= 8, "{}", results.len());
    for result in &results {
        assert_eq!(result.outcome, Outcome::Pass, "{result:?}");
    }
    let output = opa::command().arg("test").arg(folder(name)).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let all = format!("PASS: {0}/{0}", results.len());
    assert!(output.status.success() && report.contains(&all), "{report}");
}

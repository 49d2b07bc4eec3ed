//! The shipped policy: its own tests, and an independent model of it in Rust.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use proptest::prelude::*;
use sentinel_policy::shipped;
use sentinel_policy_analysis::SourceLimits;
use sentinel_policy_workbench::{Outcome, eval, run_tests};
use serde_json::{Map, Value, json};
use support::{call, engine, now, usual, vetter};

#[test]
fn the_shipped_policies_pass_their_own_tests() {
    let results = run_tests(&shipped().unwrap()).unwrap();
    assert!(results.len() >= 15);
    for result in results {
        assert_eq!(result.outcome, Outcome::Pass, "{result:?}");
    }
}

#[test]
fn the_folder_of_shipped_policies_passes_vetting_and_is_what_is_compiled_in() {
    let dir = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shipped"));
    let vetted = vetter().vet(dir, &SourceLimits::default()).unwrap();
    assert_eq!(vetted.source().digest(), shipped().unwrap().source().digest());
}

#[test]
fn an_allow_carries_quota_and_revision() {
    let engine = engine();
    let revision = engine.install(&shipped().unwrap(), now()).unwrap();
    let decision = usual().decide(&engine).unwrap();
    assert!(decision.allow);
    assert_eq!(
        serde_json::to_value(decision.quota).unwrap(),
        json!({"limit": 1000, "window": "1d"})
    );
    assert!(decision.obligations.is_empty() && decision.reasons.is_empty());
    assert_eq!(decision.revision, revision);
    assert!(revision.starts_with("sha256:"));
}

#[test]
fn near_the_limit_an_allow_raises_an_alert() {
    let engine = engine();
    engine.install(&shipped().unwrap(), now()).unwrap();
    let near = call("demo", "mcp-server-time", Some("scheduling"), 4).decide(&engine).unwrap();
    assert!(near.allow);
    assert_eq!(near.obligations[0].kind, "alert");
    let over = call("demo", "mcp-server-time", Some("scheduling"), 5).decide(&engine).unwrap();
    assert!(!over.allow);
    assert_eq!(over.reasons[0].code, "quota_exceeded");
}

/// The shipped policy written a second time, on the same data. Codes are sorted, as sets are.
fn model(input: &Value, data: &Value) -> Value {
    let text = |field: &str| input.get(field).and_then(Value::as_str);
    let lookup = |table: &str| data[table].get(text("tenant")?)?.get(text("tool")?);
    let quota = lookup("quotas").map(|stated| match stated {
        Value::Number(limit) => json!({"limit": limit, "window": "1d"}),
        other => other.clone(),
    });
    let limit = quota.as_ref().map(|quota| quota["limit"].as_f64().unwrap());
    let usage = input.get("usage").and_then(Value::as_f64);
    let purposes = lookup("allowed_purposes").and_then(Value::as_array);
    let purpose_allowed =
        purposes.is_some_and(|all| input.get("purpose").is_some_and(|one| all.contains(one)));
    let mut codes = Vec::new();
    if lookup("allowlist") == Some(&json!(true)) {
        match text("purpose") {
            None => codes.push("purpose_missing"),
            Some(_) if !purpose_allowed => codes.push("purpose_not_allowed"),
            Some(_) => {}
        }
        match (usage, limit) {
            (Some(usage), Some(limit)) if usage >= limit => codes.push("quota_exceeded"),
            _ => {}
        }
        if limit.is_none() {
            codes.push("quota_missing");
        }
        if usage.is_none() {
            codes.push("usage_invalid");
        }
    } else {
        codes.push("tool_not_allowed");
    }
    let allow = codes.is_empty();
    let alert = allow && (usage.unwrap() + 1.0) * 5.0 >= limit.unwrap() * 4.0;
    json!({"allow": allow, "codes": codes, "quota": quota, "alert": alert})
}

fn summary(document: &Value) -> Value {
    let reasons = document.get("reasons").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut codes: Vec<_> = reasons.iter().map(|reason| reason["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    json!({
        "allow": document["allow"],
        "codes": codes,
        "quota": document.get("quota"),
        "alert": document.get("obligations").is_some_and(|all| *all != json!([])),
    })
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9).prop_map(|float: f64| json!(float)),
        "[a-z_]{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["platform-eng"])),
    ]
}

fn field(usual: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![8 => usual.prop_map(Some), 1 => odd().prop_map(Some), 1 => Just(None)]
}

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::sample::select(names).prop_map(Value::from)
}

fn inputs() -> impl Strategy<Value = Value> {
    let subject = proptest::sample::select(vec![
        ("platform-eng", "langsmith-docs-search"),
        ("secops", "incident-response-runbook"),
        ("support", "customer-profile-api"),
        ("finops", "finance-ledger-writer"),
        ("demo", "mcp-server-time"),
        ("demo", "finance-ledger-writer"),
        ("outsider", "mcp-server-time"),
    ]);
    let purposes = one_of(&[
        "documentation_lookup",
        "incident_response",
        "postmortem",
        "ticket_resolution",
        "reconciliation",
        "scheduling",
        "curiosity",
        "",
    ]);
    let usage = prop_oneof![0_u64..30, 180_u64..220, 780_u64..1020, any::<u64>()];
    (
        subject,
        field(Just(json!(0))),
        field(Just(json!(0))),
        field(purposes),
        field(usage.prop_map(Value::from)),
    )
        .prop_map(|((tenant, tool), tenant_field, tool_field, purpose, usage)| {
            let mut input = Map::new();
            let usual = |field: Option<Value>, name: &str| {
                field.map(|value| if value == json!(0) { json!(name) } else { value })
            };
            let fields = [
                ("tenant", usual(tenant_field, tenant)),
                ("tool", usual(tool_field, tool)),
                ("purpose", purpose),
                ("usage", usage),
            ];
            input.extend(
                fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))),
            );
            Value::Object(input)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn engine_and_model_agree(input in inputs()) {
        let data = include_str!("../../../policies/shipped/data.json");
        let data: Value = serde_json::from_str(data).unwrap();
        let policy = shipped().unwrap();
        let evaluation = eval(&policy, "data.sentinel.policy.decision", &input).unwrap();
        let document = evaluation.result.expect("a decision for every input");
        prop_assert_eq!(summary(&document), model(&input, &data), "{}", input);
        let allow = eval(&policy, "data.sentinel.policy.allow", &input).unwrap();
        prop_assert_eq!(allow.result.as_ref(), document.get("allow"));
    }
}

//! The embedded engine against the real OPA: the shipped policy, the same generated inputs, the
//! same decisions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sentinel_policy::{EmbeddedEngine, shipped};
use sentinel_policy_workbench::Evaluator;
use sentinel_testkit::opa;
use serde_json::{Map, Value, json};
use support::{call, engine, now};

const INPUTS: usize = 12_000;
/// Each asks on a connection of its own.
const THREADS: usize = 4;
/// The inputs are the same in every run; another seed makes others.
const SEED: [u8; 32] = *b"the embedded engine against opa!";
const RULE: &str = "sentinel/policy/decision";
const QUERY: &str = "data.sentinel.policy.decision";

/// Names that the policy knows, and some that are nearly one.
const TENANTS: &[&str] =
    &["platform-eng", "secops", "support", "finops", "demo", "outsider", "Demo"];
const TOOLS: &[&str] = &[
    "langsmith-docs-search",
    "incident-response-runbook",
    "customer-profile-api",
    "finance-ledger-writer",
    "mcp-server-time",
    "mcp-server-time ",
    "no-such-tool",
];
const PURPOSES: &[&str] = &[
    "documentation_lookup",
    "incident_response",
    "postmortem",
    "ticket_resolution",
    "account_verification",
    "reconciliation",
    "month_end_close",
    "scheduling",
    "curiosity",
    "",
];
/// Tenant, tool and purpose that the policy allows together.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("platform-eng", "langsmith-docs-search", "incident_response"),
    ("secops", "incident-response-runbook", "postmortem"),
    ("support", "customer-profile-api", "ticket_resolution"),
    ("finops", "finance-ledger-writer", "reconciliation"),
    ("demo", "mcp-server-time", "scheduling"),
];

/// Any JSON. Text is any Unicode, numbers have any size and sign.
fn odd() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(TENANTS).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn name(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::sample::select(names).prop_map(Value::from)
}

/// Around every limit of the policy, and far from all of them.
fn usage() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0_u64..30).prop_map(Value::from),
        4 => (150_u64..210).prop_map(Value::from),
        4 => (390_u64..510).prop_map(Value::from),
        4 => (790_u64..1010).prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => (-10.0..1100.0).prop_map(|float: f64| json!(float)),
        1 => (0_u32..1100).prop_map(|whole| json!(f64::from(whole))),
        1 => proptest::sample::select(vec![
            json!(0), json!(-1), json!(-0.0), json!(1e300), json!(-1e300), json!(5e-324),
            json!(1e15), json!(1e19), json!(1e21), json!(4.999_999_999_999_999), json!(u64::MAX),
            json!(i64::MAX), json!(i64::MIN), json!(9_007_199_254_740_993_u64),
            json!("5"), json!(""), json!([]), json!({}), json!(true), Value::Null,
        ]),
    ]
}

/// A field as it should be, mostly; else anything, or nothing.
fn field(usual: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![12 => usual.prop_map(Some), 1 => odd().prop_map(Some), 1 => Just(None)]
}

type Fields = [Option<Value>; 4];

fn fields() -> impl Strategy<Value = Fields> {
    let related = (proptest::sample::select(ALLOWED), usage()).prop_map(|(names, usage)| {
        let (tenant, tool, purpose) = names;
        [Some(tenant.into()), Some(tool.into()), Some(purpose.into()), Some(usage)]
    });
    let one_changed = (proptest::sample::select(ALLOWED), usage(), 0_usize..4, field(odd()))
        .prop_map(|((tenant, tool, purpose), usage, index, odd)| {
            let mut fields =
                [Some(tenant.into()), Some(tool.into()), Some(purpose.into()), Some(usage)];
            fields[index] = odd;
            fields
        });
    let unrelated =
        (field(name(TENANTS)), field(name(TOOLS)), field(name(PURPOSES)), field(usage()))
            .prop_map(|(tenant, tool, purpose, usage)| [tenant, tool, purpose, usage]);
    let tool_of_tenant = (proptest::sample::select(ALLOWED), field(name(PURPOSES)), field(usage()))
        .prop_map(|((tenant, tool, _), purpose, usage)| {
            [Some(tenant.into()), Some(tool.into()), purpose, usage]
        });
    prop_oneof![3 => related, 2 => one_changed, 2 => tool_of_tenant, 1 => unrelated]
}

/// What the server sends besides, and what it does not.
fn more() -> impl Strategy<Value = Map<String, Value>> {
    let names = prop_oneof![
        proptest::sample::select(vec!["action", "agent", "context", "arguments", "time", "Tenant"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    proptest::collection::btree_map(names, odd(), 0..3)
        .prop_map(|map| map.into_iter().collect::<Map<_, _>>())
}

fn inputs() -> impl Strategy<Value = Value> {
    let object = (fields(), more()).prop_map(|(fields, mut input)| {
        for (name, value) in ["tenant", "tool", "purpose", "usage"].into_iter().zip(fields) {
            if let Some(value) = value {
                input.insert(name.to_owned(), value);
            }
        }
        Value::Object(input)
    });
    prop_oneof![60 => object, 1 => odd()]
}

fn generate() -> Vec<Value> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let inputs = inputs();
    (0..INPUTS).map(|_| inputs.new_tree(&mut runner).unwrap().current()).collect()
}

/// A document whose reasons, which are a set, are in one order.
fn sorted(document: Option<Value>) -> Option<Value> {
    let mut document = document?;
    if let Some(reasons) = document.get_mut("reasons").and_then(Value::as_array_mut) {
        reasons.sort_by_cached_key(Value::to_string);
    }
    Some(document)
}

/// What the engine that decides says, of an input that can be a call; `None` when it cannot.
fn decide(engine: &EmbeddedEngine, input: &Value) -> Option<Value> {
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    let (tenant, tool) = (text("tenant")?, text("tool")?);
    let usage = input.get("usage").and_then(Value::as_u64)?;
    tenant.parse::<sentinel_core::name::TenantSlug>().ok()?;
    tool.parse::<sentinel_core::name::ToolName>().ok()?;
    let purpose = match input.get("purpose") {
        None => None,
        Some(purpose) => {
            purpose.as_str()?.parse::<sentinel_core::name::Purpose>().ok()?;
            purpose.as_str()
        }
    };
    let decision = call(tenant, tool, purpose, usage).decide(engine).unwrap();
    let reasons = decision.reasons.iter();
    let reasons: Vec<_> =
        reasons.map(|reason| json!({"code": reason.code, "msg": reason.msg})).collect();
    let mut document = json!({"allow": decision.allow});
    if decision.allow {
        assert!(reasons.is_empty(), "an allow with reasons: {reasons:?}");
        document["obligations"] = serde_json::to_value(&decision.obligations).unwrap();
    } else {
        document["reasons"] = json!(reasons);
    }
    if let Some(quota) = decision.quota {
        document["quota"] = serde_json::to_value(quota).unwrap();
    }
    sorted(Some(document))
}

/// How many inputs came to what: a test that asks only for denies would prove little.
#[derive(Debug, Default)]
struct Counts {
    allowed: usize,
    alerted: usize,
    several_reasons: usize,
    decided: usize,
}

fn compare(server: &opa::Server, inputs: &[Value]) -> Counts {
    let mut connection = server.connect().unwrap();
    let mut evaluator = Evaluator::new(&shipped().unwrap()).unwrap();
    let engine = engine();
    engine.install(&shipped().unwrap(), now()).unwrap();
    let mut counts = Counts::default();
    for input in inputs {
        let expected = sorted(connection.eval(RULE, Some(input)));
        let seed = String::from_utf8_lossy(&SEED);
        let found = evaluator.eval(QUERY, input).unwrap_or_else(|error| {
            panic!("the embedded engine fails: {error}\nseed `{seed}`\ninput {input}")
        });
        let found = sorted(found.result);
        assert_eq!(found, expected, "embedded (left) and OPA differ\nseed `{seed}`\ninput {input}");
        if let Some(decided) = decide(&engine, input) {
            let message = "the engine that decides (left) and OPA differ";
            assert_eq!(Some(decided), expected, "{message}\nseed `{seed}`\ninput {input}");
            counts.decided += 1;
        }
        let document = expected.unwrap_or_default();
        let length = |name: &str| document.get(name).and_then(Value::as_array).map_or(0, Vec::len);
        counts.allowed += usize::from(document["allow"] == json!(true));
        counts.alerted += usize::from(length("obligations") > 0);
        counts.several_reasons += usize::from(length("reasons") > 1);
    }
    counts
}

#[test]
fn embedded_and_opa_give_the_same_decisions() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/shipped");
    let server = opa::Server::start(&policies);
    let inputs = generate();
    let parts = inputs.chunks(INPUTS.div_ceil(THREADS));
    let counts: Vec<Counts> = std::thread::scope(|scope| {
        let threads: Vec<_> = parts.map(|part| scope.spawn(|| compare(&server, part))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let total = |count: fn(&Counts) -> usize| counts.iter().map(count).sum::<usize>();
    assert!(total(|counts| counts.allowed) > 1_000, "{counts:?}");
    assert!(total(|counts| counts.alerted) > 100, "{counts:?}");
    assert!(total(|counts| counts.several_reasons) > 100, "{counts:?}");
    assert!(total(|counts| counts.decided) > 3_000, "{counts:?}");
}

#[test]
fn the_shipped_policies_pass_their_own_tests_in_opa() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/shipped");
    let output = opa::command().arg("test").arg(policies).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("PASS: "), "{report}");
}

#[test]
fn without_any_input_both_deny_for_the_same_reason() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/shipped");
    let server = opa::Server::start(&policies);
    let expected = sorted(server.connect().unwrap().eval(RULE, None)).unwrap();
    assert_eq!(expected["allow"], json!(false));
    let mut evaluator = Evaluator::new(&shipped().unwrap()).unwrap();
    for input in [json!({}), Value::Null] {
        let found = sorted(evaluator.eval(QUERY, &input).unwrap().result);
        assert_eq!(found, Some(expected.clone()), "{input}");
    }
}

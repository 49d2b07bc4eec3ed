//! The schema of `input`: what the server builds validates by it, and what policies read is in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use proptest::prelude::*;
use sentinel_policy::input_document;
use sentinel_policy_analysis::{InputDocument, input_schema};
use sentinel_policy_workbench::Evaluator;
use sentinel_testkit::opa;
use serde_json::{Map, Value, json};
use support::{Call, call, trusted};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn the_committed_schema_is_generated() {
    let path = repository("docs/policy-input.schema.json");
    let schema = format!("{}\n", serde_json::to_string_pretty(&input_schema()).unwrap());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == schema, "docs/policy-input.schema.json is stale: run `make docs`");
}

fn json_object() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map(any::<String>(), value, 0..4)
        .prop_map(|map| map.into_iter().collect())
}

fn calls() -> impl Strategy<Value = Call> {
    let given = (
        proptest::option::of("[a-z]{1,9}"),
        any::<bool>(),
        any::<u64>(),
        proptest::collection::vec(any::<String>(), 0..3),
    );
    (given, json_object(), json_object(), json_object()).prop_map(
        |((purpose, agent, usage, scopes), context, arguments, metadata)| {
            let mut call = call("platform-eng", "a-tool", purpose.as_deref(), usage);
            if !agent {
                call.agent = None;
            }
            (call.context, call.arguments) = (context, arguments);
            let record = Arc::make_mut(&mut call.record);
            (record.scopes, record.metadata) = (scopes, metadata);
            call
        },
    )
}

/// Whether the schema takes a document, by the interpreter's validator.
struct Validator(Evaluator);

impl Validator {
    fn new() -> Self {
        let rules = "package check\n\nis_valid := json.match_schema(input, data.schema)[0]\n";
        let schema = json!({"schema": input_schema()}).to_string();
        let files = [("p.rego", rules.to_owned()), ("data.json", schema)];
        Self(Evaluator::new(&trusted(files)).unwrap())
    }

    fn takes(&mut self, input: &Value) -> bool {
        let found = self.0.eval("data.check.is_valid", input).unwrap().result;
        found.and_then(|value| value.as_bool()).expect("the schema is one")
    }
}

#[test]
fn whatever_the_server_builds_is_the_document_of_the_schema() {
    let mut validator = Validator::new();
    let validator = std::cell::RefCell::new(&mut validator);
    proptest!(ProptestConfig::with_cases(300), |(call in calls())| {
        let built: Value = serde_json::from_slice(&input_document(&call.input()).unwrap()).unwrap();
        let document = serde_json::to_value(InputDocument::from(&call.input())).unwrap();
        prop_assert_eq!(&built, &document);
        prop_assert!(validator.borrow_mut().takes(&built), "{}", built);
    });
}

#[test]
fn what_the_server_never_builds_is_not_taken() {
    let call = support::usual();
    let usual: Value = serde_json::from_slice(&input_document(&call.input()).unwrap()).unwrap();
    let mut validator = Validator::new();
    assert!(validator.takes(&usual));
    let required = ["tenant", "tool", "action", "usage", "context", "arguments", "principal"];
    for name in required.into_iter().chain(["tool_record", "time"]) {
        let mut input = usual.clone();
        input.as_object_mut().unwrap().remove(name);
        assert!(!validator.takes(&input), "without `{name}`");
    }
    let odd = [
        ("/tenant", json!(1)),
        ("/usage", Value::Null),
        ("/usage", json!(-1)),
        ("/purpose", Value::Null),
        ("/context", json!([])),
        ("/principal", json!({"id": "key:1"})),
        ("/tool_record/scopes", json!("read")),
    ];
    for (place, value) in odd {
        let mut input = usual.clone();
        *input.pointer_mut(place).unwrap() = value;
        assert!(!validator.takes(&input), "{input}");
    }
    let mut input = usual;
    input["tenent"] = json!("a");
    assert!(!validator.takes(&input), "a field that there is not");
}

fn check(policy: &Path) -> Output {
    let schema = repository("docs/policy-input.schema.json");
    opa::command()
        .arg("check")
        .arg("--strict")
        .arg("--schema")
        .arg(schema)
        .arg(policy)
        .output()
        .unwrap()
}

#[test]
fn opa_finds_the_fields_that_the_policies_read_in_the_schema() {
    let mut policies = vec![repository("policies/shipped"), repository("policies/starter")];
    let library = std::fs::read_dir(repository("policies/library")).unwrap();
    policies.extend(library.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
    assert!(policies.len() > 5);
    for policy in policies {
        let output = check(&policy);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {error}", policy.display());
    }
}

#[test]
fn opa_refuses_a_field_that_the_schema_has_not_and_a_type_that_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    for (body, complaint) in [
        ("input.tenent == \"a\"", "undefined ref: input.tenent"),
        ("input.principal.name == \"a\"", "undefined ref: input.principal.name"),
        ("startswith(input.usage, \"1\")", "invalid argument"),
    ] {
        let text = format!("package sentinel.policy\n\nallow if {body}\n");
        support::write(dir.path(), &[("p.rego", &text)]);
        let output = check(dir.path());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(complaint), "{body}: {error}");
    }
    support::write(
        dir.path(),
        &[("p.rego", "package sentinel.policy\n\nallow if input.context.x == 1\n")],
    );
    assert!(check(dir.path()).status.success());
}

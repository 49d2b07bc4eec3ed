//! `sentinel policy`: the shipped policies, and broken ones.

use serde_json::Value;

use crate::support::{Folder, run};

fn shipped() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies")
}

#[test]
fn the_shipped_policies_are_sound_and_their_tests_pass() {
    let checked = run(&["policy", "check", shipped(), "--json"]).exits(0).json();
    assert!(checked["revision"].is_string());
    let tested = run(&["policy", "test", shipped()]).exits(0);
    assert!(tested.stdout.contains(" passed, 0 failed"), "{tested:?}");
    let results = run(&["policy", "test", shipped(), "--json"]).exits(0).json();
    assert!(results.as_array().unwrap().iter().all(|test| test["outcome"] == "PASS"));
}

#[test]
fn an_input_is_evaluated() {
    let folder = Folder::new();
    let input = folder.file(
        "input.json",
        r#"{"tenant":"platform-eng","tool":"langsmith-docs-search","action":"invoke",
            "purpose":"documentation_lookup","usage":0,"context":{},"arguments":{}}"#,
    );
    let decision = run(&["policy", "eval", shipped(), "--input", &input]).exits(0).json();
    assert_eq!(decision["allow"], true);
    let undefined = ["policy", "eval", shipped(), "--rule=data.nothing", "--input", &input];
    let undefined = run(&undefined).exits(1);
    assert!(undefined.stdout.contains("undefined"), "{undefined:?}");
    let json = run(&["policy", "eval", shipped(), "--json", "--input", &input]).exits(0).json();
    assert_eq!(json["result"]["allow"], true);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let folder = Folder::new();
    folder.file("broken/p.rego", "package sentinel.policy\nallow if {");
    let broken = folder.path().join("broken");
    let refused = run(&["policy", "check", broken.to_str().unwrap()]).exits(1);
    assert!(refused.stdout.contains("--> p.rego:2:11"), "{refused:?}");
    assert!(refused.stdout.contains("error[invalid_file]"), "{refused:?}");
    folder.file("failing/p.rego", "package sentinel.policy\ndefault allow := false\n");
    folder.file("failing/p_test.rego", "package sentinel.policy_test\ntest_no if false\n");
    let failing = folder.path().join("failing");
    let failed = run(&["policy", "test", failing.to_str().unwrap()]).exits(1);
    assert!(failed.stdout.contains("FAIL") && failed.stdout.contains("test_no"), "{failed:?}");
    run(&["policy", "check", "/nonexistent"]).exits(1);
}

#[test]
fn the_vetting_process_answers_in_one_line() {
    let answered = run(&["policy", "vet-child", shipped()]).exits(0);
    let verdict: Value = serde_json::from_str(answered.stdout.trim_end()).unwrap();
    assert_eq!((answered.stdout.lines().count(), &verdict["error"]), (1, &Value::Null));
}

//! Loading, reloading, hot swaps, manifests, and the older dialect of the seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use sentinel_core::policy::{PolicyEngine as _, PolicyError};
use sentinel_core::quota::{Quota, Window};
use sentinel_policy_analysis::{AnalysisError, PolicySource, SourceLimits, Vetted};
use sentinel_policy_workbench::{Outcome, WorkbenchError, eval, run_tests};
use sentinel_testkit::ending::EndOf;
use serde_json::json;
use support::{call, engine, now, trusted, usual, vet_files, vetter, with_rules, write};

const TEST: &str = "p_test.rego";
const PASSES: &str = "package p_test\ntest_a if data.sentinel.policy.decision.allow";
const ALLOW: &str = "package sentinel.policy\ndecision := {\"allow\": true}";

#[test]
fn a_failed_reload_keeps_the_last_good_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    assert!(engine.load(dir.path(), now()).is_err());
    assert_eq!(usual().decide(&engine), Err(PolicyError::NoPolicy));
    assert!(engine.status().revision.is_none() && engine.status().error.is_some());

    write(dir.path(), &[("p.rego", ALLOW)]);
    let revision = engine.load(dir.path(), now()).unwrap();
    assert!(usual().decide(&engine).unwrap().allow);
    let status = engine.status();
    assert_eq!(status.revision.as_deref(), Some(&*revision));
    assert_eq!((status.loaded_at, status.error), (Some(now()), None));

    let bad = [
        ("p.rego", "package sentinel.policy\n\nallow if {", "p.rego:3:"),
        ("p.rego", "package sentinel.policy\nallow if y\ny if allow", "p.rego:2:1: rules refer"),
        ("data.json", "{\"a\": 1, \"a\": 2}", "data.json: "),
        ("data.json", "[]", "data.json: data must be an object"),
        ("p.rego", "package other\nx := 1", "neither"),
        (
            TEST,
            "package p_test\ntest_b if data.sentinel.policy.decision.allow == 1",
            "p_test.rego:2:",
        ),
        (TEST, "package p_test\ntest_b if to_number(\"x\") > 1", "test_b` "),
        (TEST, "package p_test\ntest_b if test_b", "p_test.rego:2:"),
        (TEST, "package p_test\nthis is not rego", "p_test.rego:2:"),
        (".manifest", "{\"rego_version\": 2}", ".manifest: "),
        (".manifest", "{\"wasm\": [{}]}", ".manifest: "),
    ];
    for (file, text, message) in bad {
        write(dir.path(), &[("p.rego", ALLOW), ("data.json", "{}"), (".manifest", "{}")]);
        write(dir.path(), &[(TEST, PASSES), (file, text)]);
        let error = engine.load(dir.path(), now()).expect_err(text).to_string();
        assert!(error.contains(message), "{error} must contain {message}");
        assert_eq!(engine.status().error.as_ref(), Some(&error));
        assert_eq!(engine.status().revision.as_deref(), Some(&*revision));
        assert_eq!(usual().decide(&engine).unwrap().revision, revision);
    }
    write(dir.path(), &[("p.rego", ALLOW), ("data.json", "{}"), (".manifest", "{}")]);
    write(dir.path(), &[(TEST, PASSES)]);
    engine.load(dir.path(), now()).unwrap();
    assert_eq!(engine.status().error, None);
}

#[test]
fn the_status_says_since_when_a_candidate_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine();
    let minute = |n: i64| now() + jiff::SignedDuration::from_mins(n);
    write(dir.path(), &[("p.rego", "package sentinel.policy\nallow if {")]);
    for n in 0..3 {
        engine.load(dir.path(), minute(n)).unwrap_err();
        assert_eq!(engine.status().refused_at, Some(minute(0)));
    }
    write(dir.path(), &[("p.rego", "package sentinel.policy\nallow if x\nx if allow")]);
    engine.load(dir.path(), minute(3)).unwrap_err();
    assert_eq!(engine.status().refused_at, Some(minute(3)));
    write(dir.path(), &[("p.rego", ALLOW)]);
    engine.load(dir.path(), minute(4)).unwrap();
    assert_eq!((engine.status().refused_at, engine.status().error), (None, None));
}

#[test]
fn every_answer_during_hot_swaps_is_of_one_revision() {
    let engine = engine();
    let policy = |n: u64| {
        trusted([
            ("p.rego", "package sentinel.policy\ndecision := {\"allow\": true, \"quota\": {\"limit\": data.limit}, \"reasons\": [{\"code\": \"n\", \"msg\": sprintf(\"%d\", [n])}]}\nn := data.limit".to_owned()),
            ("data.json", format!("{{\"limit\": {n}}}")),
            (".manifest", format!("{{\"revision\": \"r{n}\"}}")),
        ])
    };
    engine.install(&policy(0), now()).unwrap();
    let done = AtomicBool::new(false);
    let evaluate = || {
        let call = usual();
        let (mut decided, mut last) = (0_u32, 0);
        while !done.load(Ordering::Relaxed) || decided == 0 {
            let decision = call.decide(&engine).unwrap();
            let limit = decision.quota.unwrap().limit;
            assert_eq!(*decision.revision, *format!("r{limit}"));
            assert_eq!(decision.reasons[0].msg, limit.to_string());
            assert!(limit >= last, "went back from {last} to {limit}");
            (decided, last) = (decided + 1, limit);
        }
        decided
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(evaluate), scope.spawn(evaluate)];
        let end = EndOf(&done);
        for n in 1..=200 {
            engine.install(&policy(n), now()).unwrap();
        }
        drop(end);
        for thread in threads {
            assert!(thread.join().unwrap() > 0);
        }
    });
    assert_eq!(*usual().decide(&engine).unwrap().revision, *"r200");
}

#[test]
fn two_engines_on_one_thread_do_not_mix() {
    let allow = with_rules("decision := {\"allow\": true}");
    let deny = with_rules("decision := {\"allow\": false}");
    for _ in 0..10 {
        assert!(usual().decide(&allow).unwrap().allow);
        assert!(!usual().decide(&deny).unwrap().allow);
    }
}

#[tokio::test]
async fn the_port_answers_as_the_engine_does() {
    let engine = with_rules("decision := {\"allow\": true}");
    let call = usual();
    assert!(engine.evaluate(call.input()).await.unwrap().allow);
    assert_eq!(engine.status().engine, "embedded");
}

#[test]
fn the_seeds_policy_in_the_older_dialect_loads() {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/seed-v0"));
    let engine = engine();
    engine.load(dir, now()).unwrap();
    let decide = |purpose, usage| {
        call("platform-eng", "langsmith-docs-search", Some(purpose), usage).decide(&engine).unwrap()
    };
    let allowed = decide("documentation_lookup", 42);
    assert!(allowed.allow && allowed.reasons.is_empty());
    assert_eq!(allowed.quota, Some(Quota { limit: 100, window: Window::DAY }));
    let last = decide("documentation_lookup", 99);
    assert!(last.allow);
    assert_eq!(last.quota.unwrap().limit, 100);
    let over = decide("documentation_lookup", 130);
    assert!(!over.allow);
    assert_eq!(over.quota.unwrap().limit, 100);
    assert_eq!(over.reasons[0].msg, "quota is used up");
    let wrong = decide("curiosity", 0);
    assert!(!wrong.allow);
    assert_eq!(wrong.reasons[0].code, "policy_denied");
    let other = call("finops", "langsmith-docs-search", Some("documentation_lookup"), 0);
    let other = other.decide(&engine).unwrap();
    assert!(!other.allow && other.quota.is_none());
}

#[test]
fn the_dialect_is_what_manifest_and_imports_say() {
    let old = "package sentinel.policy\nallow { input.usage < 5 }";
    let version = |version: &str| format!("{{\"rego_version\": {version}}}");
    assert!(vet_files(&[("p.rego", old)]).is_err());
    vet_files(&[("p.rego", old), (".manifest", &version("0"))]).unwrap();
    assert!(vet_files(&[("p.rego", old), (".manifest", &version("1"))]).is_err());
    let mixed = "package sentinel.policy\nimport rego.v1\nallow { input.usage < 5 }";
    let error = vet_files(&[("p.rego", mixed)]).expect_err("v1 by its import").to_string();
    assert!(error.contains("p.rego:3:"), "{error}");
}

#[test]
fn directories_are_paths_of_data_and_other_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            (
                "a/b/p.rego",
                "package sentinel.policy\ndefault allow := false\nallow if { data.x.y.k == 1; data.top == 2; data.x.z == [3] }",
            ),
            ("x/y/data.json", "{\"k\": 1}"),
            ("x/data.yaml", "z: [3]"),
            ("data.yml", "top: 2"),
            ("x/other.json", "not json"),
            ("README.md", "text"),
            (".git/config.rego", "not rego"),
            ("a/p_test.rego", "package sentinel.policy\ntest_a if true\ntest_b := 1 > 0"),
        ],
    );
    let engine = engine();
    engine.load(dir.path(), now()).unwrap();
    assert!(usual().decide(&engine).unwrap().allow);
}

#[test]
fn the_revision_names_the_content() {
    let source = |files: &[(&str, &str)]| PolicySource::from_files(files.iter().copied()).unwrap();
    let one = source(&[("p.rego", ALLOW)]);
    assert_eq!(one.revision(), source(&[("p.rego", ALLOW)]).revision());
    assert_eq!(one.revision().len(), "sha256:".len() + 16);
    let with_tests = source(&[("p.rego", ALLOW), ("p_test.rego", "package t")]);
    assert_eq!(one.revision(), with_tests.revision());
    for other in [
        source(&[("q.rego", ALLOW)]),
        source(&[("p.rego", ALLOW), ("data.json", "{}")]),
        source(&[("p.rego", "package sentinel.policy")]),
    ] {
        assert_ne!(one.revision(), other.revision());
    }
    let named = source(&[("p.rego", ALLOW), (".manifest", "{\"revision\": \"v7\"}")]);
    assert_eq!(&**named.revision(), "v7");
}

#[test]
fn roots_hold() {
    let manifest = "{\"roots\": [\"sentinel\", \"tables/a\"]}";
    let base = [("p.rego", ALLOW), (".manifest", manifest)];
    let with = |file, text| vet_files(&[base[0], base[1], (file, text)]);
    with("tables/a/data.json", "{\"k\": 1}").unwrap();
    assert!(with("tables/data.json", "{\"b\": 1}").is_err());
    assert!(with("data.json", "{\"k\": 1}").is_err());
    assert!(with("q.rego", "package other\nx := 1").is_err());
}

#[test]
fn limits_hold() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("a/b/c/p.rego", ALLOW), ("a/q.rego", ALLOW)]);
    let usual = SourceLimits::default();
    PolicySource::read(dir.path(), &usual).unwrap();
    for limits in [
        SourceLimits { max_files: 1, ..usual },
        SourceLimits { max_bytes: 60, ..usual },
        SourceLimits { max_depth: 2, ..usual },
    ] {
        let error = PolicySource::read(dir.path(), &limits).expect_err("too much");
        assert!(matches!(error, AnalysisError::TooMuch { .. }), "{error}");
    }
    std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
    assert!(PolicySource::read(dir.path(), &usual).is_err());
    let invalid = dir.path().join("a/r.rego");
    std::fs::remove_file(dir.path().join("a/loop")).unwrap();
    std::fs::write(invalid, [0xff, 0xfe]).unwrap();
    assert!(matches!(PolicySource::read(dir.path(), &usual), Err(AnalysisError::Io { .. })));
}

#[test]
fn mounted_volumes_with_links_are_read_once() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("..2026/p.rego", ALLOW)]);
    std::os::unix::fs::symlink("..2026", dir.path().join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/p.rego", dir.path().join("p.rego")).unwrap();
    vetter().vet(dir.path(), &SourceLimits::default()).unwrap();
}

#[test]
fn tests_are_run_by_the_conventions() {
    let tests = "package t\nimport data.sentinel.policy
test_true := true
test_false := false
test_undefined if { false }
test_number := 1
test_error if { [1][0] + \"x\" == 1 }
test_decision if { print(\"seen\"); policy.decision.allow }
todo_test_later if { false }
todo_no_test if { false }
helper if { false }";
    let files = [("p.rego", ALLOW.to_owned()), ("p_test.rego", tests.to_owned())];
    let results = run_tests(&trusted(files)).unwrap();
    let found: Vec<_> =
        results.iter().map(|result| (result.name.as_str(), result.outcome)).collect();
    let expected = [
        ("test_decision", Outcome::Pass),
        ("test_error", Outcome::Error),
        ("test_false", Outcome::Fail),
        ("test_number", Outcome::Fail),
        ("test_true", Outcome::Pass),
        ("test_undefined", Outcome::Fail),
        ("todo_test_later", Outcome::Skipped),
    ];
    assert_eq!(found, expected);
    assert_eq!(results[0].prints.len(), 1);
    assert!(results[1].error.as_ref().unwrap().contains("p_test.rego:7"), "{:?}", results[1]);
    assert_eq!((results[0].package.as_str(), results[0].line), ("data.t", 8));
}

#[test]
fn recursive_tests_are_refused() {
    let files = [
        ("p.rego", ALLOW.to_owned()),
        ("p_test.rego", "package t\ntest_a if { false; test_a }".to_owned()),
    ];
    assert!(matches!(
        run_tests(&trusted(files)),
        Err(WorkbenchError::Analysis(AnalysisError::Refused(_)))
    ));
}

#[test]
fn queries_are_evaluated_by_hand() {
    let policy: Vetted = trusted([(
        "p.rego",
        "package sentinel.policy\ndefault allow := false\nallow if { print(input.a); input.a == 1 }".to_owned(),
    )]);
    let found = eval(&policy, "data.sentinel.policy.allow", &json!({"a": 1})).unwrap();
    assert_eq!(found.result, Some(json!(true)));
    assert_eq!(found.prints.len(), 1);
    let package = eval(&policy, "data.sentinel.policy", &json!({})).unwrap();
    assert_eq!(package.result, Some(json!({"allow": false})));
    assert_eq!(eval(&policy, "data.nothing.here", &json!({})).unwrap().result, None);
    assert!(eval(&policy, "allow if {", &json!({})).is_err());
}

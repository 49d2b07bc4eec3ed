//! Data that people put beside what a policy brings.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;

use sentinel_core::policy::{DataPlace, PolicyEngine as _, PolicyError};
use sentinel_core::policy_data::{DataPath, PolicyData};
use sentinel_core::rollout::PolicyState;
use sentinel_policy::{EmbeddedEngine, LoadError};
use serde_json::{Value, json};

use crate::support::{Call, call, engine, now, trusted};

const RULES: &str = r#"package sentinel.policy
default decision := {"allow": false}
decision := {"allow": true} if {
    data.allowlist[input.tenant][input.tool]
    not data.blocked[input.tool]
}
"#;

fn files(data: &str, manifest: &str) -> sentinel_policy_analysis::Vetted {
    let data = ("data.json", data.to_owned());
    trusted([("p.rego", RULES.to_owned()), data, (".manifest", manifest.to_owned())])
}

/// Allows `acme` its `search`.
fn engine_of(manifest: &str) -> EmbeddedEngine {
    let engine = engine();
    engine
        .install(&files(r#"{"allowlist": {"acme": {"search": true}}}"#, manifest), now())
        .unwrap();
    engine
}

fn with(data: &[(&str, Value)]) -> Arc<PolicyState> {
    let mut all = PolicyData::default();
    for (path, value) in data {
        let changed = all.put(&path.parse().unwrap(), value.clone()).unwrap();
        all = all.after(all.version() + 1, changed);
    }
    Arc::new(PolicyState { data: Arc::new(all), ..PolicyState::default() })
}

fn on(state: &Arc<PolicyState>, tenant: &str, tool: &str) -> Call {
    Call { state: Arc::clone(state), ..call(tenant, tool, None, 0) }
}

#[test]
fn what_is_put_decides_at_once_and_is_named_by_the_decision() {
    let engine = engine_of(r#"{"revision": "1.0"}"#);
    let (none, blocked) = (with(&[]), with(&[("/blocked/search", json!(true))]));
    let more = with(&[
        ("/allowlist/acme/index", json!(true)),
        ("/allowlist/beta", json!({"search": true})),
    ]);
    let decide = |state, tenant, tool| {
        let decision = on(state, tenant, tool).decide(&engine).unwrap();
        (decision.allow, decision.revision.to_string())
    };
    // Back and forth: each answer is that of its own data, whatever a thread was asked before.
    for _ in 0..3 {
        assert_eq!(decide(&none, "acme", "search"), (true, "1.0".to_owned()));
        assert_eq!(decide(&blocked, "acme", "search"), (false, "1.0+data.1".to_owned()));
        assert_eq!(decide(&more, "acme", "index"), (true, "1.0+data.2".to_owned()));
        assert_eq!(
            decide(&more, "acme", "search"),
            (true, "1.0+data.2".to_owned()),
            "it is merged"
        );
        assert_eq!(decide(&more, "beta", "search"), (true, "1.0+data.2".to_owned()));
        assert_eq!(decide(&none, "acme", "index"), (false, "1.0".to_owned()));
    }
}

#[test]
fn a_place_that_the_policy_has_is_not_free() {
    let place = |engine: &EmbeddedEngine, path: &str| engine.data_place(&path.parse().unwrap());
    let free = |engine: &EmbeddedEngine, path: &str| place(engine, path) == DataPlace::Free;
    let engine = engine_of("{}");
    for path in ["/sentinel", "/sentinel/policy", "/sentinel/policy/decision/allow"] {
        let DataPlace::Owned(owner) = place(&engine, path) else { panic!("{path} is free") };
        assert!(owner.contains("package `/sentinel/policy`"), "{owner}");
    }
    for path in
        ["/allowlist", "/allowlist/acme", "/allowlist/acme/search", "/allowlist/acme/search/x"]
    {
        assert!(!free(&engine, path), "{path}");
    }
    for path in ["/blocked", "/allowlist/acme/index", "/allowlist/beta", "/sentinel/else"] {
        assert!(free(&engine, path), "{path}");
    }
    let rooted = engine_of(r#"{"roots": ["sentinel/policy", "allowlist"]}"#);
    assert!(!free(&rooted, "/allowlist/beta") && free(&rooted, "/blocked"));
}

/// However it came to be there, data that is where rules are does not win over them.
#[test]
fn data_in_the_place_of_rules_or_of_other_data_denies_everything() {
    let engine = engine_of("{}");
    let allow = json!({"allow": true});
    for (path, value) in [
        ("/sentinel/policy/decision", allow.clone()),
        ("/sentinel", json!({"policy": {"decision": allow}})),
        ("/allowlist", json!({"beta": {"search": true}})),
        ("/allowlist/acme/search", json!(false)),
    ] {
        let state = with(&[(path, value)]);
        for (tenant, tool) in [("acme", "search"), ("beta", "search"), ("acme", "other")] {
            let answer = on(&state, tenant, tool).decide(&engine);
            let Err(PolicyError::Failed(why)) = answer else { panic!("{path}: {answer:?}") };
            assert!(why.contains(path), "{why}");
        }
        assert_eq!(engine.revision(&state), None, "nothing decides");
    }
    assert!(on(&with(&[]), "acme", "search").decide(&engine).unwrap().allow, "it recovers");
}

#[test]
fn a_revision_that_claims_what_was_put_is_refused_and_the_one_before_stays() {
    let engine = engine_of(r#"{"revision": "1.0"}"#);
    let state = with(&[("/blocked/search", json!(true))]);
    engine.observe(&state);
    assert_eq!(engine.revision(&state).as_deref(), Some("1.0+data.1"));
    let claims = files(
        r#"{"allowlist": {"acme": {"search": true}}, "blocked": {"search": false}}"#,
        r#"{"revision": "2.0"}"#,
    );
    let error = engine.install(&claims, now()).unwrap_err();
    assert!(matches!(error, LoadError::DataInTheWay { .. }), "{error}");
    assert!(error.to_string().contains("`/blocked/search`"), "{error}");
    assert_eq!(engine.status().revision.as_deref(), Some("1.0"));
    assert!(engine.status().error.is_some());
    assert!(!on(&state, "acme", "search").decide(&engine).unwrap().allow);
}

#[test]
fn the_author_is_whom_the_manifest_names() {
    let engine = engine_of(r#"{"revision": "1.0", "metadata": {"author": "alice"}}"#);
    assert_eq!(engine.status().author.as_deref(), Some("alice"));
    engine.install(&files("{}", r#"{"metadata": {"author": ["x"]}}"#), now()).unwrap();
    assert_eq!(engine.status().author, None);
}

#[test]
fn names_of_any_script_and_values_of_any_kind_reach_the_policy_as_they_are() {
    let engine = engine();
    let rules = r#"package sentinel.policy
default decision := {"allow": false}
decision := {"allow": true} if {
    data["größe/x"]["✓"] == [1, -2, 0.5, "\u202e", null, {"a": false}]
    data.big == 18446744073709551615
}
"#;
    engine.install(&trusted([("p.rego", rules.to_owned())]), now()).unwrap();
    let value = json!([1, -2, 0.5, "\u{202e}", null, {"a": false}]);
    let path = DataPath::from_address("gr%C3%B6%C3%9Fe%2Fx/%E2%9C%93").unwrap();
    let state = with(&[(&path.to_string(), value), ("/big", json!(u64::MAX))]);
    assert!(on(&state, "acme", "search").decide(&engine).unwrap().allow);
}

#[test]
fn threads_that_see_different_versions_do_not_disturb_each_other() {
    let engine = engine_of("{}");
    let states: Vec<_> = (0..8)
        .map(|index| with(&vec![("/blocked/search", json!(index % 2 == 0)); index + 1]))
        .collect();
    std::thread::scope(|scope| {
        for (index, state) in states.iter().enumerate() {
            let engine = &engine;
            scope.spawn(move || {
                for _ in 0..200 {
                    let decision = on(state, "acme", "search").decide(engine).unwrap();
                    assert_eq!(decision.allow, index % 2 == 1);
                    assert!(decision.revision.ends_with(&format!("+data.{}", index + 1)));
                }
            });
        }
    });
}

/// A change of one value among many costs what it touches.
#[test]
fn a_change_among_many_values_is_cheap() {
    let engine = engine_of("{}");
    let mut data = PolicyData::default();
    let entries = (0..9_000).map(|index| {
        let path: DataPath =
            format!("/tenants/t{}/tool{}", index / 100, index % 100).parse().unwrap();
        (path, Some(Arc::new(sentinel_core::policy_data::DataEntry::new(json!({"limit": index})))))
    });
    data = data.after(1, entries.collect());
    let mut slowest = std::time::Duration::ZERO;
    for version in 2..12 {
        let changed =
            data.put(&"/blocked/search".parse().unwrap(), json!(version % 2 == 0)).unwrap();
        data = data.after(version, changed);
        let state =
            Arc::new(PolicyState { data: Arc::new(data.clone()), ..PolicyState::default() });
        let began = std::time::Instant::now();
        assert_eq!(on(&state, "acme", "search").decide(&engine).unwrap().allow, version % 2 == 1);
        if version > 2 {
            slowest = slowest.max(began.elapsed());
        }
    }
    println!("the slowest change of one of 9,000 values took {slowest:?}");
    assert!(slowest < std::time::Duration::from_secs(2), "{slowest:?}");
}

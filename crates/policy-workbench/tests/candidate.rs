//! Candidates of staged rollouts: compared without influence, and in force once promoted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_core::id::{DecisionId, RolloutId};
use sentinel_core::policy::{CandidateEngine as _, PolicyDecision, PolicyEngine as _, PolicyError};
use sentinel_core::policy_data::PolicyData;
use sentinel_core::rollout::{
    Percent, PolicyFiles, PolicyState, Rollout, RolloutReport, RolloutState,
};
use sentinel_policy::{EmbeddedConfig, EmbeddedEngine, Vetter};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Call, call, engine, now, trusted, vetter};

const PACKAGE: &str = "package sentinel.policy\ndefault decision := {\"allow\": false}\n";

fn files(revision: &str, rules: &str) -> PolicyFiles {
    PolicyFiles::from([
        ("a/p.rego".to_owned(), format!("{PACKAGE}{rules}")),
        (".manifest".to_owned(), format!("{{\"revision\": \"{revision}\"}}")),
    ])
}

/// An engine whose source allows `acme`.
fn source() -> EmbeddedEngine {
    let engine = engine();
    install(&engine, "1.0", "decision := {\"allow\": true} if input.tenant == \"acme\"");
    engine
}

fn install(engine: &EmbeddedEngine, revision: &str, rules: &str) {
    let files = files(revision, rules);
    let files = files.iter().map(|(path, text)| (path.as_str(), text.clone()));
    engine.install(&trusted(files), now()).unwrap();
}

fn rollout(state: RolloutState, over: Option<String>) -> Rollout {
    Rollout {
        id: RolloutId(Uuid::now_v7()),
        revision: "2.0".to_owned(),
        digest: String::new(),
        tenants: BTreeSet::new(),
        percent: Percent::ALL,
        state,
        over,
        actor: "key:1".to_owned(),
        started_at: now(),
    }
}

fn state(rollout: &Rollout) -> Arc<PolicyState> {
    let mut state = PolicyState::default();
    state.apply(rollout.clone());
    Arc::new(state)
}

fn decide(
    engine: &EmbeddedEngine,
    state: &Arc<PolicyState>,
    tenant: &str,
) -> Result<PolicyDecision, PolicyError> {
    Call { state: Arc::clone(state), ..call(tenant, "search", None, 0) }.decide(engine)
}

/// The report once so many calls are compared or dropped.
fn report(engine: &EmbeddedEngine, rollout: &Rollout, count: u64) -> RolloutReport {
    let began = Instant::now();
    loop {
        let found = engine.rollout(rollout.id).unwrap();
        let settled = found.agreed + found.newly_allowed + found.newly_denied + found.otherwise;
        if settled + found.dropped >= count {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{found:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Its thread and the one in reserve do not come back: calls are not compared then, which is
/// counted, and decisions go on as before.
#[test]
fn a_candidate_that_does_not_come_back_changes_no_answer_and_is_compared_again_later() {
    let engine = EmbeddedEngine::new(EmbeddedConfig {
        vetter: Some(vetter()),
        hard_limit: Duration::from_millis(500),
        ..EmbeddedConfig::default()
    });
    install(&engine, "1.0", "decision := {\"allow\": true} if input.tenant == \"acme\"");
    let rollout = rollout(RolloutState::Monitored, None);
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("gate");
    std::fs::write(&gate, "").unwrap();
    let rule = "decision := {\"allow\": true} if planted.spin(input.arguments.gate)";
    engine.load_candidate(rollout.id, &files("2.0", rule)).unwrap();
    let call = Call { state: state(&rollout), ..call("acme", "search", None, 0) };
    let call = call.with_arguments(json!({ "gate": gate }));
    let began = Instant::now();
    while engine.rollout(rollout.id).unwrap().dropped == 0 {
        assert!(call.decide(&engine).unwrap().allow);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", engine.candidate_pool());
    }
    // Which says that nothing is accepted any more, not only that much waits.
    while engine.candidate_pool().stuck < 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", engine.candidate_pool());
        std::thread::yield_now();
    }
    assert!(!engine.is_stuck() && call.decide(&engine).unwrap().allow);
    let errors = engine.rollout(rollout.id).unwrap().errors;
    assert!(errors >= 2, "{errors}");
    std::fs::remove_file(&gate).unwrap();
    while engine.rollout(rollout.id).unwrap().agreed == 0 {
        assert!(call.decide(&engine).unwrap().allow);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", engine.candidate_pool());
    }
}

#[test]
fn a_monitored_candidate_is_compared_and_changes_no_answer() {
    let engine = source();
    let rollout = rollout(RolloutState::Monitored, None);
    let candidate = files("2.0", "decision := {\"allow\": true} if input.tenant == \"beta\"");
    let loaded = engine.load_candidate(rollout.id, &candidate).unwrap();
    assert_eq!(loaded.revision, "2.0");
    let state = state(&rollout);
    let id = DecisionId(Uuid::now_v7());
    let acme = Call { state: Arc::clone(&state), ..call("acme", "search", None, 0) };
    let mut input = acme.input();
    input.decision_id = id;
    assert!(engine.decide(&input).unwrap().allow);
    assert!(!decide(&engine, &state, "beta").unwrap().allow);
    assert!(!decide(&engine, &state, "gamma").unwrap().allow);
    let report = report(&engine, &rollout, 3);
    assert_eq!((report.newly_denied, report.newly_allowed, report.agreed), (1, 1, 1));
    let denied = report.examples.iter().find(|example| example.decided.allow).unwrap();
    assert_eq!((denied.decision_id, denied.tenant.as_str()), (id, "acme"));
    assert_eq!(denied.candidate.revision.as_deref(), Some("2.0"));
    assert_eq!(denied.decided.revision.as_deref(), Some("1.0"));
    engine.keep_candidates(&[]);
    assert!(engine.rollout(rollout.id).is_none() && !engine.has_candidate(rollout.id));
    assert!(decide(&engine, &state, "acme").unwrap().allow);
}

#[test]
fn only_the_tenants_and_the_share_that_were_chosen_are_compared() {
    let mut some = rollout(RolloutState::Monitored, None);
    some.tenants = BTreeSet::from(["acme".parse().unwrap()]);
    some.percent = Percent::try_from(20).unwrap();
    let watched = |rollout: &Rollout, tenant: &str| {
        let calls = (0..5_000).map(|micros| {
            let at = jiff::Timestamp::from_microsecond(micros * 977).unwrap();
            rollout.watches(&tenant.parse().unwrap(), &"search".parse().unwrap(), None, at)
        });
        calls.filter(|watched| *watched).count()
    };
    let first = watched(&some, "acme");
    assert!((850..1150).contains(&first), "{first} of 5,000");
    assert_eq!(watched(&some, "acme"), first, "it is not a matter of chance");
    assert_eq!(watched(&some, "beta"), 0);
    some.tenants.clear();
    some.percent = Percent::ALL;
    assert_eq!(watched(&some, "beta"), 5_000);

    let engine = source();
    let mut none = rollout(RolloutState::Monitored, None);
    none.tenants = BTreeSet::from(["beta".parse().unwrap()]);
    engine.load_candidate(none.id, &files("2.0", "")).unwrap();
    let state = state(&none);
    for _ in 0..100 {
        decide(&engine, &state, "acme").unwrap();
    }
    decide(&engine, &state, "beta").unwrap();
    let report = report(&engine, &none, 1);
    assert_eq!((report.agreed, report.newly_denied), (1, 0), "{report:?}");
}

#[test]
fn a_promoted_candidate_decides_until_the_source_brings_something_else() {
    let engine = source();
    let over = engine.status().digest;
    let promoted = rollout(RolloutState::Promoted, over);
    let state = state(&promoted);
    // Not loaded yet: neither policy is in force.
    let answer = decide(&engine, &state, "acme");
    assert!(matches!(answer, Err(PolicyError::Unavailable(_))), "{answer:?}");
    let rules = "decision := {\"allow\": true} if data.free[input.tenant]";
    engine.load_candidate(promoted.id, &files("2.0", rules)).unwrap();
    let decision = decide(&engine, &state, "acme").unwrap();
    assert_eq!((decision.allow, decision.revision.as_ref()), (false, "2.0"));

    // Data is beside whichever policy decides.
    let data = PolicyData::default();
    let changed = data.put(&"/free/acme".parse().unwrap(), json!(true)).unwrap();
    let with_data = PolicyState { data: Arc::new(data.after(1, changed)), ..(*state).clone() };
    let decision = decide(&engine, &Arc::new(with_data), "acme").unwrap();
    assert_eq!((decision.allow, decision.revision.as_ref()), (true, "2.0+data.1"));

    install(&engine, "3.0", "decision := {\"allow\": true} if input.tenant == \"gamma\"");
    let decision = decide(&engine, &state, "gamma").unwrap();
    assert_eq!((decision.allow, decision.revision.as_ref()), (true, "3.0"));
    // And without the promotion, too.
    let none = Arc::new(PolicyState::default());
    assert_eq!(decide(&engine, &none, "gamma").unwrap().revision.as_ref(), "3.0");
}

#[test]
fn a_hostile_candidate_is_refused_and_disturbs_nothing() {
    let engine = source();
    let refused = |files: &PolicyFiles| {
        let id = RolloutId(Uuid::now_v7());
        let why = engine.load_candidate(id, files).unwrap_err();
        assert!(!engine.has_candidate(id) && engine.refuses_candidate(id));
        why.to_string()
    };
    let why =
        refused(&files("2.0", "x if { false; y }\ny if { false; x }\ndecision := {\"allow\": x}"));
    assert!(why.contains("recurs"), "{why}");
    let nested =
        format!("decision := {{\"allow\": {}1{} != 0}}", "(1 + ".repeat(100), ")".repeat(100));
    refused(&files("2.0", &nested));
    refused(&PolicyFiles::new());
    for name in ["../p.rego", "/tmp/p.rego", "a/../../p.rego", "", "a\0.rego", "./p.rego"] {
        let files = PolicyFiles::from([
            (name.to_owned(), PACKAGE.to_owned()),
            ("p.rego".to_owned(), PACKAGE.to_owned()),
        ]);
        assert!(refused(&files).contains("not a path within a policy"), "{name:?}");
    }
    assert!(decide(&engine, &Arc::default(), "acme").unwrap().allow);
}

/// What ends the vetting process would end it each time, and is not tried again.
#[test]
fn a_candidate_that_ends_its_vetter_is_vetted_once() {
    let dir = tempfile::tempdir().unwrap();
    let starts = dir.path().join("starts");
    let script = dir.path().join("vet.sh");
    std::fs::write(&script, format!("echo x >> '{}'\nkill -SEGV $$\n", starts.display())).unwrap();
    let vetter = Vetter {
        command: "/bin/sh".into(),
        args: vec![script.into()],
        timeout: Duration::from_secs(10),
    };
    let config = EmbeddedConfig { vetter: Some(vetter), ..EmbeddedConfig::default() };
    let engine = EmbeddedEngine::new(config);
    let id = RolloutId(Uuid::now_v7());
    assert!(!engine.refuses_candidate(id));
    for _ in 0..3 {
        let why = engine.load_candidate(id, &files("2.0", "")).unwrap_err();
        assert!(why.to_string().contains("crashed"), "{why}");
        assert!(engine.refuses_candidate(id) && !engine.has_candidate(id));
    }
    assert_eq!(std::fs::read_to_string(&starts).unwrap(), "x\n");
    // Once it is over it takes no memory.
    engine.keep_candidates(&[]);
    assert!(!engine.refuses_candidate(id));
}

/// Whatever it costs, it costs no decision anything: what cannot be compared in time is dropped.
#[test]
fn a_slow_candidate_is_compared_less_and_slows_nothing_down() {
    let engine = source();
    let rollout = rollout(RolloutState::Monitored, None);
    let mut slow = files(
        "2.0",
        "decision := {\"allow\": true} if {\n\tsome x in data.list\n\tsome y in data.list\n\t\
            x + y < 0\n\tinput.tenant != \"\"\n}",
    );
    let list: Vec<u32> = (0..150).collect();
    slow.insert("data.json".to_owned(), json!({"list": list}).to_string());
    engine.load_candidate(rollout.id, &slow).unwrap();
    let quiet = Arc::new(PolicyState::default());
    let watched = state(&rollout);
    let time = |state| {
        let began = Instant::now();
        for _ in 0..3_000 {
            assert!(decide(&engine, state, "acme").unwrap().allow);
        }
        began.elapsed()
    };
    time(&quiet);
    let (without, with) = (time(&quiet), time(&watched));
    let found = report(&engine, &rollout, 2_900);
    assert!(found.dropped > 2_000, "{found:?}");
    assert!(found.newly_denied > 0 || found.errors > 0 || found.dropped == 3_000, "{found:?}");
    // Half of one of two cores is the candidate's, and the decisions have the other.
    assert!(with < without * 4 + Duration::from_millis(500), "{with:?} instead of {without:?}");
}

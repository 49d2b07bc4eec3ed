//! G2: once a kill is acknowledged, nothing it covers is allowed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sentinel_client::api::{Decision, KillAnswer, RestoreAnswer};
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_testkit::ending::EndOf;
use serde_json::{Value, json};

use crate::client::{Client, Decided};
use crate::server::Server;

const THREADS: usize = 64;
const KILLS: usize = 200;

/// One kill and its end, as the client saw them.
struct Killed {
    /// When the kill was asked for and acknowledged, and then its end.
    sent: Instant,
    from: Instant,
    until: Instant,
    restored: Instant,
    /// The epochs of which it is in force: the first inside, the second not.
    epochs: (Epoch, Epoch),
}

/// Hammers one tool from 64 threads while it is killed and restored 200 times by `target`, then
/// checks every answer against real time and against the order of commits.
fn kill_under_load(target: &Value) {
    let server = Server::with_policy(support_policy());
    let (observations, kills) = hammer(&server, target);
    let allowed = observations.iter().filter(|decided| decided.answer.allow).count();
    let denied = observations.len() - allowed;
    assert!(allowed > 1000 && denied > 1000, "{allowed} allowed, {denied} denied: no real test");

    for Decided { answer, sent, received } in &observations {
        let allow = answer.allow;
        assert!(allow || answer.code == ReasonCode::Killed, "{answer:?}");
        let covered = kills.iter().any(|kill| kill.from < *sent && *received < kill.until);
        assert!(!(allow && covered), "allowed after the kill was acknowledged: {answer:?}");
        let free = kills.iter().all(|kill| *received < kill.sent || kill.restored < *sent);
        assert!(allow || !free, "denied after the restore was acknowledged: {answer:?}");
    }
    check_commit_order(&server, &observations, &kills);
}

fn hammer(server: &Server, target: &Value) -> (Vec<Decided>, Vec<Killed>) {
    let stop = AtomicBool::new(false);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let load: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::new(&server.url, &server.key("agent"));
                    let mut seen = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        seen.push(client.check(&check()));
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    seen
                })
            })
            .collect();
        let end = EndOf(&stop);
        let mut operator = Client::new(&server.url, &server.key("operator"));
        let mut kills = Vec::new();
        for _ in 0..KILLS {
            wait_for_checks(&done);
            kills.push(kill_once(&mut operator, target, &done));
        }
        drop(end);
        let seen = load.into_iter().flat_map(|thread| thread.join().expect("a load thread"));
        (seen.collect(), kills)
    })
}

fn kill_once(operator: &mut Client, target: &Value, done: &AtomicUsize) -> Killed {
    let mut request = target.clone();
    request["reason"] = json!("test of the kill switch");
    let kill = operator.post("/kill", &request);
    assert_eq!(kill.status, 200, "{:?}", kill.body);
    wait_for_checks(done);
    let restore = operator.post("/kill/restore", target);
    assert_eq!(restore.status, 200, "{:?}", restore.body);
    let epochs = (kill.read::<KillAnswer>().epoch, restore.read::<RestoreAnswer>().epoch);
    Killed {
        sent: kill.sent,
        from: kill.received,
        until: restore.sent,
        restored: restore.received,
        epochs,
    }
}

/// Waits until every thread had time for another check.
fn wait_for_checks(done: &AtomicUsize) {
    let target = done.load(Ordering::Relaxed) + THREADS;
    let deadline = Instant::now() + Duration::from_secs(60);
    while done.load(Ordering::Relaxed) < target {
        assert!(Instant::now() < deadline, "no thread gets decisions any longer");
        std::thread::yield_now();
    }
}

fn check_commit_order(server: &Server, observations: &[Decided], kills: &[Killed]) {
    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    let mut recorded: Vec<Decision> = auditor.list("/v1/decisions");
    recorded.sort_by_key(|decision| decision.sequence);
    let in_order = recorded.is_sorted_by_key(|decision| decision.epoch);
    assert!(in_order, "decisions commit in the order of epochs");
    for decision in &recorded {
        let epoch = decision.epoch;
        let killed = kills.iter().any(|kill| kill.epochs.0 <= epoch && epoch < kill.epochs.1);
        // A deny may have been decided just before the restore that it was committed after.
        let allowed = decision.is_allowed();
        assert!(!(allowed && killed), "committed at epoch {epoch} of a kill: {decision:?}");
    }
    let by_id: std::collections::HashMap<_, _> =
        recorded.iter().map(|decision| (decision.id, decision)).collect();
    for Decided { answer, .. } in observations {
        let id = answer.decision_id;
        let record = by_id.get(&id).unwrap_or_else(|| panic!("decision {id} is not recorded"));
        assert_eq!(record.is_allowed(), answer.allow);
    }
}

fn support_policy() -> &'static str {
    "package sentinel.policy\n\ndecision := {\"allow\": true, \"reasons\": []}\n"
}

fn check() -> Value {
    json!({
        "tenant_slug": "secops",
        "tool_name": "incident-response-runbook",
        "action": "invoke",
        "agent": "triage",
    })
}

#[test]
fn no_allow_after_a_tool_is_killed() {
    kill_under_load(&json!({"tenant_slug": "secops", "tool_name": "incident-response-runbook"}));
}

#[test]
fn no_allow_after_everything_is_killed() {
    kill_under_load(&json!({"scope": "global"}));
}

#[test]
fn no_allow_after_an_agent_is_killed() {
    kill_under_load(&json!({"tenant_slug": "secops", "agent": "triage"}));
}

#[test]
fn no_allow_after_an_agent_is_killed_in_another_letter_case() {
    kill_under_load(&json!({"agent": "TRIAGE"}));
}

#[test]
fn no_allow_after_the_tools_with_a_scope_are_killed() {
    kill_under_load(&json!({"tenant_slug": "secops", "tool_scope": "RUNBOOK:READ"}));
}

#[test]
fn no_allow_after_a_principal_is_killed() {
    kill_under_load(&json!({"principal": "DEV agent"}));
}

/// A kill that is to start: no allow is recorded with a time from its start to its end, and none is
/// answered to a check that was sent from its start on, and before its end.
#[test]
fn no_allow_while_a_scheduled_kill_is_in_force() {
    let server = Server::with_policy(support_policy());
    let mut operator = Client::new(&server.url, &server.key("operator"));
    let after = |millis| {
        let span = jiff::SignedDuration::from_millis(millis);
        jiff::Timestamp::now().checked_add(span).expect("a time of this century")
    };
    let (starts_at, expires_at) = (after(700), after(1900));
    let kill = json!({
        "tenant_slug": "secops", "tool_name": "incident-response-runbook", "reason": "window",
        "starts_at": starts_at, "expires_at": expires_at,
    });
    let killed = operator.post("/kill", &kill);
    assert_eq!(killed.status, 200, "{:?}", killed.body);
    let seen: Vec<(jiff::Timestamp, jiff::Timestamp, bool)> = std::thread::scope(|scope| {
        let load: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::new(&server.url, &server.key("agent"));
                    let mut seen = Vec::new();
                    let mut allowed_after = 0;
                    // Until it has ended, which may be a moment after its time.
                    while allowed_after < 20 {
                        let sent = jiff::Timestamp::now();
                        assert!(sent < after(30_000));
                        let Decided { answer, .. } = client.check(&check());
                        let allow = answer.allow;
                        assert!(allow || answer.code == ReasonCode::Killed, "{answer:?}");
                        seen.push((sent, jiff::Timestamp::now(), allow));
                        allowed_after += usize::from(allow && sent >= expires_at);
                    }
                    seen
                })
            })
            .collect();
        load.into_iter().flat_map(|thread| thread.join().expect("a load thread")).collect()
    });
    assert!(seen.iter().any(|(_, answered, allow)| *allow && *answered < starts_at));
    assert!(seen.iter().any(|(sent, _, allow)| !allow && *sent > starts_at));
    for (sent, answered, allow) in seen {
        let inside = sent >= starts_at && answered < expires_at;
        assert!(!(allow && inside), "allowed from {sent} to {answered}");
    }
    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    for decision in auditor.list::<Decision>("/v1/decisions?decision=allow") {
        let at = decision.created_at;
        assert!(at < starts_at || at >= expires_at, "{decision:?}");
    }
}

//! Histories in which one thing is wrong, and the same without it.

use std::collections::HashMap;

use uuid::Uuid;

use super::{History, Least, Recovery, check, lost_requests};
use crate::observation::{Answered, Asked, Call, Event, Micros, Observation, Scope, Signed, Trace};
use crate::rows::{Counter, Decision, Kill, Manifest};
use crate::world::{BUSY, FORBIDDEN, SMALL, TOOLS};

const NONE: Least = Least { allows: 0, denies: 0, kills: 0, manifests: 0, replays: 0 };
const TOOL: &str = TOOLS[0];
const KILL: Uuid = Uuid::from_u128(900);

/// Builds histories.
#[derive(Default)]
struct Story(History);

impl Story {
    fn observed(
        &mut self,
        (sent, ended): (Micros, Micros),
        asked: Asked,
        answer: Result<Answered, &'static str>,
    ) -> &mut Self {
        let observation = Observation { client: 0, replica: 0, sent, ended, asked, answer };
        self.0.observations.push(observation);
        self
    }

    /// A check that is answered and stored alike.
    fn check(
        &mut self,
        at: (Micros, Micros),
        tool: &'static str,
        id: u128,
        epoch: u64,
    ) -> &mut Self {
        self.answered(at, tool, id, None).stored(tool, id, epoch, true)
    }

    fn answered(
        &mut self,
        at: (Micros, Micros),
        tool: &'static str,
        id: u128,
        call_id: Option<&str>,
    ) -> &mut Self {
        let answered = Answered {
            status: 200,
            allow: Some(true),
            code: "allowed".into(),
            decision: Some(Uuid::from_u128(id)),
            ..Answered::default()
        };
        self.observed(at, Asked::Check(call(tool, call_id)), Ok(answered))
    }

    fn stored(&mut self, tool: &'static str, id: u128, epoch: u64, counted: bool) -> &mut Self {
        let (id, tool_id) = (Uuid::from_u128(id), Uuid::from_u128(1));
        let row = Decision {
            id,
            call: call(tool, None),
            tool_id: Some(tool_id),
            principal: "key".to_owned(),
            allow: true,
            code: "allowed".to_owned(),
            epoch,
            created: 7200 + 5,
            quota: Some((2, "1h".to_owned())),
        };
        self.0.rows.decisions.insert(id, row);
        if counted {
            let none = Counter { used: 0, limit: Some(2) };
            let key = (tool_id, "1h".to_owned(), 7200);
            self.0.rows.counters.entry(key).or_insert(none).used += 1;
        }
        self
    }

    fn kill(&mut self, at: (Micros, Micros), from: u64, until: Option<u64>) -> &mut Self {
        let answered = Answered { status: 200, kills: vec![KILL], ..Answered::default() };
        self.observed(at, Asked::Kill(scope()), Ok(answered));
        self.0.rows.kills.insert(KILL, Kill { scope: scope(), from, until });
        self
    }

    fn restore(&mut self, at: (Micros, Micros), answer: Result<u16, &'static str>) -> &mut Self {
        let answer =
            answer.map(|status| Answered { status, kills: vec![KILL], ..Answered::default() });
        self.observed(at, Asked::Restore(scope()), answer)
    }

    fn sign(&mut self, stored: Option<&[u8]>) -> &mut Self {
        let id = Uuid::from_u128(77);
        let signed = Signed { id, signature: "c2ln".into(), payload_hash: "sha256:0102".into() };
        let answered =
            Answered { status: 201, manifest: Some(Box::new(signed)), ..Answered::default() };
        let decision = Uuid::from_u128(5);
        if let Some(digest) = stored {
            let bundle = "{\"sig\":\"c2ln\"}".to_owned();
            let (tool, digest) = (TOOL.to_owned(), digest.to_vec());
            let row = Manifest { tool, decision: Some(decision), digest, bundle };
            self.0.rows.manifests = HashMap::from([(id, row)]);
        }
        self.observed((1, 2), Asked::Sign { tool: TOOL, decision }, Ok(answered))
    }

    fn rules(&self) -> Vec<&'static str> {
        self.rules_with(NONE)
    }

    fn rules_with(&self, least: Least) -> Vec<&'static str> {
        let mut history = self.0.clone();
        history.observations.sort_by_key(|each| each.sent);
        let mut rules: Vec<_> = check(&history, &least).iter().map(|each| each.rule).collect();
        rules.dedup();
        rules
    }
}

fn call(tool: &'static str, call_id: Option<&str>) -> Call {
    Call { tenant: BUSY, tool, agent: Some("ann"), call_id: call_id.map(Into::into) }
}

const fn scope() -> Scope {
    Scope::Tool(BUSY, TOOL)
}

fn story() -> Story {
    Story::default()
}

#[test]
fn an_allow_sent_after_the_kill_was_acknowledged_is_found() {
    let mut story = story();
    story.kill((10, 20), 3, Some(5)).check((21, 30), TOOL, 1, 2).restore((40, 50), Ok(200));
    assert_eq!(story.rules(), ["allow-after-kill"]);
}

#[test]
fn allows_that_overlap_the_kill_or_its_restore_are_none() {
    let mut story = story();
    story.kill((10, 20), 3, Some(5)).restore((40, 50), Ok(200));
    story.check((19, 30), TOOL, 1, 2).check((35, 41), TOOL, 2, 5);
    assert!(story.rules().is_empty());
}

#[test]
fn every_scope_covers_what_it_names_and_nothing_else() {
    let call = call(TOOL, None);
    for (scope, covers) in [
        (Scope::Global, true),
        (Scope::Tenant(BUSY), true),
        (Scope::Tenant("calm"), false),
        (Scope::Tool(BUSY, TOOLS[1]), false),
        (Scope::Agent("ann"), true),
        (Scope::Agent("bob"), false),
        (Scope::TenantAgent(BUSY, "ann"), true),
        (Scope::TenantAgent("calm", "ann"), false),
    ] {
        assert_eq!(scope.covers(&call), covers, "{scope}");
        let mut story = story();
        story.kill((10, 20), 3, None).check((30, 40), TOOL, 1, 2);
        story.0.observations[0].asked = Asked::Kill(scope);
        for kill in story.0.rows.kills.values_mut() {
            kill.scope = scope;
        }
        let expected: &[&str] = if covers { &["allow-after-kill"] } else { &[] };
        assert_eq!(story.rules(), expected, "{scope}");
    }
}

#[test]
fn a_restore_without_an_answer_may_have_ended_the_kill_at_any_time_from_then_on() {
    let mut story = story();
    story.restore((1, 9), Err("timed out")).kill((10, 20), 3, Some(4));
    story.check((30, 40), TOOL, 1, 4).restore((50, 60), Ok(200));
    // The last one says that it ended the kill: then the first did not.
    assert_eq!(story.rules(), ["allow-after-kill"]);
    for restore in &mut story.0.observations {
        if let Ok(answered) = &mut restore.answer
            && matches!(restore.asked, Asked::Restore(_))
        {
            answered.kills.clear();
        }
    }
    assert!(story.rules().is_empty());
}

#[test]
fn a_kill_that_was_acknowledged_and_is_gone_is_found() {
    let mut story = story();
    story.kill((10, 20), 3, None).0.rows.kills.clear();
    assert_eq!(story.rules(), ["lost-kill"]);
}

#[test]
fn a_kill_that_ended_by_itself_is_found() {
    assert_eq!(story().kill((10, 20), 3, Some(4)).rules(), ["lost-kill"]);
}

#[test]
fn an_allow_stored_under_an_epoch_of_the_kill_is_found() {
    for (epoch, wrong) in [(2, false), (3, true), (4, true), (5, false)] {
        let mut story = story();
        story.kill((10, 20), 3, Some(5)).restore((21, 22), Ok(200)).stored(TOOL, 1, epoch, true);
        let expected: &[&str] = if wrong { &["allow-in-killed-epoch"] } else { &[] };
        assert_eq!(story.rules(), expected, "epoch {epoch}");
    }
}

#[test]
fn the_third_allow_of_two_is_found() {
    let mut story = story();
    story.check((1, 2), SMALL[0], 1, 1).check((3, 4), SMALL[0], 2, 1);
    assert!(story.rules().is_empty());
    story.check((5, 6), SMALL[0], 3, 1);
    assert_eq!(story.rules(), ["quota-exceeded"]);
}

#[test]
fn an_allow_that_is_not_counted_is_found() {
    assert_eq!(story().stored(TOOL, 1, 1, false).rules(), ["counter-differs"]);
}

#[test]
fn a_count_without_its_allow_is_found() {
    let mut story = story();
    story.stored(TOOL, 1, 1, true).0.rows.decisions.clear();
    assert_eq!(story.rules(), ["counter-differs"]);
}

#[test]
fn an_acknowledged_decision_that_is_gone_is_found() {
    let mut story = story();
    story.check((1, 2), TOOL, 1, 1).0.rows.decisions.clear();
    story.0.rows.counters.clear();
    let rules = story.rules();
    assert!(rules.contains(&"lost-decision"), "{rules:?}");
}

#[test]
fn a_decision_that_is_stored_otherwise_is_found() {
    let mut story = story();
    story.check((1, 2), TOOL, 1, 1);
    story.0.observations[0].answer.as_mut().unwrap().allow = Some(false);
    assert_eq!(story.rules(), ["changed-decision"]);
}

#[test]
fn a_call_that_is_allowed_twice_is_found() {
    let mut story = story();
    story.answered((1, 2), TOOL, 1, Some("x")).stored(TOOL, 1, 1, true);
    story.answered((3, 4), TOOL, 2, Some("x")).stored(TOOL, 2, 1, true);
    for row in story.0.rows.decisions.values_mut() {
        row.call.call_id = Some("x".into());
    }
    assert_eq!(story.rules(), ["call-decided-twice"]);
}

#[test]
fn an_error_that_allows_is_found() {
    let mut story = story();
    story.check((1, 2), TOOL, 1, 1);
    story.0.observations[0].answer.as_mut().unwrap().status = 503;
    assert_eq!(story.rules(), ["allowed-by-an-error"]);
}

#[test]
fn an_allow_of_what_policy_denies_is_found() {
    assert_eq!(story().check((1, 2), FORBIDDEN, 1, 1).rules(), ["allowed-against-policy"]);
}

#[test]
fn a_manifest_that_is_gone_or_changed_is_found() {
    assert!(story().sign(Some(&[1, 2])).rules().is_empty());
    assert_eq!(story().sign(Some(&[1, 3])).rules(), ["changed-manifest"]);
    assert_eq!(story().sign(None).rules(), ["lost-manifest"]);
}

/// An allow whose permit was used is not repeated: the new deny has no call identifier.
#[test]
fn a_repeat_that_is_denied_by_now_has_a_decision_of_its_own() {
    for (allow, expected) in [(false, &[][..]), (true, &["changed-decision"][..])] {
        let mut story = story();
        let id = Uuid::from_u128(7);
        let (code, answered) =
            if allow { ("allowed", Some(true)) } else { ("call_id_spent", Some(false)) };
        let answered = Answered {
            status: 200,
            allow: answered,
            code: code.into(),
            decision: Some(id),
            ..Answered::default()
        };
        story.observed((1, 2), Asked::Check(call(TOOL, Some("c"))), Ok(answered));
        story.stored(TOOL, 7, 1, allow);
        let row = story.0.rows.decisions.get_mut(&id).unwrap();
        (row.allow, row.code) = (allow, code.to_owned());
        assert_eq!(story.rules(), expected, "{code}");
    }
}

#[test]
fn a_permit_that_is_redeemed_twice_is_found() {
    let mut story = story();
    story.stored(TOOL, 1, 1, true);
    for at in [(1, 2), (3, 4)] {
        let redeemed = Answered { status: 200, ..Answered::default() };
        story.observed(at, Asked::Redeem { decision: Uuid::from_u128(1) }, Ok(redeemed));
    }
    assert_eq!(story.rules(), ["permit-redeemed-twice"]);
}

#[test]
fn a_replica_that_does_not_come_back_is_found() {
    for (took, wrong) in [(Some(14_000_000), false), (Some(16_000_000), true), (None, true)] {
        let mut story = story();
        let recovery = Recovery { after: "a fault".to_owned(), replica: 0, took };
        story.0.recoveries.push(recovery);
        let expected: &[&str] = if wrong { &["no-progress"] } else { &[] };
        assert_eq!(story.rules(), expected, "{took:?}");
    }
}

#[test]
fn a_fault_that_was_not_noticed_proves_nothing() {
    for trace in [Trace::FailedRequests, Trace::OddTimes] {
        let mut story = story();
        story.0.events.push(Event { from: 1, until: 9, what: "a fault".to_owned(), trace });
        assert_eq!(story.rules(), ["no-real-test"]);
    }
}

#[test]
fn a_system_that_denies_everything_does_not_pass() {
    let mut story = story();
    let recovery = Recovery { after: "a fault".to_owned(), replica: 0, took: Some(1) };
    story.0.recoveries.push(recovery);
    assert_eq!(story.rules_with(Least { allows: 1, ..NONE }), ["no-real-test"]);
}

#[test]
fn a_request_that_is_not_answered_as_it_should_be_is_lost() {
    let denied = |code: &str| Answered {
        status: 200,
        allow: Some(false),
        code: code.into(),
        ..Answered::default()
    };
    let failed = |status| Answered { status, ..Answered::default() };
    let sound = [denied("killed"), denied("quota_exceeded"), denied("policy_denied"), failed(409)];
    let lost = [denied("rate_limiter_unavailable"), failed(503), failed(500), failed(429)];
    let sound = sound.map(|answer| (Ok(answer), 0));
    let lost = lost.map(Ok).into_iter().chain([Err("not connected")]).map(|answer| (answer, 1));
    for (answer, expected) in sound.into_iter().chain(lost) {
        let mut story = story();
        story.observed((1, 2), Asked::Check(call(TOOL, None)), answer.clone());
        assert_eq!(lost_requests(&story.0).len(), expected, "{answer:?}");
    }
}

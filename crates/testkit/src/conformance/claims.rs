//! Call ids: one decision for one call, however often it is asked for.

use std::sync::Arc;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::commit::{Outcome, claims_expire_before};
use sentinel_core::decision::ReasonCode;
use sentinel_core::kill::KillScope;
use sentinel_core::permit::Redeemed;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::quota::Window;
use serde_json::{Value, json};

use super::{Scene, Shared, at_once, recorded};
use crate::build;

const DAY: i64 = 86_400;
const ADMIN: Principal = Principal::LOCAL;

async fn ask(scene: &Scene, check: &build::Check) -> Outcome {
    scene.commit(check.batch()).await.pop().unwrap()
}

fn replayed(outcome: Outcome) -> Arc<DecisionRecord> {
    match outcome {
        Outcome::Replayed(record) => record,
        other => panic!("not replayed: {other:?}"),
    }
}

pub async fn a_repeated_call_gets_the_same_decision_and_is_counted_once(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1").quota(5, Window::DAY);
    let first = scene.record(&check).await;
    assert!(first.allow);
    for later in 1..4 {
        let again = ask(&scene, &check.clone().at(build::after(later))).await;
        assert_eq!(replayed(again), first);
    }
    // Also when the control state has moved on, and when the quota is used up since.
    scene.add_tool("other").await;
    for _ in 0..6 {
        scene.record(&scene.check().await.quota(5, Window::DAY)).await;
    }
    assert_eq!(replayed(ask(&scene, &check).await), first);
    assert_eq!(scene.counters().await[0].used, 5);
    assert_eq!(scene.log().await.len(), 7);
}

pub async fn a_repeated_deny_stays_a_deny(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1");
    let first = scene.record(&check.clone().denied(ReasonCode::PolicyDenied)).await;
    assert_eq!(replayed(ask(&scene, &check).await), first);
    let check = scene.check().await.call_id("call-2");
    let exceeded = scene.record(&check.clone().quota(0, Window::DAY)).await;
    assert_eq!(exceeded.code, ReasonCode::QuotaExceeded);
    assert_eq!(replayed(ask(&scene, &check.quota(9, Window::DAY)).await), exceeded);
}

pub async fn a_transient_deny_claims_nothing_and_disturbs_no_other_claim(store: Shared) {
    let scene = Scene::new(store).await;
    let check = async |call_id: &str| scene.check().await.call_id(call_id).quota(9, Window::DAY);
    let first = scene.record(&check("claimed").await).await;
    let second = scene.record(&check("limited-later").await).await;
    let limited = |check: build::Check| check.denied(ReasonCode::RateLimited);
    let pendings = vec![
        limited(check("new").await).pending(),
        check("claimed").await.pending(),
        limited(check("limited-later").await).pending(),
        check("unclaimed").await.pending(),
    ];
    let control = scene.control().await;
    let outcomes = scene.commit(build::batch(&control, pendings)).await;
    let [denied, again, still, last] = <[Outcome; 4]>::try_from(outcomes).unwrap();
    assert_eq!(recorded(denied).code, ReasonCode::RateLimited);
    assert_eq!(replayed(again), first);
    assert_eq!(replayed(still), second, "what was allowed before is returned again");
    let last = recorded(last);
    assert!(last.allow);
    assert_eq!(replayed(ask(&scene, &check("unclaimed").await).await), last);
    assert!(scene.record(&check("new").await).await.allow, "a transient deny is decided again");
    assert_eq!(scene.counters().await[0].used, 4);
}

pub async fn an_expired_claim_is_absent_to_a_transient_deny(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1");
    scene.record(&check).await;
    let later = check.at(build::after(DAY + 1)).denied(ReasonCode::RateLimited);
    let batch = later.batch();
    let expire = claims_expire_before(build::after(DAY + 1));
    let done = scene.store.commit_decisions(batch, expire).await.unwrap();
    let denied = recorded(done.into_committed().outcomes.pop().unwrap());
    assert_eq!(denied.code, ReasonCode::RateLimited);
}

pub async fn a_call_id_with_another_call_is_a_conflict(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1").arguments(json!({"q": 1})).agent("bot");
    let first = scene.record(&check).await;
    let others = [
        check.clone().arguments(json!({"q": 2})),
        check.clone().action("delete"),
        check.clone().purpose(Some("another")),
        check.clone().purpose(None),
        check.clone().usage(1),
        check.clone().context(json!({"n": 1})),
    ];
    for other in others {
        let outcome = ask(&scene, &other).await;
        assert!(matches!(outcome, Outcome::CallIdConflict), "{outcome:?}");
    }
    assert_eq!(scene.log().await.len(), 1);
    assert_eq!(replayed(ask(&scene, &check).await), first);
}

/// What a store does to the numbers of a context makes it no other context.
pub async fn a_context_is_part_of_the_call_however_its_numbers_are_stored(store: Shared) {
    let scene = Scene::new(store).await;
    let text = r#"{"a": [1e2, 1.50, -0.0, 1e30, 100, {"b": null}], "c": 0.1, "d": -7}"#;
    let context: Value = serde_json::from_str(text).unwrap();
    let check = scene.check().await.call_id("call-1").usage(3).context(context);
    let first = scene.record(&check).await;
    assert_eq!(replayed(ask(&scene, &check).await).id, first.id);
    let others = [
        check.clone().usage(4),
        check.clone().usage(0),
        check.clone().context(json!({"c": 0.1, "d": -7})),
        check.clone().context(json!({})),
    ];
    for other in others {
        let outcome = ask(&scene, &other).await;
        assert!(matches!(outcome, Outcome::CallIdConflict), "{outcome:?}");
    }
}

pub async fn call_ids_belong_to_principal_agent_and_tool(store: Shared) {
    let scene = Scene::new(store).await;
    scene.add_tool("other").await;
    let keys = [build::key(Role::Agent), build::key(Role::Agent)];
    for key in &keys {
        scene.store.create_key(key.clone()).await.unwrap();
    }
    let control = scene.control().await;
    for tool in ["search", "other"] {
        for key in &keys {
            let plain = build::check(&control, "acme", tool).call_id("call-1").principal(key);
            let agents = ["bot", "Bot", "bot2"].map(|agent| plain.clone().agent(agent));
            for check in agents.into_iter().chain([plain]) {
                let first = scene.record(&check).await;
                assert_eq!(replayed(ask(&scene, &check).await), first);
            }
        }
    }
    // What does not exist has no calls to repeat.
    let nowhere = build::check(&control, "acme", "nothing").call_id("call-1");
    assert_ne!(scene.record(&nowhere).await.id, scene.record(&nowhere).await.id);
    assert_eq!(scene.log().await.len(), 18);
}

pub async fn an_expired_claim_is_absent(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1").arguments(json!({"q": 1}));
    let first = scene.record(&check).await;
    let at = |seconds| {
        let (scene, check) = (&scene, check.clone().at(build::after(seconds)));
        async move {
            let expire = claims_expire_before(build::after(seconds));
            let done = scene.store.commit_decisions(check.batch(), expire).await.unwrap();
            done.into_committed().outcomes.pop().unwrap()
        }
    };
    // A claim made exactly at the limit still counts, and its permit has long expired.
    assert_eq!(recorded(at(DAY).await).code, ReasonCode::CallIdSpent);
    let second = recorded(at(DAY + 1).await);
    assert!(second.allow);
    assert_ne!(second.id, first.id);
    // The new decision has made the claim again.
    assert_eq!(replayed(at(DAY + 2).await), second);
    assert_eq!(recorded(at(2 * DAY + 1).await).code, ReasonCode::CallIdSpent);
}

/// An allow is returned again while its permit can be used, and no longer.
pub async fn an_allow_does_not_outlive_its_permit_by_being_repeated(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1").quota(5, Window::DAY);
    let first = scene.record(&check).await;
    assert_eq!(replayed(ask(&scene, &check.clone().at(build::after(59))).await), first);
    for late in [60, 3600] {
        let denied = scene.record(&check.clone().at(build::after(late))).await;
        assert_eq!((denied.allow, denied.code), (false, ReasonCode::CallIdSpent));
        assert!(denied.reason.contains("has expired"), "{}", denied.reason);
        assert_eq!(denied.call_id, None, "the claim is left alone");
    }
    // A clock that was set back does not make it good again.
    let early = scene.record(&check.clone().at(build::after(-3600))).await;
    assert_eq!(early.code, ReasonCode::CallIdSpent);
    let limited = check.clone().at(build::after(61)).denied(ReasonCode::RateLimited);
    assert_eq!(scene.record(&limited).await.code, ReasonCode::CallIdSpent);
    // Within its time, but used.
    let redeemed = scene.store.redeem_permit(check.redemption(first.id, ADMIN)).await.unwrap().0;
    assert_eq!(redeemed, Redeemed::Done);
    let denied = scene.record(&check.clone().at(build::after(1))).await;
    assert_eq!(denied.code, ReasonCode::CallIdSpent);
    assert!(denied.reason.contains("was used"), "{}", denied.reason);
    assert_eq!(scene.counters().await[0].used, 1);
}

/// A deny in place of an earlier allow may come of that allow's own count, so it is decided as the
/// repeat that it is before it counts.
pub async fn an_allow_is_not_repeated_once_policy_denies(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1").quota(5, Window::DAY);
    let first = scene.record(&check).await;
    for code in [ReasonCode::PolicyDenied, ReasonCode::QuotaExceeded, ReasonCode::PolicyError] {
        let denied = check.clone().denied(code);
        match ask(&scene, &denied).await {
            Outcome::Repeats(earlier) => assert_eq!(earlier, first),
            other => panic!("{other:?}"),
        }
        let denied = scene.record(&denied.repeating(first.id)).await;
        assert_eq!((denied.allow, denied.code, &denied.call_id), (false, code, &None));
        let allowed = check.clone().repeating(first.id);
        assert_eq!(replayed(ask(&scene, &allowed).await), first, "the claim was left alone");
    }
    // Policy that cannot be asked is not asked once more.
    let away = check.clone().denied(ReasonCode::PolicyUnavailable);
    assert_eq!(scene.record(&away).await.code, ReasonCode::PolicyUnavailable);
    assert_eq!(scene.counters().await[0].used, 1);
}

pub async fn an_allow_is_repeated_while_the_quota_has_its_place(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    let of = |limit, window| check.clone().quota(limit, window).call_id("call-1");
    scene.record(&check.clone().quota(9, Window::DAY)).await;
    let second = scene.record(&of(9, Window::DAY)).await;
    for limit in [2, 3, 9] {
        assert_eq!(replayed(ask(&scene, &of(limit, Window::Hours(24))).await), second);
    }
    for limit in [0, 1] {
        let denied = scene.record(&of(limit, Window::DAY)).await;
        assert_eq!((denied.allow, denied.code), (false, ReasonCode::QuotaExceeded));
    }
    // What is counted in another window has no place there.
    assert_eq!(replayed(ask(&scene, &of(1, Window::Minutes(5))).await), second);
    assert_eq!(scene.counters().await.len(), 1);
    assert_eq!(scene.counters().await[0].used, 2);
}

pub async fn expired_claims_are_deleted(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    let control = scene.control().await;
    for part in 0..5_i64 {
        let pendings = (0..1000).map(|index| {
            let call_id = format!("call-{part}-{index}");
            check.clone().call_id(&call_id).at(build::after(part)).pending()
        });
        scene.commit(build::batch(&control, pendings.collect())).await;
    }
    assert_eq!(scene.store.expire_claims(build::NOW).await.unwrap(), 0);
    assert_eq!(scene.store.expire_claims(build::after(4)).await.unwrap(), 4000);
    assert_eq!(scene.store.expire_claims(build::after(4)).await.unwrap(), 0);
    let gone = check.clone().call_id("call-3-0").at(build::after(3));
    assert!(matches!(ask(&scene, &gone).await, Outcome::Recorded(_)));
    let kept = check.call_id("call-4-0").at(build::after(4));
    assert!(matches!(ask(&scene, &kept).await, Outcome::Replayed(_)));
}

pub async fn an_allow_does_not_outlive_a_kill_by_being_repeated(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1").quota(5, Window::DAY);
    let first = scene.record(&check).await;
    let scope = build::scope_of(&scene.tool);
    scene.store.kill(build::kill(scope.clone())).await.unwrap();
    // Decided before the kill, and after it.
    let fresh = build::check(&scene.control().await, "acme", "search").call_id("call-1");
    for check in [&check, &fresh] {
        let denied = scene.record(check).await;
        assert_eq!(denied.code, ReasonCode::Killed);
        assert_ne!(denied.id, first.id);
    }
    scene.store.restore(build::restore(scope, build::after(1))).await.unwrap();
    assert_eq!(replayed(ask(&scene, &check).await), first, "the claim was left alone");
    assert_eq!(scene.counters().await[0].used, 1);
}

pub async fn an_allow_does_not_outlive_a_kill_by_a_repeat_that_was_denied_before_it(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1");
    let first = scene.record(&check).await;
    let scope = build::scope_of(&scene.tool);
    let tenant_wide = KillScope::Tenant(scene.tenant.id);
    for (place, scope) in (1..).zip([scope, tenant_wide]) {
        scene.store.kill(build::kill(scope.clone())).await.unwrap();
        for code in [ReasonCode::RateLimited, ReasonCode::QuotaExceeded, ReasonCode::PolicyDenied] {
            // Decided on the state before the kill, and committed after it.
            let denied = scene.record(&check.clone().denied(code)).await;
            assert_eq!((denied.allow, denied.code), (false, ReasonCode::Killed));
            assert_ne!(denied.id, first.id);
        }
        scene.store.restore(build::restore(scope, build::after(place))).await.unwrap();
    }
    assert_eq!(replayed(ask(&scene, &check).await), first, "the claim was left alone");
}

pub async fn an_allow_does_not_outlive_its_key_by_being_repeated(store: Shared) {
    let scene = Scene::new(store).await;
    let key = build::key(Role::Agent);
    scene.store.create_key(key.clone()).await.unwrap();
    let check = scene.check().await.call_id("call-1").principal(&key);
    assert!(scene.record(&check).await.allow);
    scene.store.revoke_key(key.id, build::after(1)).await.unwrap();
    // Decided while the key stood: to be decided again.
    let limited = check.clone().denied(ReasonCode::RateLimited);
    for stale in [check, limited] {
        let outcome = ask(&scene, &stale).await;
        assert!(matches!(outcome, Outcome::Superseded), "{outcome:?}");
    }
    let again = scene.check().await.call_id("call-1").principal(&key);
    assert_eq!(scene.record(&again).await.code, ReasonCode::KeyRevoked);
}

pub async fn concurrent_batches_agree_on_one_decision(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    let check = scene.check().await.call_id("call-1").quota(100, Window::DAY);
    let shared = Arc::clone(&scene);
    let outcomes = at_once(32, move |_| {
        let (scene, check) = (Arc::clone(&shared), check.clone());
        async move { ask(&scene, &check).await }
    })
    .await;
    let (mut recorded, mut ids) = (0, Vec::new());
    for outcome in outcomes {
        recorded += usize::from(matches!(outcome, Outcome::Recorded(_)));
        match outcome {
            Outcome::Recorded(record) | Outcome::Replayed(record) => ids.push(record.id),
            other => panic!("{other:?}"),
        }
    }
    ids.dedup();
    assert_eq!((recorded, ids.len()), (1, 1));
    assert_eq!(scene.counters().await[0].used, 1);
}

pub async fn a_superseded_call_claims_nothing(store: Shared) {
    let scene = Scene::new(store).await;
    let stale = scene.check().await.call_id("call-1");
    scene.store.update_tool(scene.tool.id, build::change(), build::after(1)).await.unwrap();
    assert!(matches!(ask(&scene, &stale).await, Outcome::Superseded));
    let again = scene.check().await.call_id("call-1");
    assert!(matches!(ask(&scene, &again).await, Outcome::Recorded(_)));
}

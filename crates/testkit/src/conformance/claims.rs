//! Call ids: one decision for one call, however often it is asked for.

use std::sync::Arc;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::commit::{Outcome, claims_expire_before};
use sentinel_core::decision::ReasonCode;
use sentinel_core::kill::KillScope;
use sentinel_core::principal::Role;
use sentinel_core::quota::Window;
use serde_json::json;

use super::{Scene, Shared, at_once, recorded};
use crate::build;

const DAY: i64 = 86_400;

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
    assert_eq!(replayed(still), second, "what was allowed before is answered again");
    let last = recorded(last);
    assert!(last.allow);
    assert_eq!(replayed(ask(&scene, &check("unclaimed").await).await), last);
    assert!(scene.record(&check("new").await).await.allow, "a transient deny is decided anew");
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
        check.clone().agent("bot2"),
    ];
    for other in others {
        let outcome = ask(&scene, &other).await;
        assert!(matches!(outcome, Outcome::CallIdConflict), "{outcome:?}");
    }
    assert_eq!(scene.log().await.len(), 1);
    assert_eq!(replayed(ask(&scene, &check).await), first);
}

pub async fn call_ids_belong_to_principal_and_tool(store: Shared) {
    let scene = Scene::new(store).await;
    scene.add_tool("other").await;
    let keys = [build::key(Role::Agent), build::key(Role::Agent)];
    for key in &keys {
        scene.store.create_key(key.clone()).await.unwrap();
    }
    let control = scene.control().await;
    for tool in ["search", "other"] {
        for key in &keys {
            let check = build::check(&control, "acme", tool).call_id("call-1").principal(key);
            let first = scene.record(&check).await;
            assert_eq!(replayed(ask(&scene, &check).await), first);
        }
    }
    // What does not exist has no calls to repeat.
    let nowhere = build::check(&control, "acme", "nothing").call_id("call-1");
    assert_ne!(scene.record(&nowhere).await.id, scene.record(&nowhere).await.id);
    assert_eq!(scene.log().await.len(), 6);
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
    // A claim made exactly at the limit still counts.
    assert_eq!(replayed(at(DAY).await), first);
    let Outcome::Recorded(second) = at(DAY + 1).await else { panic!("the claim has expired") };
    assert_ne!(second.id, first.id);
    // The new decision has made the claim anew.
    assert_eq!(replayed(at(DAY + 2).await), second);
    assert_eq!(replayed(at(2 * DAY + 1).await), second);
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
    let actor = "me".to_owned();
    scene.store.restore(scope, actor, build::after(1)).await.unwrap();
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
        scene.store.restore(scope, "me".to_owned(), build::after(place)).await.unwrap();
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

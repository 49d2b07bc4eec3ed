//! Permits: redeemed once, and only while the call that they are for would be allowed.

use std::num::NonZeroU32;
use std::sync::Arc;

use sentinel_core::decision::ReasonCode;
use sentinel_core::id::DecisionId;
use sentinel_core::kill::KillScope;
use sentinel_core::permit::Redeemed;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::quota::Window;
use uuid::Uuid;

use super::{Scene, Shared, at_once, epoch};
use crate::build;

const ADMIN: Principal = Principal::LOCAL;

async fn redeem(scene: &Scene, check: &build::Check, id: DecisionId) -> Redeemed {
    scene.store.redeem_permit(check.redemption(id, ADMIN)).await.unwrap().0
}

fn denied(redeemed: Redeemed) -> ReasonCode {
    match redeemed {
        Redeemed::Denied { code, .. } => code,
        other => panic!("not denied: {other:?}"),
    }
}

pub async fn a_permit_is_redeemed_once(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    let check = scene.check().await;
    for _ in 0..3 {
        let id = scene.record(&check).await.id;
        let (shared, copy) = (Arc::clone(&scene), check.clone());
        let redeemed = at_once(32, move |_| {
            let (scene, check) = (Arc::clone(&shared), copy.clone());
            async move { redeem(&scene, &check, id).await }
        })
        .await;
        let done = redeemed.iter().filter(|redeemed| **redeemed == Redeemed::Done).count();
        let used = redeemed.iter().filter(|redeemed| **redeemed == Redeemed::Used).count();
        assert_eq!((done, used), (1, 31));
        let later = check.clone().at(build::after(1));
        assert_eq!(redeem(&scene, &later, id).await, Redeemed::Used);
    }
}

/// A call that goes on after its client was asked: each time once, beside its permit.
pub async fn each_round_of_a_call_is_used_once(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    let check = scene.check().await;
    let (id, other) = (scene.record(&check).await.id, scene.record(&check).await.id);
    for (id, round) in [(id, 1), (id, 2), (other, 1)] {
        let round = NonZeroU32::new(round).unwrap();
        let (shared, copy) = (Arc::clone(&scene), check.clone());
        let used = at_once(32, move |_| {
            let (scene, check) = (Arc::clone(&shared), copy.clone());
            let redemption = check.redemption(id, ADMIN).of_round(round);
            async move { scene.store.redeem_permit(redemption).await.unwrap().0 }
        })
        .await;
        let done = used.iter().filter(|used| **used == Redeemed::Done).count();
        assert_eq!(done, 1, "{round} of {id:?}");
    }
    assert_eq!(redeem(&scene, &check, id).await, Redeemed::Done, "the permit itself is unused");
    let unknown = check.redemption(DecisionId(Uuid::now_v7()), ADMIN).of_round(NonZeroU32::MIN);
    assert_eq!(scene.store.redeem_permit(unknown).await.unwrap().0, Redeemed::Used);
}

pub async fn only_a_recorded_allow_has_a_permit(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    let denied = scene.record(&check.clone().denied(ReasonCode::PolicyDenied)).await.id;
    for id in [denied, DecisionId(Uuid::now_v7())] {
        assert_eq!(redeem(&scene, &check, id).await, Redeemed::Used);
    }
}

/// Each was decided again on the state before the change, and redeemed after it.
pub async fn a_kill_keeps_a_permit_from_being_redeemed(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.agent("bot");
    let id = scene.record(&check).await.id;
    let scopes = [
        KillScope::Global,
        KillScope::Tenant(scene.tenant.id),
        build::scope_of(&scene.tool),
        KillScope::Agent(build::name("bot")),
    ];
    for (place, scope) in (1..).zip(scopes) {
        scene.store.kill(build::kill(scope.clone())).await.unwrap();
        assert_eq!(denied(redeem(&scene, &check, id).await), ReasonCode::Killed, "{scope:?}");
        scene.store.restore(build::restore(scope, build::after(place))).await.unwrap();
    }
    // What was refused is not used up, and a kill of something else is none.
    scene.store.kill(build::kill(KillScope::Agent(build::name("other")))).await.unwrap();
    assert_eq!(redeem(&scene, &check, id).await, Redeemed::Done);
}

pub async fn what_changed_supersedes_a_redemption(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    let id = scene.record(&check).await.id;
    scene.store.update_tool(scene.tool.id, build::change(), build::after(1)).await.unwrap();
    assert_eq!(redeem(&scene, &check, id).await, Redeemed::Superseded);
    let mut retire = build::change();
    retire.retire = true;
    scene.store.update_tool(scene.tool.id, retire, build::after(2)).await.unwrap();
    assert_eq!(redeem(&scene, &check, id).await, Redeemed::Superseded);
    // Decided again, it is denied before it gets here; a deny is not redeemed either.
    let again = scene.check().await;
    assert_eq!(denied(redeem(&scene, &again, id).await), ReasonCode::ToolRetired);
}

pub async fn a_revoked_key_redeems_nothing_and_has_nothing_redeemed(store: Shared) {
    let scene = Scene::new(store).await;
    let keys = [build::key(Role::Agent), build::key(Role::Agent)];
    for key in &keys {
        scene.store.create_key(key.clone()).await.unwrap();
    }
    let [owner, gateway] = keys;
    let check = scene.check().await.principal(&owner);
    let (first, second) = (scene.record(&check).await.id, scene.record(&check).await.id);
    let by = |id| check.redemption(id, Principal::of_key(Arc::new(gateway.clone())));
    assert_eq!(scene.store.redeem_permit(by(first)).await.unwrap().0, Redeemed::Done);
    scene.store.revoke_key(gateway.id, build::after(1)).await.unwrap();
    let (redeemed, control) = scene.store.redeem_permit(by(second)).await.unwrap();
    assert_eq!(denied(redeemed), ReasonCode::KeyRevoked);
    assert_eq!(control.epoch(), epoch(&scene.store).await, "it tells what holds");
    scene.store.revoke_key(owner.id, build::after(2)).await.unwrap();
    assert_eq!(redeem(&scene, &check, second).await, Redeemed::Superseded);
}

pub async fn a_redemption_from_the_future_is_refused(store: Shared) {
    let scene = Scene::new(store).await;
    let id = scene.record(&scene.check().await).await.id;
    let mut changes = scene.store.control_changes(Default::default()).await.unwrap();
    changes.epoch.0 += 5;
    let future = Arc::new(sentinel_core::control::ControlState::default().after(changes));
    let check = build::check(&future, "acme", "search");
    scene.store.redeem_permit(check.redemption(id, ADMIN)).await.unwrap_err();
    assert_eq!(redeem(&scene, &scene.check().await, id).await, Redeemed::Done);
}

/// Neither before nor at the same time: what a kill covers is not redeemed once it has returned.
pub async fn nothing_is_redeemed_after_a_kill_returned(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    let check = scene.check().await.quota(1000, Window::DAY);
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(scene.record(&check).await.id);
    }
    let killed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (shared, told) = (Arc::clone(&scene), Arc::clone(&killed));
    let results = at_once(65, move |place| {
        let (scene, check, killed) = (Arc::clone(&shared), check.clone(), Arc::clone(&told));
        let id = ids.get(place).copied();
        async move {
            let Some(id) = id else {
                scene.store.kill(build::kill(KillScope::Global)).await.unwrap();
                killed.store(true, std::sync::atomic::Ordering::SeqCst);
                return true;
            };
            let after = killed.load(std::sync::atomic::Ordering::SeqCst);
            let redeemed = redeem(&scene, &check, id).await;
            !after || redeemed != Redeemed::Done
        }
    })
    .await;
    assert!(results.into_iter().all(|held| held));
    let late = scene.check().await;
    assert_eq!(denied(redeem(&scene, &late, DecisionId(Uuid::now_v7())).await), ReasonCode::Killed);
}

//! Kills: in force, restored, and against decisions that are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sentinel_core::commit::claims_expire_before;
use sentinel_core::decision::ReasonCode;
use sentinel_core::kill::KillScope;
use sentinel_core::page::Page;
use sentinel_core::ports::Restored;
use sentinel_core::quota::Window;

use super::{Scene, Shared, commit, epoch, recorded};
use crate::build;

/// One scope of each kind, all covering a call of `search` by agent `bot`.
fn scopes(scene: &Scene) -> [KillScope; 5] {
    let tenant_id = scene.tenant.id;
    [
        KillScope::Global,
        KillScope::Tenant(tenant_id),
        KillScope::Agent(build::name("bot")),
        KillScope::TenantAgent { tenant_id, agent: build::name("bot") },
        build::scope_of(&scene.tool),
    ]
}

/// Those, and one of each other kind, which cover it too.
fn every_scope(scene: &Scene) -> Vec<KillScope> {
    let tenant_id = Some(scene.tenant.id);
    let mut all = scopes(scene).to_vec();
    for tenant_id in [None, tenant_id] {
        let (principal, scope) = (build::name("LOCAL:no-auth"), build::name("Read"));
        all.push(KillScope::Principal { tenant_id, principal });
        all.push(KillScope::ToolScope { tenant_id, scope });
    }
    all
}

pub(super) async fn restore(scene: &Scene, scope: &KillScope) -> Restored {
    scene.store.restore(build::restore(scope.clone(), build::after(60))).await.unwrap()
}

pub async fn a_kill_is_stored_under_its_epoch(store: Shared) {
    let scene = Scene::new(store).await;
    let mut expected = Vec::new();
    for scope in scopes(&scene) {
        let mut kill = build::kill(scope);
        kill.epoch = scene.store.kill(kill.clone()).await.unwrap();
        expected.insert(0, kill);
    }
    let listed = scene.store.kills(None, false, Page::first(10)).await.unwrap().items;
    assert_eq!(listed, expected);
    let control = scene.control().await;
    assert_eq!(control.kills().in_force().count(), 5);
}

pub async fn kills_are_listed_by_tenant_and_force(store: Shared) {
    let scene = Scene::new(store).await;
    for scope in scopes(&scene) {
        scene.store.kill(build::kill(scope.clone())).await.unwrap();
        restore(&scene, &scope).await;
    }
    scene.store.kill(build::kill(build::scope_of(&scene.tool))).await.unwrap();
    let stranger = build::tenant("stranger");
    scene.store.create_tenant(stranger.clone()).await.unwrap();
    scene.store.kill(build::kill(KillScope::Tenant(stranger.id))).await.unwrap();
    let tenant = Some(scene.tenant.id);
    for (tenant, in_force, count) in
        [(None, false, 7), (None, true, 2), (tenant, false, 6), (tenant, true, 1)]
    {
        let mut page = Page::first(2);
        let mut found = Vec::new();
        loop {
            let paged = scene.store.kills(tenant, in_force, page.clone()).await.unwrap();
            found.extend(paged.items);
            let Some(cursor) = paged.next_cursor else { break };
            page.cursor = Some(cursor);
        }
        assert_eq!(found.len(), count);
        assert!(found.windows(2).all(|pair| pair[0].epoch > pair[1].epoch), "newest first");
        assert!(found.iter().all(|kill| !in_force || kill.restored_at.is_none()));
        let strange = found.iter().any(|kill| kill.scope.tenant_id() == Some(stranger.id));
        assert_eq!(strange, tenant.is_none(), "kills of other tenants are left out");
    }
}

pub async fn restoring_ends_every_kill_of_exactly_that_scope(store: Shared) {
    let scene = Scene::new(store).await;
    let other = scene.add_tool("other").await;
    let scope = build::scope_of(&scene.tool);
    let (first, second) = (build::kill(scope.clone()), build::kill(scope.clone()));
    let beside = build::kill(build::scope_of(&other));
    let agent = build::kill(KillScope::Agent(build::name("bot")));
    for kill in [&first, &second, &beside, &agent] {
        scene.store.kill(kill.clone()).await.unwrap();
    }
    let before = epoch(&scene.store).await;
    let Restored::Done { kills, epoch: after } = restore(&scene, &scope).await else {
        panic!("nothing wider is in force");
    };
    assert_eq!(after.0, before.0 + 1);
    assert_eq!(kills.iter().map(|kill| kill.id).collect::<Vec<_>>(), [first.id, second.id]);
    for kill in kills {
        assert_eq!(kill.restored_at, Some(build::after(60)));
        assert_eq!(kill.restored_by.as_deref(), Some("key:restorer"));
        assert!(kill.epoch < after);
    }
    let left = scene.store.kills(None, true, Page::first(10)).await.unwrap().items;
    assert_eq!(left.iter().map(|kill| kill.id).collect::<Vec<_>>(), [agent.id, beside.id]);
}

pub async fn restoring_nothing_changes_nothing(store: Shared) {
    let scene = Scene::new(store).await;
    let scope = build::scope_of(&scene.tool);
    for killed_before in [false, true] {
        if killed_before {
            scene.store.kill(build::kill(scope.clone())).await.unwrap();
            restore(&scene, &scope).await;
        }
        let before = epoch(&scene.store).await;
        let Restored::Done { kills, epoch: after } = restore(&scene, &scope).await else {
            panic!("nothing is in force");
        };
        assert!(kills.is_empty());
        assert_eq!(after, before);
        assert_eq!(epoch(&scene.store).await, before);
    }
}

pub async fn restoring_is_refused_under_a_wider_kill(store: Shared) {
    let scene = Scene::new(store).await;
    for scope in scopes(&scene) {
        for wider in scope.wider(Some(&scene.tool)) {
            let narrow = build::kill(scope.clone());
            let wide = build::kill(wider.clone());
            scene.store.kill(narrow.clone()).await.unwrap();
            scene.store.kill(wide.clone()).await.unwrap();
            let before = epoch(&scene.store).await;
            let Restored::StillCovered(named) = restore(&scene, &scope).await else {
                panic!("{scope:?} was restored under {wider:?}");
            };
            assert_eq!(named.id, wide.id);
            assert_eq!(epoch(&scene.store).await, before);
            let kills = scene.store.kills(None, true, Page::first(10)).await.unwrap().items;
            assert_eq!(kills.len(), 2, "nothing ended");
            // Once the wider one has ended, the narrow one can.
            for scope in [&wider, &scope] {
                assert!(matches!(restore(&scene, scope).await, Restored::Done { .. }));
            }
        }
    }
}

pub async fn a_kill_between_snapshot_and_commit_denies(store: Shared) {
    let scene = Scene::new(store).await;
    for scope in every_scope(&scene) {
        let stale = scene.check().await.agent("bot").quota(1000, Window::DAY);
        let kill = build::kill(scope.clone());
        scene.store.kill(kill.clone()).await.unwrap();
        let committed = commit(&scene.store, stale.batch()).await;
        assert_eq!(committed.control.epoch(), epoch(&scene.store).await);
        let record = recorded(committed.outcomes.into_iter().next().unwrap());
        assert!(!record.allow);
        assert_eq!(record.code, ReasonCode::Killed);
        assert!(record.reason.contains("incident 4711"), "{}", record.reason);
        assert_eq!(record.quota_remaining, None);
        assert_eq!(scene.store.decision(record.id).await.unwrap().as_ref(), Some(&*record));
        restore(&scene, &scope).await;
    }
    assert!(scene.counters().await.iter().all(|counter| counter.used == 0), "none was counted");
}

pub async fn a_kill_covers_tools_that_were_registered_later(store: Shared) {
    let scene = Scene::new(store).await;
    scene.store.kill(build::kill(KillScope::Tenant(scene.tenant.id))).await.unwrap();
    scene.add_tool("later").await;
    let check = build::check(&scene.control().await, "acme", "later");
    assert_eq!(scene.record(&check).await.code, ReasonCode::Killed);
}

pub async fn a_kill_elsewhere_lets_the_call_pass(store: Shared) {
    let scene = Scene::new(store).await;
    let stale = scene.check().await.agent("bot");
    let other = build::tenant("other");
    let tool = build::tool(&other, "search");
    let other = scene.store.register_tool(other, tool).await.unwrap();
    let elsewhere = [
        KillScope::Tenant(other.tenant.id),
        build::scope_of(&other.tool),
        KillScope::Agent(build::name("bot2")),
        KillScope::TenantAgent { tenant_id: other.tenant.id, agent: build::name("bot") },
    ];
    for scope in elsewhere {
        scene.store.kill(build::kill(scope)).await.unwrap();
        assert!(scene.record(&stale).await.allow);
    }
}

pub async fn a_restored_call_is_allowed_again(store: Shared) {
    let scene = Scene::new(store).await;
    let stale = scene.check().await;
    let scope = build::scope_of(&scene.tool);
    scene.store.kill(build::kill(scope.clone())).await.unwrap();
    assert!(!scene.record(&stale).await.allow);
    restore(&scene, &scope).await;
    assert!(scene.record(&stale).await.allow);
}

/// Eight committers that never look at the control state again, against one that kills and
/// restores: what is begun after the kill returned is never allowed.
pub async fn nothing_is_allowed_after_a_kill_returned(store: Shared) {
    const ROUNDS: usize = 20;
    let scene = Arc::new(Scene::new(store).await);
    let check = scene.check().await.agent("bot");
    // The number of the round whose kill is in force; 0 while none is.
    let (killed, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut committers = Vec::new();
    for _ in 0..8 {
        let (scene, check) = (Arc::clone(&scene), check.clone());
        let (killed, over) = (Arc::clone(&killed), Arc::clone(&over));
        committers.push(tokio::spawn(async move {
            let mut allows = 0_usize;
            while !over.load(Ordering::SeqCst) {
                let before = killed.load(Ordering::SeqCst);
                let expire = claims_expire_before(build::NOW);
                let done = scene.store.commit_decisions(check.batch(), expire).await.unwrap();
                let record = recorded(done.into_committed().outcomes.pop().unwrap());
                // Killed before it was sent and still killed, by the same, after the result was
                // there.
                let after = killed.load(Ordering::SeqCst);
                let covered = before != 0 && before == after;
                assert!(!(covered && record.allow), "allowed after the kill returned");
                allows += usize::from(record.allow);
            }
            allows
        }));
    }
    for round in 1..=ROUNDS {
        let scope = every_scope(&scene)[round % 9].clone();
        scene.store.kill(build::kill(scope.clone())).await.unwrap();
        killed.store(round, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(8)).await;
        killed.store(0, Ordering::SeqCst);
        restore(&scene, &scope).await;
        tokio::time::sleep(std::time::Duration::from_millis(4)).await;
    }
    over.store(true, Ordering::SeqCst);
    let mut allows = 0;
    for committer in committers {
        allows += committer.await.unwrap();
    }
    assert!(allows > 0, "something was allowed in between");
}

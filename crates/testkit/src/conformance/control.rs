//! Control state: epochs, changes, snapshots.

use sentinel_core::epoch::Epoch;
use sentinel_core::kill::KillScope;
use sentinel_core::ports::Restored;
use sentinel_core::principal::Role;

use super::{Scene, Shared, epoch};
use crate::build;

pub async fn a_new_store_is_at_epoch_zero(store: Shared) {
    let changes = store.control_changes(Epoch::default()).await.unwrap();
    assert_eq!(changes.epoch, Epoch(0));
    assert!(changes.tenants.is_empty() && changes.tools.is_empty());
    assert!(changes.keys.is_empty() && changes.kills.is_empty());
}

pub async fn every_change_of_control_state_begins_one_epoch(store: Shared) {
    let tenant = build::tenant("acme");
    assert_eq!(store.create_tenant(tenant.clone()).await.unwrap(), Epoch(1));
    let tool = build::tool(&tenant, "search");
    let registered = store.register_tool(tenant.clone(), tool.clone()).await.unwrap();
    assert_eq!(registered.epoch, Epoch(2));
    // A registration that creates its tenant is one change.
    let other = build::tenant("other");
    let registered = store.register_tool(other.clone(), build::tool(&other, "x")).await.unwrap();
    assert_eq!(registered.epoch, Epoch(3));
    let updated = store.update_tool(tool.id, build::change(), build::NOW).await.unwrap().unwrap();
    assert_eq!(updated.1, Epoch(4));
    let key = build::key(Role::Agent);
    assert_eq!(store.create_key(key.clone()).await.unwrap(), Epoch(5));
    assert_eq!(store.revoke_key(key.id, build::NOW).await.unwrap().unwrap().1, Epoch(6));
    let scope = KillScope::Tenant(tenant.id);
    assert_eq!(store.kill(build::kill(scope.clone())).await.unwrap(), Epoch(7));
    let restored = store.restore(build::restore(scope, build::NOW)).await.unwrap();
    let Restored::Done { epoch: restored, .. } = restored else { panic!("{restored:?}") };
    assert_eq!(restored, Epoch(8));
    assert_eq!(epoch(&store).await, Epoch(8));
}

pub async fn changes_since_an_epoch_are_what_changed_after_it(store: Shared) {
    let scene = Scene::new(Shared::clone(&store)).await;
    let later = scene.add_tool("later").await;
    let since = epoch(&store).await;
    let none = store.control_changes(since).await.unwrap();
    assert_eq!(none.epoch, since);
    assert!(none.tenants.is_empty() && none.tools.is_empty() && none.kills.is_empty());

    let key = build::key(Role::Agent);
    store.create_key(key.clone()).await.unwrap();
    store.update_tool(scene.tool.id, build::change(), build::after(1)).await.unwrap();
    let kill = build::kill(KillScope::Global);
    let killed = store.kill(kill.clone()).await.unwrap();
    let changes = store.control_changes(since).await.unwrap();
    assert_eq!(changes.epoch, killed);
    assert!(changes.tenants.is_empty());
    assert_eq!(changes.tools.iter().map(|tool| tool.id).collect::<Vec<_>>(), [scene.tool.id]);
    assert_eq!(changes.keys, [key]);
    assert_eq!(changes.kills.iter().map(|kill| kill.id).collect::<Vec<_>>(), [kill.id]);

    let all = store.control_changes(Epoch(1)).await.unwrap();
    assert!(all.tools.iter().any(|tool| tool.id == later.id));
    // Nothing comes after an epoch that is not there yet.
    let future = store.control_changes(Epoch(1_000)).await.unwrap();
    assert!(future.tools.is_empty() && future.epoch == killed);
}

pub async fn changes_from_the_beginning_leave_out_what_is_over(store: Shared) {
    let scene = Scene::new(Shared::clone(&store)).await;
    let (kept, revoked) = (build::key(Role::Agent), build::key(Role::Admin));
    store.create_key(kept.clone()).await.unwrap();
    store.create_key(revoked.clone()).await.unwrap();
    store.revoke_key(revoked.id, build::NOW).await.unwrap();
    let (ended, running) = (KillScope::Agent(build::name("bot")), build::scope_of(&scene.tool));
    store.kill(build::kill(ended.clone())).await.unwrap();
    let kill = build::kill(running);
    store.kill(kill.clone()).await.unwrap();
    store.restore(build::restore(ended, build::NOW)).await.unwrap();
    // A retired tool is not over: it must go on denying as such.
    let mut retire = build::change();
    retire.retire = true;
    store.update_tool(scene.tool.id, retire, build::NOW).await.unwrap();

    let changes = store.control_changes(Epoch::default()).await.unwrap();
    assert_eq!(changes.tenants, [scene.tenant]);
    assert_eq!(changes.tools.len(), 1);
    assert!(changes.tools[0].retired_at.is_some());
    assert_eq!(changes.keys, [kept]);
    assert_eq!(changes.kills.iter().map(|kill| kill.id).collect::<Vec<_>>(), [kill.id]);
}

pub async fn what_is_over_is_in_the_changes_for_those_who_knew_it(store: Shared) {
    let key = build::key(Role::Agent);
    store.create_key(key.clone()).await.unwrap();
    let kill = build::kill(KillScope::Global);
    let killed = store.kill(kill.clone()).await.unwrap();
    store.revoke_key(key.id, build::after(1)).await.unwrap();
    let restored = store.restore(build::restore(KillScope::Global, build::after(2))).await;
    let Restored::Done { epoch, .. } = restored.unwrap() else { panic!("not restored") };

    let changes = store.control_changes(killed).await.unwrap();
    assert_eq!(changes.epoch, epoch);
    assert_eq!(changes.keys[0].revoked_at, Some(build::after(1)));
    assert_eq!(changes.kills.len(), 1);
    assert_eq!(changes.kills[0].restored_at, Some(build::after(2)));
    assert_eq!(changes.kills[0].restored_by.as_deref(), Some("key:restorer"));
    assert_eq!(changes.kills[0].epoch, killed);
    assert!(store.control_changes(epoch).await.unwrap().kills.is_empty());
}

pub async fn changes_are_one_consistent_snapshot(store: Shared) {
    const TOOLS: usize = 60;
    let writer = Shared::clone(&store);
    let writing = tokio::spawn(async move {
        for index in 0..TOOLS {
            let tenant = build::tenant(&format!("tenant-{index}"));
            let tool = build::tool(&tenant, "search");
            writer.register_tool(tenant, tool).await.unwrap();
        }
    });
    loop {
        let changes = store.control_changes(Epoch::default()).await.unwrap();
        let count = usize::try_from(changes.epoch.0).unwrap();
        assert_eq!((changes.tenants.len(), changes.tools.len()), (count, count));
        if count == TOOLS {
            break;
        }
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

pub async fn a_change_is_seen_by_every_later_read(store: Shared) {
    for _ in 0..50 {
        let kill = build::kill(KillScope::Global);
        let killed = store.kill(kill.clone()).await.unwrap();
        let changes = store.control_changes(Epoch::default()).await.unwrap();
        assert_eq!(changes.epoch, killed);
        assert!(changes.kills.iter().any(|known| known.id == kill.id));
    }
}

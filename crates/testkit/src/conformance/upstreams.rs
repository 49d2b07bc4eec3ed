//! Upstreams, and what their tools are pinned to.

use std::sync::Arc;

use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::page::Page;
use sentinel_core::pin::{DefinitionDigest, Pin, Quarantine, QuarantineCause};
use sentinel_core::ports::{PinChange, PinChanged};
use sentinel_core::store::{Conflict, StoreError};
use sentinel_core::tool::Tool;
use serde_json::json;

use super::{Scene, Shared, at_once, control, epoch};
use crate::build;

/// A tool of `acme` with the pin of a first offer.
fn pinned(scene: &Scene, name: &str, digest: u8, waits: bool) -> Tool {
    let pin = Pin::first(build::upstream_id(), DefinitionDigest([digest; 32]), waits, build::NOW);
    Tool { pin: Some(pin), ..build::tool(&scene.tenant, name) }
}

fn definition(text: &str) -> Arc<serde_json::Map<String, serde_json::Value>> {
    Arc::new(build::object(json!({"name": "read", "description": text})))
}

async fn with_upstream(store: Shared) -> Scene {
    let scene = Scene::new(store).await;
    let upstream = build::upstream(&scene.tenant, "fs");
    let doors = build::doors(&scene.tenant, &upstream);
    scene.store.add_upstream(upstream, doors).await.unwrap();
    scene
}

async fn register(scene: &Scene, tool: &Tool, text: &str) {
    let change = PinChange::Register { tool: tool.clone(), definition: definition(text) };
    let (changed, _) = scene.store.change_pins(vec![change], build::NOW).await.unwrap();
    assert_eq!(changed, [PinChanged::Done]);
}

fn drifted(pin: Pin, digest: u8) -> Pin {
    pin.after_offer(pin.upstream, DefinitionDigest([digest; 32]), build::after(1))
}

fn moved(tool: &Tool, before: Option<Pin>, after: Pin) -> PinChange {
    let definition = Some((after.definitions().last().unwrap(), definition("other")));
    PinChange::Move { tool: tool.id, before, after, metadata: None, definition }
}

pub async fn an_upstream_comes_back_as_stored(store: Shared) {
    let scene = Scene::new(store).await;
    let before = epoch(&scene.store).await;
    let upstream = build::upstream(&scene.tenant, "fs");
    let doors = build::doors(&scene.tenant, &upstream);
    let added = scene.store.add_upstream(upstream.clone(), doors.clone()).await.unwrap();
    assert_eq!(added, Epoch(before.0 + 1));
    let known = scene.control().await;
    assert_eq!(**known.upstream(scene.tenant.id, &upstream.name).unwrap(), upstream);
    assert_eq!(**known.upstream_by_id(upstream.id).unwrap(), upstream);
    for door in &doors {
        assert_eq!(known.tool(scene.tenant.id, &door.name).unwrap().pin, door.pin);
    }
    let listed = scene.store.upstreams(Some(scene.tenant.id), Page::first(10)).await.unwrap();
    assert_eq!(listed.items, std::slice::from_ref(&upstream));
    let changes = scene.store.control_changes(before).await.unwrap();
    assert_eq!((changes.upstreams, changes.tools.len()), (vec![upstream], doors.len()));
}

pub async fn an_upstream_name_is_taken_once(store: Shared) {
    let scene = Scene::new(store).await;
    let (tenant, shared) = (scene.tenant.clone(), Shared::clone(&scene.store));
    let results = at_once(8, move |_| {
        let (store, tenant) = (Shared::clone(&shared), tenant.clone());
        async move {
            let upstream = build::upstream(&tenant, "fs");
            let doors = build::doors(&tenant, &upstream);
            store.add_upstream(upstream, doors).await
        }
    })
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        let conflict = Conflict::UpstreamExists(build::name("fs"));
        assert_eq!(refused, StoreError::Conflict(conflict));
    }
    // A name that reads like it is refused by its doors, and leaves nothing behind.
    let before = epoch(&scene.store).await;
    let alike = build::upstream(&scene.tenant, "f5-1");
    let doors = build::doors(&scene.tenant, &alike);
    scene.store.add_upstream(alike, doors).await.unwrap();
    let alike = build::upstream(&scene.tenant, "f5-l");
    let doors = build::doors(&scene.tenant, &alike);
    let refused = scene.store.add_upstream(alike, doors).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(Conflict::ToolConfusable { .. })));
    assert_eq!(epoch(&scene.store).await, Epoch(before.0 + 1));
}

pub async fn removing_an_upstream_quarantines_what_it_offers(store: Shared) {
    let scene = with_upstream(store).await;
    let tool = pinned(&scene, "fs__read", 1, false);
    register(&scene, &tool, "one").await;
    let before = epoch(&scene.store).await;
    let id = build::upstream_id();
    let (removed, at) = scene.store.remove_upstream(id, build::after(5)).await.unwrap().unwrap();
    assert_eq!((removed.removed_at, at), (Some(build::after(5)), Epoch(before.0 + 1)));
    let known = scene.control().await;
    assert!(known.upstream(scene.tenant.id, &removed.name).is_none());
    assert!(known.upstream_by_id(id).is_none());
    let own = known.tools_of(scene.tenant.id).filter_map(|tool| tool.pin);
    let causes: Vec<_> = own.map(|pin| pin.quarantine.map(|known| known.cause)).collect();
    assert_eq!(causes, [Some(QuarantineCause::UpstreamRemoved); 6]);
    // Twice changes nothing, and neither does what is not there.
    let again = scene.store.remove_upstream(id, build::after(9)).await.unwrap().unwrap();
    assert_eq!(again, (removed, at));
    let none = sentinel_core::id::UpstreamId(uuid::Uuid::from_u128(99));
    assert!(scene.store.remove_upstream(none, build::NOW).await.unwrap().is_none());
    assert_eq!(epoch(&scene.store).await, at);
    assert!(scene.store.upstreams(None, Page::first(10)).await.unwrap().items.is_empty());
    // Those who knew it hear of it.
    let changes = scene.store.control_changes(before).await.unwrap();
    assert!(changes.upstreams.iter().any(|upstream| upstream.removed_at.is_some()));
}

pub async fn an_upstream_of_a_removed_name_takes_over_its_doors(store: Shared) {
    let scene = with_upstream(store).await;
    let (known, since) = (scene.control().await, epoch(&scene.store).await);
    scene.store.remove_upstream(build::upstream_id(), build::after(1)).await.unwrap();
    let id = sentinel_core::id::UpstreamId(uuid::Uuid::from_u128(77));
    let mut next = build::upstream(&scene.tenant, "fs");
    next.id = id;
    let doors = build::doors(&scene.tenant, &next);
    scene.store.add_upstream(next, doors.clone()).await.unwrap();
    // Also for a replica that hears of both changes at once.
    let late = known.after(scene.store.control_changes(since).await.unwrap());
    for control in [scene.control().await, Arc::new(late)] {
        let named = control.upstream(scene.tenant.id, &build::name("fs")).unwrap();
        assert_eq!(named.id, id);
        for door in &doors {
            let pin = control.tool(scene.tenant.id, &door.name).unwrap().pin;
            assert_eq!(pin, Some(Pin::of_door(id)));
        }
    }
}

pub async fn a_pin_comes_back_as_stored(store: Shared) {
    let scene = with_upstream(store).await;
    let before = epoch(&scene.store).await;
    let (read, write) =
        (pinned(&scene, "fs__read", 1, false), pinned(&scene, "fs__write", 2, true));
    let changes = [(&read, "one"), (&write, "two")].map(|(tool, text)| PinChange::Register {
        tool: tool.clone(),
        definition: definition(text),
    });
    let (changed, at) = scene.store.change_pins(changes.to_vec(), build::NOW).await.unwrap();
    assert_eq!(changed, [PinChanged::Done, PinChanged::Done]);
    assert_eq!(at, Epoch(before.0 + 1));
    for (tool, text) in [(&read, "one"), (&write, "two")] {
        assert_eq!(scene.store.tool(tool.id).await.unwrap().unwrap().0.pin, tool.pin);
        let kept = scene.store.definitions(tool.id).await.unwrap();
        let digest = tool.pin.unwrap().definitions().next().unwrap();
        assert_eq!(kept, [(digest, build::object(json!({"name": "read", "description": text})))]);
    }
    let hand = scene.store.tool(scene.tool.id).await.unwrap().unwrap().0;
    assert_eq!(hand.pin, None);
}

pub async fn a_pin_moves_only_from_what_is_known(store: Shared) {
    let scene = with_upstream(store).await;
    let tool = pinned(&scene, "fs__read", 1, false);
    register(&scene, &tool, "one").await;
    let (before, pin) = (epoch(&scene.store).await, tool.pin.unwrap());
    let wrong = moved(&tool, Some(drifted(pin, 9)), drifted(pin, 2));
    let taken = PinChange::Register {
        tool: pinned(&scene, "fs__read", 3, false),
        definition: definition("three"),
    };
    let alike = PinChange::Register {
        tool: pinned(&scene, "fs__Read", 3, false),
        definition: definition("three"),
    };
    let changes = vec![wrong, taken, alike];
    let (changed, at) = scene.store.change_pins(changes, build::NOW).await.unwrap();
    let confusable = PinChanged::Confusable(tool.name.clone());
    assert_eq!(changed, [PinChanged::Moved, PinChanged::Moved, confusable]);
    assert_eq!((at, epoch(&scene.store).await), (before, before));

    let after = drifted(pin, 2);
    let changes = vec![moved(&tool, Some(pin), after)];
    let (changed, at) = scene.store.change_pins(changes, build::after(1)).await.unwrap();
    assert_eq!((changed, at), (vec![PinChanged::Done], Epoch(before.0 + 1)));
    let stored = scene.store.tool(tool.id).await.unwrap().unwrap().0;
    assert_eq!((stored.pin, stored.metadata), (Some(after), tool.metadata.clone()));
    assert_eq!(scene.store.definitions(tool.id).await.unwrap().len(), 2);
}

pub async fn only_the_definitions_of_a_pin_are_kept(store: Shared) {
    let scene = with_upstream(store).await;
    let tool = pinned(&scene, "fs__read", 1, false);
    register(&scene, &tool, "one").await;
    let mut pin = tool.pin.unwrap();
    for digest in 2..6 {
        let after = drifted(pin, digest);
        let changes = vec![moved(&tool, Some(pin), after)];
        scene.store.change_pins(changes, build::NOW).await.unwrap();
        pin = after;
        assert_eq!(scene.store.definitions(tool.id).await.unwrap().len(), 2);
    }
    let offered = pin.quarantine.unwrap().offered.unwrap();
    let approved = Pin { approved: Some(offered), quarantine: None, ..pin };
    let metadata = Some(build::object(json!({"mcp": {"digest": offered}})));
    let (before, after) = (Some(pin), approved);
    let change = PinChange::Move { tool: tool.id, before, after, metadata, definition: None };
    scene.store.change_pins(vec![change], build::NOW).await.unwrap();
    let kept = scene.store.definitions(tool.id).await.unwrap();
    assert_eq!(kept.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), [offered]);
    let stored = scene.store.tool(tool.id).await.unwrap().unwrap().0;
    assert_eq!(stored.metadata["mcp"]["digest"], json!(offered));
}

pub async fn a_quarantine_between_snapshot_and_commit_denies(store: Shared) {
    let scene = with_upstream(store).await;
    let tool = pinned(&scene, "fs__read", 1, false);
    register(&scene, &tool, "one").await;
    let before = build::check(&scene.control().await, "acme", "fs__read");
    let pin = tool.pin.unwrap();
    let changes = vec![moved(&tool, Some(pin), drifted(pin, 2))];
    scene.store.change_pins(changes, build::NOW).await.unwrap();
    let outcome = scene.commit(before.batch()).await.pop().unwrap();
    assert!(matches!(outcome, sentinel_core::commit::Outcome::Superseded), "{outcome:?}");
    let again = build::check(&scene.control().await, "acme", "fs__read");
    assert_eq!(scene.record(&again).await.code, ReasonCode::ToolDrift);
    let quarantine: Quarantine = drifted(pin, 2).quarantine.unwrap();
    let known = control(&scene.store).await;
    assert_eq!(known.tool_by_id(tool.id).unwrap().pin.unwrap().quarantine, Some(quarantine));
}

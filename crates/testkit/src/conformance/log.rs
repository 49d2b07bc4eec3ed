//! The transparency log: places, the lead, heads and tiles, shards, cursors, statements.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::log::{
    Advance, LogPlace, LogReceipt, LogStatement, NewShard, NewStatement, ReceiptKind,
    StatementKind, StoredTile,
};
use sentinel_core::manifest::Manifest;
use sentinel_core::store::StoreError;
use uuid::Uuid;

use super::{Scene, Shared, at_once};
use crate::build;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(100);

/// A step of shard 1.
fn step(fence: u64, from: u64, size: u64) -> Advance {
    Advance {
        shard: 1,
        fence,
        from,
        size,
        frontier: format!("frontier of {size}").into_bytes(),
        tiles: vec![tile(0, 0, u8::try_from(size).unwrap())],
        checkpoint: format!("checkpoint of {size}"),
    }
}

/// A tile whose width shows.
fn tile(level: u8, index: u64, width: u8) -> StoredTile {
    StoredTile { level, index, hashes: [level + 1; 32].repeat(usize::from(width)) }
}

fn place(shard: u32, index: u64) -> LogPlace {
    LogPlace { shard, index }
}

async fn all_leaves(store: &Shared, shard: u32) -> Vec<Vec<u8>> {
    store.leaves(shard, 0, 10_000).await.unwrap()
}

async fn append(scene: &Scene, count: usize) -> Vec<LogPlace> {
    let manifests: Vec<_> = (0..count)
        .map(|_| build::new_manifest(&build::manifest(scene.tenant.id, "search")))
        .collect();
    scene.store.insert_manifests(manifests).await.unwrap()
}

async fn append_statement(store: &Shared) -> LogPlace {
    let statement = build::statement(StatementKind::SigningKey, "SHA256:hint");
    store.append_statements(vec![statement]).await.unwrap().pop().unwrap()
}

/// Brings shard 1 to its end and seals it; returns the place behind its last leaf.
async fn end(store: &Shared) -> LogPlace {
    store.seal_shard(1).await.unwrap();
    let fence = store.lead(Uuid::now_v7(), LONG).await.unwrap().unwrap();
    let size = all_leaves(store, 1).await.len() as u64;
    assert!(store.advance(step(fence, 0, size)).await.unwrap());
    place(1, size)
}

fn next(origin: &str, after: LogPlace) -> NewShard {
    NewShard { after: Some(after), at: build::after(60), ..build::shard(origin) }
}

pub async fn places_are_dense_under_concurrent_appends(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    let places = at_once(16, {
        let scene = Arc::clone(&scene);
        move |task| {
            let scene = Arc::clone(&scene);
            async move {
                let mut places = Vec::new();
                for round in 0..6 {
                    if task % 4 == 0 {
                        places.push(append_statement(&scene.store).await);
                    } else {
                        let some = append(&scene, 1 + (task + round) % 5).await;
                        assert!(some.is_sorted(), "{some:?}");
                        places.extend(some);
                    }
                }
                places
            }
        }
    })
    .await;
    let places: Vec<_> = places.into_iter().flatten().collect();
    let distinct: BTreeSet<_> = places.iter().copied().collect();
    assert_eq!(distinct.len(), places.len(), "a place was given twice");
    // The first leaf is that of the shard's beginning.
    let expected = (1..=places.len() as u64).map(|index| place(1, index));
    assert_eq!(distinct, expected.collect());
    assert_eq!(all_leaves(&scene.store, 1).await.len(), places.len() + 1);
}

pub async fn a_leaf_is_at_the_place_that_was_returned(store: Shared) {
    let scene = Scene::new(store).await;
    let manifest = build::new_manifest(&build::manifest(scene.tenant.id, "search"));
    let statement = build::statement(StatementKind::SigningKey, "SHA256:hint");
    let first = scene.store.insert_manifests(vec![manifest.clone()]).await.unwrap();
    let second = scene.store.append_statements(vec![statement.clone()]).await.unwrap();
    assert_eq!((first, second), (vec![place(1, 1)], vec![place(1, 2)]));
    let leaves = scene.store.leaves(1, 1, 10).await.unwrap();
    assert_eq!(leaves, [manifest.leaf, statement.leaf]);
    assert_eq!(scene.store.leaves(1, 1, 1).await.unwrap().len(), 1);
    assert_eq!(scene.store.leaves(1, 3, 10).await.unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(scene.store.leaves(2, 0, 10).await.unwrap(), Vec::<Vec<u8>>::new());
}

pub async fn one_leads_at_a_time(store: Shared) {
    let holders: Vec<_> = (0..16).map(|_| Uuid::now_v7()).collect();
    let fences = at_once(holders.len(), |index| {
        let (store, holder) = (Arc::clone(&store), holders[index]);
        async move { store.lead(holder, LONG).await.unwrap() }
    })
    .await;
    let leaders: Vec<_> =
        holders.iter().zip(&fences).filter(|(_, fence)| fence.is_some()).collect();
    assert_eq!(leaders.len(), 1, "{fences:?}");
    let (leader, fence) = leaders[0];
    assert_eq!(store.lead(*leader, LONG).await.unwrap(), *fence, "who keeps the lead keeps it");
}

pub async fn a_lead_that_is_not_renewed_is_taken_over(store: Shared) {
    let scene = Scene::new(store).await;
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let old = scene.store.lead(first, SHORT).await.unwrap().unwrap();
    assert_eq!(scene.store.lead(second, LONG).await.unwrap(), None);
    tokio::time::sleep(SHORT * 2).await;
    // No replica has taken the lead since: what it signs contradicts no other.
    assert!(scene.store.advance(step(old, 0, 1)).await.unwrap());
    let new = scene.store.lead(second, LONG).await.unwrap().unwrap();
    assert!(new > old);
    assert_eq!(scene.store.lead(first, LONG).await.unwrap(), None);
    append(&scene, 1).await;
    assert!(!scene.store.advance(step(old, 1, 2)).await.unwrap(), "deposed");
    assert!(!scene.store.advance(step(new + 1, 1, 2)).await.unwrap(), "not elected");
    assert_eq!(scene.store.log_head(1).await.unwrap().unwrap().size, 1);
    assert!(scene.store.advance(step(new, 1, 2)).await.unwrap());
}

pub async fn who_resigns_is_followed_at_once(store: Shared) {
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let old = store.lead(first, LONG).await.unwrap().unwrap();
    store.resign(second).await.unwrap();
    assert_eq!(store.lead(second, LONG).await.unwrap(), None, "another one's lead was given up");
    store.resign(first).await.unwrap();
    let new = store.lead(second, LONG).await.unwrap().unwrap();
    assert!(new > old);
    assert_eq!(store.lead(first, LONG).await.unwrap(), None);
}

pub async fn a_head_moves_only_from_the_size_said(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    append(&scene, 9).await;
    let head = scene.store.log_head(1).await.unwrap().unwrap();
    assert_eq!((head.size, head.checkpoint, head.witnessed), (0, None, None));
    assert_eq!(head.frontier, [0; 8], "the frontier of the empty tree");
    assert_eq!(scene.store.log_head(2).await.unwrap(), None);
    let fence = scene.store.lead(Uuid::now_v7(), LONG).await.unwrap().unwrap();
    assert!(!scene.store.advance(step(fence, 1, 2)).await.unwrap());
    assert!(!scene.store.advance(Advance { shard: 2, ..step(fence, 0, 2) }).await.unwrap());
    assert_eq!(scene.store.tiles(1, vec![(0, 0)]).await.unwrap(), [None], "a tile of no step");
    let moved = at_once(8, {
        let scene = Arc::clone(&scene);
        move |task| {
            let scene = Arc::clone(&scene);
            async move { scene.store.advance(step(fence, 0, 2 + task as u64)).await.unwrap() }
        }
    })
    .await;
    assert_eq!(moved.iter().filter(|moved| **moved).count(), 1, "{moved:?}");
    let size = 2 + moved.iter().position(|moved| *moved).unwrap() as u64;
    let head = scene.store.log_head(1).await.unwrap().unwrap();
    assert_eq!((head.shard, head.size), (1, size));
    assert_eq!(head.checkpoint, Some(format!("checkpoint of {size}")));
    assert_eq!(head.frontier, format!("frontier of {size}").into_bytes());
    let tiles = scene.store.tiles(1, vec![(0, 0)]).await.unwrap();
    assert_eq!(tiles, [Some(tile(0, 0, u8::try_from(size).unwrap()).hashes)]);
}

pub async fn a_tile_is_replaced_by_a_wider_one(store: Shared) {
    let scene = Scene::new(store).await;
    append(&scene, 9).await;
    let fence = scene.store.lead(Uuid::now_v7(), LONG).await.unwrap().unwrap();
    let first = Advance {
        tiles: vec![tile(0, 0, 4), tile(1, 0, 1), tile(0, 1 << 40, 2)],
        ..step(fence, 0, 4)
    };
    assert!(scene.store.advance(first).await.unwrap());
    let second = Advance { tiles: vec![tile(0, 0, 7)], ..step(fence, 4, 7) };
    assert!(scene.store.advance(second).await.unwrap());
    let asked = vec![(1, 0), (0, 1 << 40), (0, 0), (7, 3), (1, 0)];
    let found = scene.store.tiles(1, asked).await.unwrap();
    let one = Some(tile(1, 0, 1).hashes);
    let far = Some(tile(0, 1 << 40, 2).hashes);
    assert_eq!(found, [one.clone(), far, Some(tile(0, 0, 7).hashes), None, one]);
    assert!(scene.store.tiles(1, Vec::new()).await.unwrap().is_empty());
    assert_eq!(scene.store.tiles(2, vec![(0, 0)]).await.unwrap(), [None]);
}

pub async fn the_largest_witnessed_checkpoint_is_kept(store: Shared) {
    let scene = Scene::new(store).await;
    let keep = |size: u64, note: &str| scene.store.keep_witnessed(1, size, note.to_owned());
    keep(5, "five").await.unwrap();
    keep(4, "four").await.unwrap();
    let witnessed = scene.store.log_head(1).await.unwrap().unwrap().witnessed;
    assert_eq!(witnessed, Some((5, "five".to_owned())));
    // With further cosignatures.
    keep(5, "five and more").await.unwrap();
    let witnessed = scene.store.log_head(1).await.unwrap().unwrap().witnessed;
    assert_eq!(witnessed, Some((5, "five and more".to_owned())));
}

pub async fn the_first_shard_begins_once(store: Shared) {
    assert!(store.log_shards().await.unwrap().is_empty());
    let begun = at_once(8, |task| {
        let store = Arc::clone(&store);
        async move {
            let shard = build::shard(&format!("log-{task}.example"));
            store.start_shard(shard).await.unwrap()
        }
    })
    .await;
    let begun: Vec<_> = begun.into_iter().flatten().collect();
    assert_eq!(begun.len(), 1, "{begun:?}");
    assert_eq!(store.log_shards().await.unwrap(), begun);
    assert_eq!((begun[0].ordinal, begun[0].started_at), (1, build::NOW));
    assert_eq!(begun[0].sealed_at, None);
    assert_eq!(all_leaves(&store, 1).await.len(), 1);
    let statements = store.statements(StatementKind::LogShard).await.unwrap();
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].place, Some(place(1, 0)));
    assert_eq!(statements[0].subject, begun[0].origin);
}

pub async fn nothing_is_appended_without_an_open_shard(store: Shared) {
    let tenant = build::tenant("acme");
    store.create_tenant(tenant.clone()).await.unwrap();
    let manifest = build::new_manifest(&build::manifest(tenant.id, "search"));
    let statement = build::statement(StatementKind::SigningKey, "SHA256:hint");
    let refused = |store: Shared| {
        let (manifest, statement) = (manifest.clone(), statement.clone());
        async move {
            let inserted = store.insert_manifests(vec![manifest.clone()]).await;
            assert_eq!(inserted, Err(StoreError::NoOpenShard));
            let appended = store.append_statements(vec![statement]).await;
            assert_eq!(appended, Err(StoreError::NoOpenShard));
            assert_eq!(store.manifest(manifest.manifest.id).await.unwrap(), None);
        }
    };
    refused(Arc::clone(&store)).await;
    store.start_shard(build::shard("log.example")).await.unwrap().unwrap();
    store.seal_shard(1).await.unwrap();
    refused(Arc::clone(&store)).await;
    assert_eq!(all_leaves(&store, 1).await.len(), 1);
    // What is sealed stays so.
    let end = end(&store).await;
    store.start_shard(next("next.example", end)).await.unwrap().unwrap();
    let places = store.insert_manifests(vec![manifest]).await.unwrap();
    assert_eq!(places, [place(2, 1)]);
}

pub async fn a_shard_continues_one_that_is_sealed_and_sequenced(store: Shared) {
    let scene = Scene::new(store).await;
    let store = &scene.store;
    append(&scene, 3).await;
    let refused = |after: Option<LogPlace>| async move {
        let shard = NewShard { after, ..next("next.example", place(1, 4)) };
        assert_eq!(store.start_shard(shard).await.unwrap(), None);
    };
    refused(Some(place(1, 4))).await;
    let fence = store.lead(Uuid::now_v7(), LONG).await.unwrap().unwrap();
    assert!(store.advance(step(fence, 0, 3)).await.unwrap());
    store.seal_shard(1).await.unwrap();
    refused(Some(place(1, 4))).await;
    refused(Some(place(1, 3))).await;
    assert!(store.advance(step(fence, 3, 4)).await.unwrap());
    for after in [None, Some(place(1, 3)), Some(place(1, 5)), Some(place(2, 4))] {
        refused(after).await;
    }
    let shards = store.log_shards().await.unwrap();
    assert_eq!((shards.len(), shards[0].sealed_at), (1, None), "what was refused left a trace");
    let begun = store.start_shard(next("next.example", place(1, 4))).await.unwrap().unwrap();
    assert_eq!((begun.ordinal, begun.origin.as_str()), (2, "next.example"));
    let shards = store.log_shards().await.unwrap();
    assert_eq!(shards[0].sealed_at, Some(build::after(60)));
    assert_eq!(shards[1], begun);
    let head = store.log_head(2).await.unwrap().unwrap();
    assert_eq!((head.size, head.checkpoint), (0, None));
}

pub async fn a_shard_is_continued_once(store: Shared) {
    let scene = Scene::new(store).await;
    append(&scene, 2).await;
    let end = end(&scene.store).await;
    let begun = at_once(8, |task| {
        let store = Arc::clone(&scene.store);
        async move {
            let origin = format!("next-{task}.example");
            let at = build::after(i64::try_from(task).unwrap());
            store.start_shard(NewShard { at, ..next(&origin, end) }).await.unwrap()
        }
    })
    .await;
    let begun: Vec<_> = begun.into_iter().flatten().collect();
    assert_eq!(begun.len(), 1, "{begun:?}");
    let shards = scene.store.log_shards().await.unwrap();
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[1], begun[0]);
    assert_eq!(shards[0].sealed_at, Some(begun[0].started_at), "sealed by one that did not begin");
    assert_eq!(all_leaves(&scene.store, 2).await.len(), 1);
}

pub async fn an_origin_is_used_once(store: Shared) {
    let scene = Scene::new(store).await;
    let end = end(&scene.store).await;
    scene.store.start_shard(next("log.example", end)).await.unwrap_err();
    let shards = scene.store.log_shards().await.unwrap();
    assert_eq!((shards.len(), shards[0].sealed_at), (1, None), "what was refused left a trace");
    scene.store.start_shard(next("next.example", end)).await.unwrap().unwrap();
}

pub async fn cursors_never_go_back(store: Shared) {
    let scene = Scene::new(store).await;
    let store = &scene.store;
    assert_eq!(store.log_cursor("rekor", 1).await.unwrap(), 0);
    for (to, expected) in [(5, 5), (3, 5), (5, 5), (8, 8)] {
        store.move_log_cursor("rekor", 1, to, Vec::new()).await.unwrap();
        assert_eq!(store.log_cursor("rekor", 1).await.unwrap(), expected);
    }
    assert_eq!(store.log_cursor("rekor", 2).await.unwrap(), 0);
    assert_eq!(store.log_cursor("mirror", 1).await.unwrap(), 0);
}

pub async fn receipts_are_kept_as_first_given(store: Shared) {
    let scene = Scene::new(store).await;
    let store = &scene.store;
    let receipt = |index, kind, content: &[u8]| LogReceipt {
        place: place(1, index),
        kind,
        content: content.to_vec(),
    };
    let rekor = receipt(0, ReceiptKind::Rekor, b"{}");
    let timestamp = receipt(0, ReceiptKind::Timestamp, &[0, 255]);
    let other = receipt(1, ReceiptKind::Rekor, b"other");
    let some = vec![timestamp.clone(), rekor.clone(), other.clone()];
    store.move_log_cursor("rekor", 1, 2, some).await.unwrap();
    let again = vec![receipt(0, ReceiptKind::Rekor, b"again")];
    store.move_log_cursor("rekor", 1, 1, again).await.unwrap();
    assert_eq!(store.receipts(place(1, 0)).await.unwrap(), [rekor, timestamp]);
    assert_eq!(store.receipts(place(1, 1)).await.unwrap(), [other]);
    assert!(store.receipts(place(1, 2)).await.unwrap().is_empty());
    assert!(store.receipts(place(2, 0)).await.unwrap().is_empty());
}

pub async fn a_statement_is_logged_once(store: Shared) {
    let scene = Scene::new(store).await;
    let statement = build::statement(StatementKind::SigningKey, "SHA256:hint");
    let places = at_once(8, |_| {
        let (store, statement) = (Arc::clone(&scene.store), statement.clone());
        async move { store.append_statements(vec![statement]).await.unwrap() }
    })
    .await;
    assert!(places.iter().all(|places| *places == [place(1, 1)]), "{places:?}");
    // Beside one that is new, twice.
    let new = build::statement(StatementKind::SigningKey, "SHA256:other");
    let changed = NewStatement { leaf: b"another leaf".to_vec(), ..statement.clone() };
    let places = vec![new.clone(), changed, new.clone()];
    let places = scene.store.append_statements(places).await.unwrap();
    assert_eq!(places, [place(1, 2), place(1, 1), place(1, 2)]);
    let leaves = all_leaves(&scene.store, 1).await;
    assert_eq!(leaves[1..], [statement.leaf, new.leaf]);
}

pub async fn statements_come_back_as_stored_oldest_first(store: Shared) {
    let scene = Scene::new(store).await;
    let about = |kind, subject| build::statement(kind, subject);
    let mut destroyed = about(StatementKind::PayloadDestroyed, "acme/1");
    destroyed.statement.tenant_id = Some(scene.tenant.id);
    let new = vec![
        about(StatementKind::SigningKey, "SHA256:first"),
        destroyed,
        about(StatementKind::SigningKey, "SHA256:second"),
    ];
    let places = scene.store.append_statements(new.clone()).await.unwrap();
    let stored: Vec<_> = new
        .into_iter()
        .zip(places)
        .map(|(new, place)| LogStatement { place: Some(place), ..new.statement })
        .collect();
    let [first, destroyed, second] = stored.try_into().unwrap();
    let of = |kind| scene.store.statements(kind);
    assert_eq!(of(StatementKind::SigningKey).await.unwrap(), [first, second]);
    assert_eq!(of(StatementKind::PayloadDestroyed).await.unwrap(), [destroyed]);
    assert!(scene.store.append_statements(Vec::new()).await.unwrap().is_empty());
}

pub async fn a_manifest_that_has_a_place_keeps_it(store: Shared) {
    let scene = Scene::new(store).await;
    let manifest = build::manifest(scene.tenant.id, "search");
    let new = build::new_manifest(&manifest);
    let places = scene.store.insert_manifests(vec![new]).await.unwrap();
    assert!(scene.store.unlogged_manifests(10).await.unwrap().is_empty());
    let again = vec![(manifest.id.0, b"another leaf".to_vec()), (Uuid::now_v7(), b"none".to_vec())];
    scene.store.log_manifests(again).await.unwrap();
    assert_eq!(all_leaves(&scene.store, 1).await.len(), 2);
    let stored = scene.store.manifest(manifest.id).await.unwrap();
    assert_eq!(stored, Some(Manifest { place: Some(places[0]), ..manifest }));
}

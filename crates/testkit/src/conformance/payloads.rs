//! Payload keys, and what is sealed with them.

use std::sync::Arc;

use sentinel_core::id::TenantId;
use sentinel_core::log::{NewStatement, StatementKind};
use sentinel_core::manifest::{Manifest, NewManifest};
use sentinel_core::payload::{DestroyedPayloads, PayloadKey, SealedPayload};
use sentinel_core::store::{Conflict, StoreError};

use super::{Scene, Shared, at_once};
use crate::build;

fn key(tenant: TenantId, generation: u32) -> PayloadKey {
    let wrapped = Some(vec![0xEE; 61]);
    PayloadKey {
        tenant_id: tenant,
        generation,
        wrapped,
        created_at: build::NOW,
        destroyed_at: None,
    }
}

/// A manifest whose payload, if `sealed` is some, is kept under key `generation`.
fn manifest(tenant: TenantId, generation: u32, sealed: Option<&[u8]>) -> NewManifest {
    let manifest =
        Manifest { key_generation: Some(generation), ..build::manifest(tenant, "search") };
    let payload = sealed.map(|sealed| SealedPayload { generation, sealed: sealed.to_vec() });
    NewManifest { payload, ..build::new_manifest(&manifest) }
}

fn tombstone(tenant: TenantId) -> NewStatement {
    let mut new = build::statement(StatementKind::PayloadDestroyed, "acme/1");
    new.statement.tenant_id = Some(tenant);
    new
}

async fn destroy(store: &Shared, tenant: TenantId, generation: u32) -> Option<DestroyedPayloads> {
    let destroyed =
        store.destroy_payload_key(tenant, generation, build::after(9), tombstone(tenant));
    destroyed.await.unwrap()
}

pub async fn a_key_is_the_first_of_its_generation(store: Shared) {
    let scene = Scene::new(store).await;
    let tenant = scene.tenant.id;
    assert_eq!(scene.store.payload_key(tenant).await.unwrap(), None);
    let store = Arc::clone(&scene.store);
    let added = at_once(8, move |index| {
        let store = Arc::clone(&store);
        let wrapped = Some(vec![u8::try_from(index).unwrap(); 40]);
        async move { store.add_payload_key(PayloadKey { wrapped, ..key(tenant, 1) }).await.unwrap() }
    });
    let added = added.await;
    assert!(added.iter().all(|each| *each == added[0]), "{added:?}");
    assert_eq!(scene.store.payload_key_of(tenant, 1).await.unwrap().as_ref(), Some(&added[0]));
    assert_eq!(scene.store.payload_key_of(tenant, 2).await.unwrap(), None);
}

pub async fn the_newest_key_is_of_one_tenant(store: Shared) {
    let scene = Scene::new(store).await;
    let beside = build::tenant("beside");
    scene.store.create_tenant(beside.clone()).await.unwrap();
    assert_eq!(scene.store.live_payload_key().await.unwrap(), None);
    for new in [key(scene.tenant.id, 1), key(scene.tenant.id, 2), key(beside.id, 1)] {
        scene.store.add_payload_key(new).await.unwrap();
    }
    let newest = scene.store.payload_key(scene.tenant.id).await.unwrap();
    assert_eq!(newest, Some(key(scene.tenant.id, 2)));
    assert_eq!(scene.store.payload_key(beside.id).await.unwrap(), Some(key(beside.id, 1)));
    for (tenant, generation) in [(scene.tenant.id, 1), (scene.tenant.id, 2)] {
        destroy(&scene.store, tenant, generation).await.unwrap();
    }
    assert_eq!(scene.store.live_payload_key().await.unwrap(), Some(key(beside.id, 1)));
    destroy(&scene.store, beside.id, 1).await.unwrap();
    assert_eq!(scene.store.live_payload_key().await.unwrap(), None);
}

pub async fn a_payload_comes_back_as_sealed(store: Shared) {
    let scene = Scene::new(store).await;
    scene.store.add_payload_key(key(scene.tenant.id, 1)).await.unwrap();
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let kept = manifest(scene.tenant.id, 1, Some(&every_byte));
    let bare = manifest(scene.tenant.id, 1, None);
    let both = vec![kept.clone(), bare.clone()];
    scene.store.insert_manifests(both).await.unwrap();
    assert_eq!(scene.store.payload(kept.manifest.id).await.unwrap(), kept.payload);
    assert_eq!(scene.store.payload(bare.manifest.id).await.unwrap(), None);
    let stored = scene.store.manifest(bare.manifest.id).await.unwrap().unwrap();
    assert_eq!(stored.key_generation, Some(1));
}

pub async fn destroying_takes_the_key_and_its_payloads_and_logs_a_tombstone(store: Shared) {
    let scene = Scene::new(store).await;
    let (tenant, beside) = (scene.tenant.id, build::tenant("beside"));
    scene.store.create_tenant(beside.clone()).await.unwrap();
    for new in [key(tenant, 1), key(beside.id, 1)] {
        scene.store.add_payload_key(new).await.unwrap();
    }
    let mine = [1, 2, 3].map(|byte| manifest(tenant, 1, Some(&[byte])));
    let other = manifest(beside.id, 1, Some(b"other"));
    let all = mine.iter().chain([&other]).cloned().collect::<Vec<_>>();
    let last = scene.store.insert_manifests(all).await.unwrap().pop().unwrap();

    let new = tombstone(tenant);
    let at = build::after(9);
    let destroyed = scene.store.destroy_payload_key(tenant, 1, at, new.clone()).await.unwrap();
    let destroyed = destroyed.unwrap();
    assert_eq!((destroyed.payloads, destroyed.place.index), (3, last.index + 1));
    let gone = scene.store.payload_key_of(tenant, 1).await.unwrap().unwrap();
    assert_eq!(gone, PayloadKey { wrapped: None, destroyed_at: Some(at), ..key(tenant, 1) });
    for each in &mine {
        assert_eq!(scene.store.payload(each.manifest.id).await.unwrap(), None);
        assert!(scene.store.manifest(each.manifest.id).await.unwrap().is_some());
    }
    let leaf = scene.store.leaves(destroyed.place.shard, destroyed.place.index, 9).await.unwrap();
    assert_eq!(leaf, [new.leaf]);
    let listed = scene.store.statements(StatementKind::PayloadDestroyed).await.unwrap();
    let mut stated = new.statement;
    stated.place = Some(destroyed.place);
    assert_eq!(listed, [stated]);

    assert_eq!(scene.store.payload(other.manifest.id).await.unwrap(), other.payload);
    assert_eq!(scene.store.payload_key(beside.id).await.unwrap(), Some(key(beside.id, 1)));
}

pub async fn a_key_is_destroyed_once(store: Shared) {
    let scene = Scene::new(store).await;
    let tenant = scene.tenant.id;
    assert_eq!(destroy(&scene.store, tenant, 1).await, None, "there is none");
    scene.store.add_payload_key(key(tenant, 1)).await.unwrap();
    let store = Arc::clone(&scene.store);
    let ended = at_once(6, move |_| {
        let store = Arc::clone(&store);
        async move { destroy(&store, tenant, 1).await }
    });
    assert_eq!(ended.await.iter().flatten().count(), 1);
    let tombstones = scene.store.statements(StatementKind::PayloadDestroyed).await.unwrap();
    assert_eq!(tombstones.len(), 1, "{tombstones:?}");
}

pub async fn a_key_that_is_destroyed_is_not_added_again(store: Shared) {
    let scene = Scene::new(store).await;
    let tenant = scene.tenant.id;
    scene.store.add_payload_key(key(tenant, 1)).await.unwrap();
    destroy(&scene.store, tenant, 1).await.unwrap();
    let again = scene.store.add_payload_key(key(tenant, 1)).await.unwrap();
    assert_eq!((again.wrapped, again.destroyed_at), (None, Some(build::after(9))));
    scene.store.add_payload_key(key(tenant, 2)).await.unwrap();
    assert_eq!(scene.store.payload_key(tenant).await.unwrap(), Some(key(tenant, 2)));
}

pub async fn nothing_is_stored_under_a_destroyed_key(store: Shared) {
    let scene = Scene::new(store).await;
    let tenant = scene.tenant.id;
    scene.store.add_payload_key(key(tenant, 1)).await.unwrap();
    destroy(&scene.store, tenant, 1).await.unwrap();
    scene.store.add_payload_key(key(tenant, 2)).await.unwrap();
    let after = destroy_place(&scene).await;
    let refused = Err(StoreError::Conflict(Conflict::PayloadKeyDestroyed));
    let good = manifest(tenant, 2, Some(b"good"));
    for bad in [
        manifest(tenant, 1, Some(b"late")),
        manifest(tenant, 1, None),
        manifest(tenant, 3, None),
        // A payload under another key than its manifest.
        NewManifest { payload: manifest(tenant, 1, Some(b"x")).payload, ..good.clone() },
        NewManifest {
            payload: manifest(tenant, 1, Some(b"x")).payload,
            ..build::new_manifest(&build::manifest(tenant, "search"))
        },
    ] {
        let both = vec![manifest(tenant, 2, Some(b"innocent")), bad.clone()];
        let innocent = both[0].manifest.id;
        assert_eq!(scene.store.insert_manifests(both).await, refused, "{bad:?}");
        for id in [innocent, bad.manifest.id] {
            assert_eq!(scene.store.manifest(id).await.unwrap(), None);
            assert_eq!(scene.store.payload(id).await.unwrap(), None);
        }
    }
    let place = scene.store.insert_manifests(vec![good]).await.unwrap()[0];
    assert_eq!(place.index, after + 1, "what was refused took a place");
}

/// Index of the newest tombstone.
async fn destroy_place(scene: &Scene) -> u64 {
    let mut listed = scene.store.statements(StatementKind::PayloadDestroyed).await.unwrap();
    listed.pop().unwrap().place.unwrap().index
}

pub async fn a_refused_tombstone_destroys_nothing(store: Shared) {
    let scene = Scene::new(store).await;
    let tenant = scene.tenant.id;
    scene.store.add_payload_key(key(tenant, 1)).await.unwrap();
    let kept = manifest(tenant, 1, Some(b"kept"));
    scene.store.insert_manifests(vec![kept.clone()]).await.unwrap();
    // Between two shards, nothing can be logged.
    scene.store.seal_shard(1).await.unwrap();
    let refused = scene.store.destroy_payload_key(tenant, 1, build::NOW, tombstone(tenant)).await;
    assert_eq!(refused, Err(StoreError::NoOpenShard));
    assert_eq!(scene.store.payload_key(tenant).await.unwrap(), Some(key(tenant, 1)));
    assert_eq!(scene.store.payload(kept.manifest.id).await.unwrap(), kept.payload);
    assert!(scene.store.statements(StatementKind::PayloadDestroyed).await.unwrap().is_empty());
}

pub async fn nothing_outlives_a_key_that_is_destroyed_meanwhile(store: Shared) {
    let scene = Scene::new(store).await;
    let tenant = scene.tenant.id;
    for generation in 1..=4 {
        scene.store.add_payload_key(key(tenant, generation)).await.unwrap();
        let store = Arc::clone(&scene.store);
        let writers = tokio::spawn(at_once(4, move |_| {
            let store = Arc::clone(&store);
            async move {
                let mut stored = Vec::new();
                loop {
                    let new = [0, 1].map(|_| manifest(tenant, generation, Some(b"sealed")));
                    let ids = new.iter().map(|new| new.manifest.id).collect::<Vec<_>>();
                    match store.insert_manifests(new.to_vec()).await {
                        Ok(_) => stored.extend(ids),
                        Err(StoreError::Conflict(Conflict::PayloadKeyDestroyed)) => return stored,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }));
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        let destroyed = destroy(&scene.store, tenant, generation).await.unwrap();
        let stored: Vec<_> = writers.await.unwrap().into_iter().flatten().collect();
        assert_eq!(destroyed.payloads, stored.len() as u64, "generation {generation}");
        for id in stored {
            assert_eq!(scene.store.payload(id).await.unwrap(), None);
            let place = scene.store.manifest(id).await.unwrap().unwrap().place.unwrap();
            assert!(place.index < destroyed.place.index, "stored after the tombstone");
        }
    }
}

//! Provenance manifests.

use sentinel_core::id::ManifestId;
use sentinel_core::manifest::{Manifest, ManifestFilter};
use sentinel_core::page::Page;
use sentinel_core::ports::{Conflict, StoreError};
use uuid::Uuid;

use super::{Scene, Shared};
use crate::build;

pub async fn a_manifest_comes_back_as_stored(store: Shared) {
    let scene = Scene::new(store).await;
    let decision = scene.record(&scene.check().await).await;
    let linked = Manifest {
        decision_id: Some(decision.id),
        bundle: "{\"payload\" : \"\\u0000 \u{1F600}\",\r\n \"n\":1.0}".to_owned(),
        ..build::manifest(scene.tenant.id, "search")
    };
    // A tool that is not registered, and no purpose.
    let bare = Manifest { purpose: None, ..build::manifest(scene.tenant.id, "never/registered") };
    let new = [&linked, &bare].map(build::new_manifest).to_vec();
    let places = scene.store.insert_manifests(new).await.unwrap();
    for (manifest, place) in [linked, bare].into_iter().zip(places) {
        let stored = Manifest { place: Some(place), ..manifest };
        assert_eq!(scene.store.manifest(stored.id).await.unwrap(), Some(stored));
    }
    assert_eq!(scene.store.manifest(ManifestId(Uuid::now_v7())).await.unwrap(), None);
    scene.store.insert_manifests(Vec::new()).await.unwrap();
}

/// Stores a manifest; returns it as stored.
async fn insert(scene: &Scene, manifest: Manifest) -> Manifest {
    let places = scene.store.insert_manifests(vec![build::new_manifest(&manifest)]).await.unwrap();
    Manifest { place: Some(places[0]), ..manifest }
}

pub async fn manifests_are_stored_all_or_none(store: Shared) {
    let scene = Scene::new(store).await;
    let first = build::manifest(scene.tenant.id, "search");
    let first = insert(&scene, first).await;
    let new = build::manifest(scene.tenant.id, "search");
    let again = Manifest { bundle: "{}".to_owned(), ..first.clone() };
    let both = [&new, &again].map(build::new_manifest).to_vec();
    let refused = scene.store.insert_manifests(both).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict(Conflict::ManifestExists));
    assert_eq!(scene.store.manifest(new.id).await.unwrap(), None);
    assert_eq!(scene.store.manifest(first.id).await.unwrap().as_ref(), Some(&first), "replaced");
    let new = insert(&scene, new).await;
    assert_eq!(scene.store.manifest(new.id).await.unwrap().as_ref(), Some(&new));
    let (first, new) = (first.place.unwrap(), new.place.unwrap());
    assert_eq!(new.index, first.index + 1, "what was refused took a place");
}

pub async fn manifests_are_filtered_newest_first(store: Shared) {
    let scene = Scene::new(store).await;
    let beside = build::tenant("beside");
    scene.store.create_tenant(beside.clone()).await.unwrap();
    let decision = scene.record(&scene.check().await).await;
    let mut all = Vec::new();
    for index in 0..24 {
        let tenant = if index % 2 == 0 { scene.tenant.id } else { beside.id };
        let manifest = Manifest {
            decision_id: (index % 6 == 0).then_some(decision.id),
            ..build::manifest(tenant, if index % 3 == 0 { "search" } else { "other" })
        };
        all.insert(0, insert(&scene, manifest).await);
    }
    for mask in 0..8 {
        let filter = ManifestFilter {
            tenant_id: (mask & 1 != 0).then_some(scene.tenant.id),
            tool: (mask & 2 != 0).then(|| build::name("search")),
            decision_id: (mask & 4 != 0).then_some(decision.id),
            phase: None,
        };
        let expected: Vec<_> = all
            .iter()
            .filter(|manifest| {
                filter.tenant_id.is_none_or(|id| manifest.tenant_id == id)
                    && filter.tool.as_ref().is_none_or(|tool| manifest.tool == *tool)
                    && filter.decision_id.is_none_or(|id| manifest.decision_id == Some(id))
            })
            .cloned()
            .collect();
        let (mut page, mut found) = (Page::first(5), Vec::new());
        loop {
            let paged = scene.store.manifests(filter.clone(), page.clone()).await.unwrap();
            found.extend(paged.items);
            page.cursor = paged.next_cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}

//! Listings and their cursors.

use std::sync::Arc;

use sentinel_core::audit::DecisionFilter;
use sentinel_core::id::TenantId;
use sentinel_core::manifest::ManifestFilter;
use sentinel_core::name::TenantSlug;
use sentinel_core::page::Page;
use sentinel_core::principal::{ApiKey, Role};
use sentinel_core::store::StoreError;
use serde_json::json;
use uuid::Uuid;

use super::{Scene, Shared};
use crate::build;

fn next(limit: u32, cursor: Option<String>) -> Page {
    Page { limit, cursor }
}

pub async fn tenants_are_listed_by_slug(store: Shared) {
    for slug in ["m", "b", "a-1", "z9", "a", "0", "aa"] {
        store.create_tenant(build::tenant(slug)).await.unwrap();
    }
    for limit in [1, 2, 3, 6, 7, 8] {
        let (mut cursor, mut slugs) = (None, Vec::new());
        loop {
            let paged = store.tenants(next(limit, cursor)).await.unwrap();
            slugs.extend(paged.items.into_iter().map(|tenant| tenant.slug.to_string()));
            cursor = paged.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(slugs, ["0", "a", "a-1", "aa", "b", "m", "z9"]);
    }
}

pub async fn tools_are_listed_by_creation(store: Shared) {
    let scene = Scene::new(store).await;
    let mut expected = vec![scene.tool.clone()];
    for index in [5, 3, 9, 0, 7] {
        expected.push(scene.add_tool(&build::distinct(index)).await);
    }
    let other = build::tenant("other");
    let tool = build::tool(&other, "search");
    let other = scene.store.register_tool(other, tool).await.unwrap();
    for tenant in [None, Some(scene.tenant.id), Some(other.tenant.id), Some(TenantId(Uuid::nil()))]
    {
        let wanted: Vec<_> = expected
            .iter()
            .chain([&other.tool])
            .filter(|tool| tenant.is_none_or(|id| tool.tenant_id == id))
            .cloned()
            .collect();
        let (mut cursor, mut found) = (None, Vec::new());
        loop {
            let paged = scene.store.tools(tenant, next(2, cursor)).await.unwrap();
            found.extend(paged.items.into_iter().map(|(tool, _)| tool));
            cursor = paged.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted);
    }
}

pub async fn tools_are_complete_under_concurrent_registrations(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    for index in 0..40 {
        scene.add_tool(&build::distinct(index)).await;
    }
    let writer = Arc::clone(&scene);
    let writing = tokio::spawn(async move {
        for index in 40..80 {
            writer.add_tool(&build::distinct(index)).await;
        }
    });
    let (mut cursor, mut found) = (None, Vec::new());
    loop {
        let paged = scene.store.tools(None, next(3, cursor)).await.unwrap();
        found.extend(paged.items.into_iter().map(|(tool, _)| tool.id));
        cursor = paged.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    writing.await.unwrap();
    let all = scene.store.tools(None, Page::first(100)).await.unwrap().items;
    assert_eq!(all.len(), 81);
    assert!(found.len() >= 41);
    assert!(all.iter().map(|(tool, _)| tool.id).take(found.len()).eq(found));
}

pub async fn keys_are_listed_newest_first(store: Shared) {
    let scene = Scene::new(store).await;
    let mut expected = Vec::new();
    for index in 0..7 {
        let tenant_id = (index % 2 == 0).then_some(scene.tenant.id);
        let key = ApiKey { tenant_id, ..build::key(Role::Agent) };
        scene.store.create_key(key.clone()).await.unwrap();
        expected.insert(0, key);
    }
    for tenant in [None, Some(scene.tenant.id)] {
        let (mut cursor, mut found) = (None, Vec::new());
        loop {
            let paged = scene.store.keys(tenant, next(2, cursor)).await.unwrap();
            found.extend(paged.items);
            cursor = paged.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let wanted = expected.iter().filter(|key| tenant.is_none() || key.tenant_id == tenant);
        assert!(found.iter().eq(wanted));
    }
}

pub async fn hostile_cursors_are_refused(store: Shared) {
    let scene = Scene::new(store).await;
    let nil = Uuid::nil();
    let hostile = [
        String::new(),
        " 1".to_owned(),
        "+1".to_owned(),
        "-1".to_owned(),
        "9223372036854775808".to_owned(),
        "1e3".to_owned(),
        "1;DROP TABLE tools".to_owned(),
        "' OR '1'='1".to_owned(),
        "A B".to_owned(),
        "\0".to_owned(),
        "\u{661}".to_owned(),
        format!("{nil}.{nil}"),
        format!("{nil}.{nil}.0d"),
        format!("{nil}.{nil}.1d.x"),
        "x".repeat(100_000),
    ];
    for cursor in hostile {
        let page = Page { limit: 10, cursor: Some(cursor.clone()) };
        let store = &scene.store;
        let slug = cursor.parse::<TenantSlug>();
        let results = [
            // A slug is a cursor of tenants; there is nothing to forge in it.
            store.tenants(page.clone()).await.err().or(slug.ok().map(|_| StoreError::BadCursor)),
            store.tools(None, page.clone()).await.err(),
            store.keys(None, page.clone()).await.err(),
            store.kills(None, false, page.clone()).await.err(),
            store.decisions(DecisionFilter::default(), page.clone()).await.err(),
            store.manifests(ManifestFilter::default(), page.clone()).await.err(),
            store.counters(None, build::NOW, page).await.err(),
        ];
        for result in results {
            assert_eq!(result, Some(StoreError::BadCursor), "{cursor:.40}");
        }
    }
    assert!(scene.record(&scene.check().await).await.allow);
}

pub async fn limits_are_clamped(store: Shared) {
    let scene = Scene::new(store).await;
    scene.add_tool("other").await;
    let least = scene.store.tools(None, Page::first(0)).await.unwrap();
    assert_eq!(least.items.len(), 1);
    assert!(least.next_cursor.is_some());
    let most = scene.store.tools(None, Page::first(u32::MAX)).await.unwrap();
    assert_eq!(most.items.len(), 2);
    assert!(most.next_cursor.is_none());
}

/// What a caller sends decides how large a decision is. A page of the largest ends before it is
/// full, and the next goes on where it ended.
pub async fn a_page_of_large_rows_ends_before_it_is_full(store: Shared) {
    let scene = Scene::new(store).await;
    let control = scene.control().await;
    let check = scene.check().await;
    for _ in 0..5 {
        let pendings = (0..8).map(|_| {
            let mut pending = check.pending();
            let context = json!({"filler": "x".repeat(250_000)});
            pending.record.event_metadata.insert("context".to_owned(), context);
            pending
        });
        scene.commit(build::batch(&control, pendings.collect())).await;
    }
    let (mut page, mut seen, mut pages) = (Page::first(1000), Vec::new(), 0);
    loop {
        let found = scene.store.decisions(DecisionFilter::default(), page.clone()).await.unwrap();
        let bytes: usize =
            found.items.iter().map(|record| json!(record.event_metadata).to_string().len()).sum();
        assert!(bytes <= Page::MAX_BYTES + 300_000, "a page of {bytes} bytes");
        seen.extend(found.items.into_iter().map(|record| record.sequence));
        pages += 1;
        match found.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (40, 3));
    assert!(seen.is_sorted_by(|a, b| a > b), "each is there once");
}

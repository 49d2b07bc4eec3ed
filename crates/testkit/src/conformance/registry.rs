//! Tenants, tools and keys.

use jiff::{SignedDuration, Timestamp};
use sentinel_core::id::{KeyId, ToolId};
use sentinel_core::page::Page;
use sentinel_core::principal::{ApiKey, Role};
use sentinel_core::store::{Conflict, StoreError};
use sentinel_core::tool::{Health, HealthStatus};
use serde_json::json;
use uuid::Uuid;

use super::{Scene, Shared, at_once, epoch};
use crate::build;

pub async fn a_slug_is_taken_once(store: Shared) {
    let shared = Shared::clone(&store);
    let results = at_once(16, move |_| {
        let store = Shared::clone(&shared);
        async move { store.create_tenant(build::tenant("acme")).await }
    })
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        let conflict = Conflict::TenantExists(build::name("acme"));
        assert_eq!(refused, StoreError::Conflict(conflict));
    }
    assert_eq!(epoch(&store).await.0, 1);
}

pub async fn concurrent_registrations_create_the_tenant_once(store: Shared) {
    let shared = Shared::clone(&store);
    let registered = at_once(32, move |index| {
        let store = Shared::clone(&shared);
        async move {
            let tenant = build::tenant("acme");
            let tool = build::tool(&tenant, &build::distinct(index));
            store.register_tool(tenant, tool).await.unwrap()
        }
    })
    .await;
    assert_eq!(registered.iter().filter(|each| each.tenant_created).count(), 1);
    let stored = store.tenants(Page::first(10)).await.unwrap().items;
    assert_eq!(stored.len(), 1);
    for each in &registered {
        assert_eq!(each.tenant, stored[0]);
        assert_eq!(each.tool.tenant_id, stored[0].id);
    }
    let mut epochs: Vec<_> = registered.iter().map(|each| each.epoch.0).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=32).collect::<Vec<_>>());
}

pub async fn registering_returns_what_is_stored(store: Shared) {
    let odd = build::NOW.checked_add(SignedDuration::from_nanos(1_234_567)).unwrap();
    let mut tenant = build::tenant("acme");
    tenant.created_at = odd;
    let mut tool = build::tool(&tenant, "search");
    (tool.created_at, tool.updated_at) = (odd, odd);
    let registered = store.register_tool(tenant.clone(), tool.clone()).await.unwrap();
    assert!(registered.tenant_created);
    assert_eq!((registered.tenant.id, registered.tool.id), (tenant.id, tool.id));
    let (stored, health) = store.tool(tool.id).await.unwrap().unwrap();
    assert_eq!(registered.tool, stored);
    assert_eq!(health, None);
    assert_eq!(store.tenants(Page::first(1)).await.unwrap().items, [registered.tenant]);
    // Stores keep microseconds.
    tool.created_at = Timestamp::from_microsecond(odd.as_microsecond()).unwrap();
    tool.updated_at = tool.created_at;
    assert_eq!(stored, tool);
}

pub async fn a_tool_joins_the_tenant_that_has_the_slug(store: Shared) {
    let first = build::tenant("acme");
    store.create_tenant(first.clone()).await.unwrap();
    let second = build::tenant("acme");
    let tool = build::tool(&second, "search");
    let registered = store.register_tool(second, tool).await.unwrap();
    assert!(!registered.tenant_created);
    assert_eq!(registered.tenant, first);
    assert_eq!(registered.tool.tenant_id, first.id);
}

pub async fn a_tool_name_is_taken_once(store: Shared) {
    let scene = Scene::new(store).await;
    let again = build::tool(&scene.tenant, "search");
    let refused = scene.store.register_tool(scene.tenant.clone(), again).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict(Conflict::ToolExists(build::name("search"))));
}

pub async fn a_retired_tool_keeps_its_name(store: Shared) {
    let scene = Scene::new(store).await;
    let mut change = build::change();
    change.retire = true;
    scene.store.update_tool(scene.tool.id, change, build::NOW).await.unwrap();
    let again = build::tool(&scene.tenant, "search");
    let refused = scene.store.register_tool(scene.tenant.clone(), again).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict(Conflict::ToolExists(build::name("search"))));
}

pub async fn a_confusable_tool_name_is_refused(store: Shared) {
    let scene = Scene::new(store).await;
    scene.add_tool("billing-tool").await;
    for wanted in ["Search", "SEARCH", "bi11ing_tool", "billing.t00l"] {
        let tool = build::tool(&scene.tenant, wanted);
        let refused = scene.store.register_tool(scene.tenant.clone(), tool).await.unwrap_err();
        let existing = if wanted.contains('t') { "billing-tool" } else { "search" };
        let conflict = Conflict::ToolConfusable {
            wanted: build::name(wanted),
            existing: build::name(existing),
        };
        assert_eq!(refused, StoreError::Conflict(conflict));
    }
}

pub async fn tenants_do_not_share_tool_names(store: Shared) {
    let scene = Scene::new(store).await;
    let other = build::tenant("other");
    let tool = build::tool(&other, "Search");
    let registered = scene.store.register_tool(other, tool).await.unwrap();
    assert_ne!(registered.tool.tenant_id, scene.tenant.id);
    let of_acme = scene.store.tools(Some(scene.tenant.id), Page::first(10)).await.unwrap().items;
    assert_eq!(of_acme, [(scene.tool, None)]);
}

pub async fn a_refused_registration_changes_nothing(store: Shared) {
    let scene = Scene::new(store).await;
    let before = epoch(&scene.store).await;
    let again = build::tool(&scene.tenant, "search");
    scene.store.register_tool(scene.tenant.clone(), again).await.unwrap_err();
    scene.store.create_tenant(build::tenant("acme")).await.unwrap_err();
    assert_eq!(epoch(&scene.store).await, before);
    let tools = scene.store.tools(None, Page::first(10)).await.unwrap().items;
    assert_eq!(tools, [(scene.tool, None)]);
}

pub async fn an_update_changes_only_what_it_names(store: Shared) {
    let scene = Scene::new(store).await;
    let mut expected = scene.tool.clone();
    for step in 0..4 {
        let mut change = build::change();
        match step {
            0 => expected.url = change.url.insert(build::name("http://127.0.0.1:1/")).clone(),
            1 => expected.owner = change.owner.insert(build::name("Ünïcode & Söhne")).clone(),
            2 => expected.scopes = change.scopes.insert(vec![]).clone(),
            _ => expected.metadata = change.metadata.insert(build::object(json!({}))).clone(),
        }
        expected.updated_at = build::after(step);
        let updated = scene.store.update_tool(scene.tool.id, change, build::after(step)).await;
        assert_eq!(updated.unwrap().unwrap().0, expected);
    }
    assert_eq!(scene.store.tool(scene.tool.id).await.unwrap().unwrap().0, expected);
}

pub async fn a_health_check_can_be_removed(store: Shared) {
    let scene = Scene::new(store).await;
    let mut change = build::change();
    change.healthcheck = Some(None);
    let removed = scene.store.update_tool(scene.tool.id, change, build::NOW).await.unwrap();
    assert_eq!(removed.unwrap().0.healthcheck, None);
    let mut change = build::change();
    change.healthcheck = Some(Some(build::name("https://x.example/h")));
    let set = scene.store.update_tool(scene.tool.id, change, build::NOW).await.unwrap();
    assert!(set.unwrap().0.healthcheck.is_some());
}

pub async fn retiring_twice_keeps_the_first_time(store: Shared) {
    let scene = Scene::new(store).await;
    for at in [build::after(1), build::after(2)] {
        let mut change = build::change();
        change.retire = true;
        let (tool, _) = scene.store.update_tool(scene.tool.id, change, at).await.unwrap().unwrap();
        assert_eq!(tool.retired_at, Some(build::after(1)));
    }
    // An update that does not retire does not bring it back either.
    let (tool, _) = scene
        .store
        .update_tool(scene.tool.id, build::change(), build::after(3))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tool.retired_at, Some(build::after(1)));
}

pub async fn updating_no_tool_returns_none(store: Shared) {
    let missing = ToolId(Uuid::now_v7());
    let mut change = build::change();
    change.retire = true;
    assert!(store.update_tool(missing, change, build::NOW).await.unwrap().is_none());
    assert!(store.tool(missing).await.unwrap().is_none());
    assert_eq!(epoch(&store).await.0, 0);
}

pub async fn a_key_is_stored_as_given(store: Shared) {
    let scene = Scene::new(store).await;
    for role in Role::ALL {
        let bound = ApiKey {
            tenant_id: Some(scene.tenant.id),
            agent: Some(build::name("bot-7")),
            owner: Some(build::name("tenant-a/Zoë")),
            name: build::name("Schlüssel 🔑"),
            ..build::key(role)
        };
        for key in [bound, build::key(role)] {
            scene.store.create_key(key.clone()).await.unwrap();
            let newest = scene.store.keys(None, Page::first(1)).await.unwrap().items;
            assert_eq!(newest, std::slice::from_ref(&key));
            let control = scene.control().await;
            assert_eq!(**control.key(&key.hash).unwrap(), key);
        }
    }
}

pub async fn revoking_twice_keeps_the_first_time(store: Shared) {
    let key = build::key(Role::Operator);
    store.create_key(key.clone()).await.unwrap();
    for at in [build::after(1), build::after(2)] {
        let (revoked, _) = store.revoke_key(key.id, at).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(build::after(1)));
        assert_eq!(revoked.hash, key.hash);
    }
    assert_eq!(store.keys(None, Page::first(10)).await.unwrap().items.len(), 1);
    assert!(store.revoke_key(KeyId(Uuid::now_v7()), build::NOW).await.unwrap().is_none());
}

pub async fn recording_health_does_not_change_control_state(store: Shared) {
    let scene = Scene::new(store).await;
    let before = epoch(&scene.store).await;
    let statuses = [HealthStatus::Healthy, HealthStatus::Unhealthy, HealthStatus::Refused];
    for status in statuses {
        let health = build::health(status);
        scene.store.record_health(scene.tool.id, health.clone()).await.unwrap();
        let (tool, stored) = scene.store.tool(scene.tool.id).await.unwrap().unwrap();
        assert_eq!((tool, stored), (scene.tool.clone(), Some(health)));
    }
    assert_eq!(epoch(&scene.store).await, before);
    assert!(scene.store.control_changes(before).await.unwrap().tools.is_empty());
}

pub async fn health_of_no_tool_is_nothing(store: Shared) {
    let health = build::health(HealthStatus::Healthy);
    store.record_health(ToolId(Uuid::now_v7()), health).await.unwrap();
    assert!(store.tools(None, Page::first(10)).await.unwrap().items.is_empty());
}

/// Control characters, quotes, characters beyond the basic plane, and everything as long as
/// allowed.
pub async fn any_text_survives(store: Shared) {
    const ODD: &str = "a\u{1}b'\"; DROP TABLE tools; -- \u{1F600} e\u{301} \u{FFFF}\n\\";
    let mut tenant = build::tenant(&"a".repeat(63));
    tenant.display_name = build::name(&"名".repeat(128));
    let mut tool = build::tool(&tenant, &"t".repeat(128));
    tool.owner = build::name("O'Brien \"the\" owner; 🦀");
    tool.scopes = vec![String::new(), ODD.to_owned()];
    tool.metadata = build::object(json!({
        ODD: ODD, "": null, "n": u64::MAX, "f": 0.1, "deep": [[[{"x": [true]}]]],
    }));
    let registered = store.register_tool(tenant.clone(), tool.clone()).await.unwrap();
    assert_eq!((&registered.tenant, &registered.tool), (&tenant, &tool));
    let health = Health { detail: Some(ODD.to_owned()), ..build::health(HealthStatus::Unhealthy) };
    store.record_health(tool.id, health.clone()).await.unwrap();
    assert_eq!(store.tool(tool.id).await.unwrap().unwrap(), (tool.clone(), Some(health)));

    let mut kill = build::kill(build::scope_of(&tool));
    kill.actor = ODD.to_owned();
    kill.reason = build::name(&"理".repeat(500));
    kill.epoch = store.kill(kill.clone()).await.unwrap();
    let kills = store.kills(None, true, Page::first(1)).await.unwrap().items;
    assert_eq!(kills, [kill]);
}

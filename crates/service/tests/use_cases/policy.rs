//! Policy data and the record of changes, over a real store and several replicas.

use std::sync::Arc;

use sentinel_core::event::Event;
use sentinel_core::page::Page;
use sentinel_core::policy_change::PolicyChangeKind;
use sentinel_service::policy_data::{DataEdit, DataRequest, Expected};
use sentinel_service::subscription::Heard;
use sentinel_service::{Settings, Shared};
use sentinel_testkit::build::name;
use serde_json::{Value, json};

use crate::support::{ADMIN, App};

fn put(path: &str, value: Value) -> DataRequest {
    let edit = DataEdit::Put(value);
    DataRequest { path: name(path), edit, expected: Expected::Anything, reason: None }
}

/// G2 for data: a replica that has not heard of a change commits no allow that rests on what was
/// before, and denies nothing that is allowed by now.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replica_that_heard_nothing_decides_on_the_newest_data() {
    let app = App::start().await;
    // Follows no replica: it learns of changes only where a commit finds them.
    let deaf = app.replica(Settings::default(), Shared::default()).await;
    for round in 0..20 {
        app.services.policy_data.change(&ADMIN, put("/blocked", json!(round))).await.unwrap();
        assert_eq!(deaf.control.current().policy().data.version(), round * 2);
        let denied = deaf.checker.check(app.request()).await.unwrap();
        assert!(!denied.decision.allow, "round {round}");
        let remove = DataRequest { edit: DataEdit::Remove, ..put("/blocked", json!(0)) };
        app.services.policy_data.change(&ADMIN, remove).await.unwrap();
        assert!(deaf.checker.check(app.request()).await.unwrap().decision.allow);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_under_way_when_data_is_put_does_not_allow_by_the_old() {
    let app = App::start().await;
    let held = app.policy.gate.write().await;
    let checks: Vec<_> = (0..32)
        .map(|_| {
            let (services, request) = (Arc::clone(&app.services), app.request());
            tokio::spawn(async move { services.checker.check(request).await.unwrap() })
        })
        .collect();
    while app.policy.usage_seen.lock().unwrap().len() < 32 {
        tokio::task::yield_now().await;
    }
    // All of them have read the state in which nothing is blocked.
    let blocking = app.services.policy_data.change(&ADMIN, put("/blocked", json!(true)));
    blocking.await.unwrap();
    drop(held);
    for check in checks {
        assert!(!check.await.unwrap().decision.allow);
    }
}

#[tokio::test]
async fn data_survives_a_restart() {
    let app = App::start().await;
    app.services.policy_data.change(&ADMIN, put("/blocked/x", json!({"ü": [1]}))).await.unwrap();
    let app = app.restart().await;
    let found = app.services.policy_data.get(Some(&name("/blocked"))).await.unwrap().unwrap();
    assert_eq!((found.value, found.version), (json!({"x": {"ü": [1]}}), 1));
    assert!(!app.services.checker.check(app.request()).await.unwrap().decision.allow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_authors_who_read_the_same_one_has_to_read_again() {
    let app = App::start().await;
    let data = &app.services.policy_data;
    let first = data.change(&ADMIN, put("/limits", json!({"n": 0}))).await.unwrap().unwrap();
    let mut tag = first.tag;
    for round in 1..=10 {
        let expected = Expected::Tag(tag.clone());
        let both = (0..2).map(|author| {
            let request = DataRequest {
                expected: expected.clone(),
                ..put("/limits", json!({"n": round, "author": author}))
            };
            let data = data.clone();
            tokio::spawn(async move { data.change(&ADMIN, request).await })
        });
        let mut done = Vec::new();
        for each in both.collect::<Vec<_>>() {
            done.push(each.await.unwrap());
        }
        let refused = done.iter().filter_map(|done| done.as_ref().err());
        assert_eq!(refused.map(|error| error.code()).collect::<Vec<_>>(), ["policy_data_changed"]);
        tag = done.into_iter().flatten().flatten().next().unwrap().tag;
    }
    // A change that states no version overwrites, and loses nothing elsewhere.
    let tasks: Vec<_> = (0..8)
        .map(|index| {
            let data = data.clone();
            let request = put(&format!("/all/{index}"), json!(index));
            tokio::spawn(async move { data.change(&ADMIN, request).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all = data.get(Some(&name("/all"))).await.unwrap().unwrap();
    assert_eq!(all.value.as_object().unwrap().len(), 8);
    assert_eq!(all.version, 19);
}

#[tokio::test]
async fn what_is_there_already_is_no_change() {
    let app = App::start().await;
    let data = &app.services.policy_data;
    let first = data.change(&ADMIN, put("/a", json!({"x": 1, "y": 2}))).await.unwrap();
    let again = data.change(&ADMIN, put("/a", json!({"y": 2, "x": 1}))).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(data.history(None, Page::first(10)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn what_a_source_brings_is_recorded_once_and_told() {
    let app = App::start().await;
    let mut events = app.services.events.subscribe(None);
    for _ in 0..3 {
        app.services.policy_log.note_source("/etc/policies").await.unwrap();
    }
    let changes = app.services.policy_log.changes(Page::first(10)).await.unwrap().items;
    assert_eq!(changes.len(), 1);
    let change = &changes[0];
    assert_eq!(change.kind, PolicyChangeKind::Activated);
    assert_eq!(change.actor, "source:/etc/policies");
    assert_eq!(change.revision.as_deref(), Some("scripted"));
    let Some(Heard::Events(told)) = events.next().await else { panic!("nothing is told") };
    let Event::Policy(told) = &told[0].event else { panic!("{told:?}") };
    assert_eq!(told.id, change.id);
}

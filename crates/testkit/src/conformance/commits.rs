//! Committing decisions: what is recorded, in which order, and what is superseded.

use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::commit::{Batch, Outcome, claims_expire_before};
use sentinel_core::control::ControlState;
use sentinel_core::decision::ReasonCode;
use sentinel_core::policy::PolicyReason;
use sentinel_core::principal::Role;
use sentinel_core::quota::Window;
use serde_json::json;

use super::{Scene, Shared, at_once, commit, epoch, recorded};
use crate::build;

pub async fn a_decision_comes_back_as_recorded(store: Shared) {
    let scene = Scene::new(store).await;
    let key = build::key(Role::Agent);
    scene.store.create_key(key.clone()).await.unwrap();
    let check = scene.check().await.principal(&key).agent("bot").call_id("call-1");
    let check = check.arguments(json!({"q": "x"})).quota(5, Window::Hours(6));
    let mut full = check.pending();
    full.record.reason = "a reason; with 'quotes' \u{1F600}".to_owned();
    full.record.reasons =
        vec![PolicyReason { code: "why".to_owned(), msg: "since\u{1F600}".to_owned() }];
    full.record.event_metadata = build::object(json!({
        "request_id": "r", "context": {"\u{1}": "\u{7F}"}, "usage": u64::MAX, "obligations": [{}],
    }));
    full.record.duration_us = u64::MAX;
    let bare = scene.check().await.purpose(None).denied(ReasonCode::PolicyDenied).pending();
    let mut extreme = scene.check().await.pending();
    extreme.record.created_at = Timestamp::from_second(-62_135_596_800).unwrap();
    extreme.record.event_metadata.clear();
    let batch = build::batch(&scene.control().await, vec![full, bare, extreme]);
    let outcomes = scene.commit(batch).await;
    assert_eq!(outcomes.len(), 3);
    for (outcome, sequence) in outcomes.into_iter().zip(1..) {
        let record = recorded(outcome);
        assert_eq!(record.sequence, sequence);
        assert_eq!(scene.store.decision(record.id).await.unwrap().as_ref(), Some(&*record));
    }
    let first = scene.log().await.pop().unwrap();
    assert_eq!(first.principal, format!("key:{}", key.id));
    assert_eq!(first.quota_remaining, Some(4));
    assert_eq!(first.call_id, Some(build::name("call-1")));
}

pub async fn an_unknown_tenant_or_tool_is_recorded_too(store: Shared) {
    let scene = Scene::new(store).await;
    let control = scene.control().await;
    let batch = build::batch(
        &control,
        vec![
            build::check(&control, "missing", "search").pending(),
            build::check(&control, "acme", "nothing").pending(),
        ],
    );
    scene.commit(batch).await;
    let log = scene.log().await;
    assert_eq!(log[1].code, ReasonCode::UnknownTenant);
    assert_eq!((log[1].tenant_id, log[1].tool_id), (None, None));
    assert_eq!((log[1].tenant.as_str(), log[1].tool.as_str()), ("missing", "search"));
    assert_eq!(log[0].code, ReasonCode::UnknownTool);
    assert_eq!((log[0].tenant_id, log[0].tool_id), (Some(scene.tenant.id), None));
}

pub async fn an_empty_batch_commits(store: Shared) {
    let scene = Scene::new(store).await;
    let stale = Arc::new(ControlState::default());
    let committed = commit(&scene.store, Batch::new(stale)).await;
    assert!(committed.outcomes.is_empty());
    assert_eq!(committed.control.epoch(), epoch(&scene.store).await);
    assert!(scene.log().await.is_empty());
}

pub async fn the_largest_batch_commits(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.quota(1000, Window::DAY);
    let pendings = (0..Batch::MAX).map(|_| check.pending()).collect();
    let outcomes = scene.commit(build::batch(&scene.control().await, pendings)).await;
    let records: Vec<_> = outcomes.into_iter().map(recorded).collect();
    assert_eq!(records.len(), Batch::MAX);
    assert!(records.iter().map(|record| record.sequence).eq(1..=1024));
    assert_eq!(records.iter().filter(|record| record.allow).count(), 1000);
    assert_eq!(scene.log().await.len(), 1000, "a page is full");
}

pub async fn sequences_follow_the_order_of_commits(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    let check = scene.check().await;
    let shared = Arc::clone(&scene);
    let sequences = at_once(16, move |_| {
        let (scene, check) = (Arc::clone(&shared), check.clone());
        async move {
            let mut sequences = Vec::new();
            for size in 1..=6 {
                let pendings = (0..size).map(|_| check.pending()).collect();
                let batch = build::batch(&scene.control().await, pendings);
                let outcomes = scene.commit(batch).await;
                sequences.extend(outcomes.into_iter().map(|outcome| recorded(outcome).sequence));
            }
            // What is committed later comes later.
            assert!(sequences.is_sorted());
            sequences
        }
    })
    .await;
    let mut all: Vec<_> = sequences.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 16 * 21, "no sequence is given twice");
    let listed: Vec<_> = scene.log().await.iter().map(|record| record.sequence).collect();
    assert!(listed.iter().rev().eq(all.iter()));
}

async fn is_superseded(scene: &Scene, check: &build::Check) {
    let check = check.clone().quota(10, Window::DAY);
    let outcomes = scene.commit(check.batch()).await;
    assert!(matches!(outcomes[..], [Outcome::Superseded]), "{outcomes:?}");
    assert!(scene.log().await.is_empty(), "nothing was recorded");
    assert!(scene.counters().await.is_empty(), "nothing was counted");
}

pub async fn a_tool_that_changed_supersedes(store: Shared) {
    let scene = Scene::new(store).await;
    let stale = scene.check().await;
    let mut change = build::change();
    change.scopes = Some(vec!["admin".to_owned()]);
    scene.store.update_tool(scene.tool.id, change, build::after(1)).await.unwrap();
    is_superseded(&scene, &stale).await;
    assert!(scene.record(&scene.check().await).await.allow);
}

pub async fn a_retired_tool_supersedes(store: Shared) {
    let scene = Scene::new(store).await;
    let stale = scene.check().await;
    let mut change = build::change();
    change.retire = true;
    scene.store.update_tool(scene.tool.id, change, build::after(1)).await.unwrap();
    is_superseded(&scene, &stale).await;
    assert_eq!(scene.record(&scene.check().await).await.code, ReasonCode::ToolRetired);
}

pub async fn a_revoked_key_supersedes_an_allow(store: Shared) {
    let scene = Scene::new(store).await;
    let key = build::key(Role::Agent);
    scene.store.create_key(key.clone()).await.unwrap();
    let stale = scene.check().await.principal(&key);
    scene.store.revoke_key(key.id, build::after(1)).await.unwrap();
    is_superseded(&scene, &stale).await;
    let check = scene.check().await.principal(&key);
    assert_eq!(scene.record(&check).await.code, ReasonCode::KeyRevoked);
}

pub async fn a_tool_registered_meanwhile_supersedes_its_absence(store: Shared) {
    let scene = Scene::new(store).await;
    let stale = build::check(&scene.control().await, "acme", "later");
    scene.add_tool("later").await;
    is_superseded(&scene, &stale).await;
}

pub async fn another_tool_that_changed_supersedes_nothing(store: Shared) {
    let scene = Scene::new(store).await;
    let stale = scene.check().await;
    let other = scene.add_tool("other").await;
    scene.store.update_tool(other.id, build::change(), build::after(1)).await.unwrap();
    assert!(scene.record(&stale).await.allow);
}

/// The database went back to an older copy: what was decided rests on a state that is lost.
pub async fn a_batch_from_the_future_is_refused(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    let mut changes = scene.store.control_changes(Default::default()).await.unwrap();
    changes.epoch.0 += 5;
    let future = Arc::new(ControlState::default().after(changes));
    let batch = build::batch(&future, vec![check.pending()]);
    let refused = scene.store.commit_decisions(batch, claims_expire_before(build::NOW)).await;
    assert!(refused.is_err());
    assert!(scene.log().await.is_empty());
    assert!(scene.record(&check).await.allow);
}

//! What the store says of policy: the record of changes, data, rollouts.

use std::collections::BTreeSet;
use std::sync::Arc;

use sentinel_core::commit::Outcome;
use sentinel_core::control::ControlState;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{PolicyChangeId, RolloutId};
use sentinel_core::page::Page;
use sentinel_core::permit::Redeemed;
use sentinel_core::policy_change::{PolicyChange, PolicyChangeKind};
use sentinel_core::policy_data::DataPath;
use sentinel_core::ports::{DataChange, RecordedData, RolloutStep};
use sentinel_core::principal::Principal;
use sentinel_core::rollout::{Percent, PolicyFiles, Rollout, RolloutState};
use sentinel_core::store::StoreError;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, Shared, at_once, control, epoch};
use crate::build;

fn change(kind: PolicyChangeKind) -> PolicyChange {
    PolicyChange {
        id: PolicyChangeId(Uuid::now_v7()),
        kind,
        actor: "source:/etc/policies".to_owned(),
        author: None,
        revision: None,
        path: None,
        data_version: None,
        rollout_id: None,
        reason: None,
        detail: None,
        epoch: None,
        at: build::NOW,
    }
}

fn activated(revision: &str) -> PolicyChange {
    PolicyChange { revision: Some(revision.to_owned()), ..change(PolicyChangeKind::Activated) }
}

fn data_change(state: &ControlState, path: &str, value: Option<Value>) -> DataChange {
    let data = &state.policy().data;
    let path: DataPath = build::name(path);
    let (kind, entries) = match &value {
        Some(value) => (PolicyChangeKind::DataPut, data.put(&path, value.clone())),
        None => (PolicyChangeKind::DataRemoved, data.remove(&path)),
    };
    let change = PolicyChange {
        actor: "key:1".to_owned(),
        author: Some("alice ✓".to_owned()),
        reason: Some(build::name("incident 4711")),
        path: Some(path),
        ..change(kind)
    };
    DataChange { base: data.version(), entries: entries.unwrap(), change, value }
}

/// Puts, or removes, on what the store holds now.
async fn put(store: &Shared, path: &str, value: Option<Value>) -> Epoch {
    let state = control(store).await;
    store.change_policy_data(data_change(&state, path, value)).await.unwrap().unwrap()
}

async fn changes(store: &Shared) -> Vec<PolicyChange> {
    store.policy_changes(Page::first(1000)).await.unwrap().items
}

async fn history(store: &Shared, path: &str) -> Vec<RecordedData> {
    let path = (!path.is_empty()).then(|| build::name(path));
    store.policy_data_history(path, Page::first(1000)).await.unwrap().items
}

fn rollout(revision: &str) -> (Rollout, PolicyFiles, PolicyChange) {
    let rollout = Rollout {
        id: RolloutId(Uuid::now_v7()),
        revision: revision.to_owned(),
        digest: format!("digest of {revision}"),
        tenants: BTreeSet::from([build::name("acme"), build::name("beta")]),
        percent: Percent::try_from(7).unwrap(),
        state: RolloutState::Monitored,
        over: None,
        actor: "key:1".to_owned(),
        started_at: build::NOW,
    };
    let files = PolicyFiles::from([
        ("p.rego".to_owned(), "package p\n# ✓ 'quoted' \"twice\"".to_owned()),
        ("a/data.json".to_owned(), "{}".to_owned()),
    ]);
    let change = PolicyChange {
        rollout_id: Some(rollout.id),
        revision: Some(revision.to_owned()),
        ..change(PolicyChangeKind::RolloutStarted)
    };
    (rollout, files, change)
}

async fn step(
    store: &Shared,
    id: RolloutId,
    from: RolloutState,
    to: RolloutState,
) -> Option<Epoch> {
    let over = (to == RolloutState::Promoted).then(|| "digest of the source".to_owned());
    let step = RolloutStep { id, from, to, over };
    let kind = match to {
        RolloutState::Promoted => PolicyChangeKind::RolloutPromoted,
        _ => PolicyChangeKind::RolloutDropped,
    };
    store.move_rollout(step, change(kind)).await.unwrap()
}

pub async fn what_a_source_repeats_is_recorded_once(store: Shared) {
    let first = activated("1");
    assert!(store.record_policy_change(first.clone()).await.unwrap());
    assert!(!store.record_policy_change(activated("1")).await.unwrap());
    let mut refused = change(PolicyChangeKind::Refused);
    refused.detail = Some("policy.rego:3:7: nonsense".to_owned());
    assert!(store.record_policy_change(refused.clone()).await.unwrap());
    let again = PolicyChange { id: PolicyChangeId(Uuid::now_v7()), ..refused.clone() };
    assert!(!store.record_policy_change(again).await.unwrap());
    let other = PolicyChange { actor: "source:https://b.example/b".to_owned(), ..activated("1") };
    assert!(store.record_policy_change(other.clone()).await.unwrap());
    // What came between was another: this is news again.
    let back = activated("1");
    assert!(store.record_policy_change(back.clone()).await.unwrap());
    assert_eq!(changes(&store).await, [back, other, refused, first]);
    assert_eq!(epoch(&store).await, Epoch(0), "no change of control state");
}

pub async fn replicas_record_what_they_all_load_once(store: Shared) {
    let recording = Shared::clone(&store);
    let recorded = at_once(16, move |_| {
        let store = Shared::clone(&recording);
        async move { store.record_policy_change(activated("1")).await.unwrap() }
    })
    .await;
    assert_eq!(recorded.into_iter().filter(|recorded| *recorded).count(), 1);
    assert_eq!(changes(&store).await.len(), 1);
}

pub async fn policy_changes_are_paged_newest_first(store: Shared) {
    for index in 0..5 {
        store.record_policy_change(activated(&index.to_string())).await.unwrap();
        put(&store, &format!("/n/{index}"), Some(json!(index))).await;
    }
    let (mut cursor, mut found) = (None, Vec::new());
    loop {
        let paged = store.policy_changes(Page { limit: 3, cursor }).await.unwrap();
        found.extend(paged.items);
        cursor = paged.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let at: Vec<_> = found.iter().map(|change| (change.kind, change.data_version)).collect();
    let expected = (1..=5).rev().flat_map(|version| {
        [(PolicyChangeKind::DataPut, Some(version)), (PolicyChangeKind::Activated, None)]
    });
    assert_eq!(at, expected.collect::<Vec<_>>());
    let bad = Page { limit: 3, cursor: Some("x".to_owned()) };
    assert_eq!(store.policy_changes(bad.clone()).await, Err(StoreError::BadCursor));
    assert_eq!(store.policy_data_history(None, bad).await, Err(StoreError::BadCursor));
}

pub async fn data_comes_back_as_put(store: Shared) {
    let value = json!({"ü\"'": ["\u{1f600}", 1, -0.5, u64::MAX, null, true], "z": {"a": {}}});
    let since = epoch(&store).await;
    let began = put(&store, "/limits/acme~1x/ü", Some(value.clone())).await;
    assert_eq!(began, Epoch(since.0 + 1));
    put(&store, "/limits/other", Some(json!(2))).await;
    put(&store, "/gone", Some(json!(3))).await;
    let known = control(&store).await;
    put(&store, "/gone", None).await;

    let state = control(&store).await;
    assert_eq!(state.policy().data.get(&build::name("/limits/acme~1x/ü")), Some(value.clone()));
    assert_eq!(state.policy().data.version(), 4, "what was removed last says the version");
    assert_eq!(state.policy().data.entries().count(), 2);
    // A caller that knew what is gone hears of it.
    let told = known.after(store.control_changes(known.epoch()).await.unwrap());
    assert_eq!(told.policy().data.document(), state.policy().data.document());
    assert_eq!(told.policy().data.version(), 4);

    let all = history(&store, "").await;
    let what: Vec<_> = all.iter().map(|r| (r.change.kind, r.change.data_version)).collect();
    let put = PolicyChangeKind::DataPut;
    let removed = PolicyChangeKind::DataRemoved;
    assert_eq!(what, [(removed, Some(4)), (put, Some(3)), (put, Some(2)), (put, Some(1))]);
    assert_eq!(all[3].value, Some(value));
    assert_eq!((all[0].value.as_ref(), all[3].change.epoch), (None, Some(began)));
    assert_eq!(all[3].change.author.as_deref(), Some("alice ✓"));
}

pub async fn the_history_of_a_path_is_what_touched_it(store: Shared) {
    for path in ["/a/b", "/a/bc", "/a%", "/a/b/c", "/other"] {
        put(&store, path, Some(json!({"x": path}))).await;
    }
    put(&store, "/a", Some(json!({"b": 1}))).await;
    let versions = |found: Vec<RecordedData>| -> Vec<u64> {
        found.into_iter().filter_map(|recorded| recorded.change.data_version).collect()
    };
    assert_eq!(versions(history(&store, "/a/b").await), [6, 4, 1]);
    assert_eq!(versions(history(&store, "/a").await), [6, 4, 2, 1]);
    assert_eq!(versions(history(&store, "/a%").await), [3]);
    assert!(history(&store, "/nothing").await.is_empty());
}

pub async fn data_based_on_another_version_is_not_put(store: Shared) {
    let state = control(&store).await;
    let (first, second) =
        (data_change(&state, "/a", Some(json!(1))), data_change(&state, "/b", Some(json!(2))));
    assert_eq!(store.change_policy_data(first).await.unwrap(), Some(Epoch(1)));
    assert_eq!(store.change_policy_data(second).await.unwrap(), None);
    assert_eq!((changes(&store).await.len(), epoch(&store).await), (1, Epoch(1)));
    let mut future = data_change(&*control(&store).await, "/b", Some(json!(2)));
    future.base = 2;
    assert_eq!(store.change_policy_data(future).await.unwrap(), None);
}

pub async fn concurrent_authors_do_not_overwrite_each_other(store: Shared) {
    let shared = Shared::clone(&store);
    at_once(8, move |index| {
        let store = Shared::clone(&shared);
        async move {
            loop {
                let state = control(&store).await;
                let change = data_change(&state, &format!("/all/{index}"), Some(json!(index)));
                if store.change_policy_data(change).await.unwrap().is_some() {
                    break;
                }
            }
        }
    })
    .await;
    let data = Arc::clone(&control(&store).await.policy().data);
    assert_eq!((data.version(), data.entries().count()), (8, 8));
    let mut versions: Vec<_> =
        history(&store, "").await.iter().filter_map(|r| r.change.data_version).collect();
    versions.reverse();
    assert_eq!(versions, (1..=8).collect::<Vec<_>>());
}

/// The mechanism of G2, for data: an allow that rests on older data does not commit.
pub async fn data_put_between_snapshot_and_commit_supersedes(store: Shared) {
    let scene = Scene::new(store).await;
    let state = scene.control().await;
    let allow = build::check(&state, "acme", "search");
    let unknown = build::check(&state, "acme", "nothing");
    put(&scene.store, "/blocked/search", Some(json!(true))).await;
    let batch = build::batch(&state, vec![allow.pending(), unknown.pending()]);
    let outcomes = scene.commit(batch).await;
    assert!(matches!(outcomes[0], Outcome::Superseded), "{outcomes:?}");
    let Outcome::Recorded(deny) = &outcomes[1] else { panic!("{outcomes:?}") };
    assert_eq!(deny.code, ReasonCode::UnknownTool, "it rests on no policy");
    let again = scene.check().await;
    assert!(scene.record(&again).await.allow);
}

/// Nor is an earlier allow returned again, or redeemed, by what was decided on the data before.
pub async fn data_put_meanwhile_supersedes_repeats_and_redemptions(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.call_id("call-1");
    let first = scene.record(&check).await;
    let redemption = check.redemption(first.id, Principal::LOCAL);
    put(&scene.store, "/blocked/search", Some(json!(true))).await;
    for stale in [check.clone(), check.clone().denied(ReasonCode::RateLimited)] {
        let outcomes = scene.commit(stale.batch()).await;
        assert!(matches!(outcomes[..], [Outcome::Superseded]), "{outcomes:?}");
    }
    let (redeemed, control) = scene.store.redeem_permit(redemption).await.unwrap();
    assert_eq!(redeemed, Redeemed::Superseded);
    let again = build::check(&control, "acme", "search").call_id("call-1");
    let outcomes = scene.commit(again.batch()).await;
    assert!(matches!(&outcomes[..], [Outcome::Replayed(record)] if *record == first));
    let redemption = again.redemption(first.id, Principal::LOCAL);
    assert_eq!(scene.store.redeem_permit(redemption).await.unwrap().0, Redeemed::Done);
}

pub async fn a_rollout_goes_from_monitored_to_promoted_to_dropped(store: Shared) {
    let (candidate, files, started) = rollout("2.0");
    let began = store.start_rollout(candidate.clone(), files.clone(), started).await.unwrap();
    assert_eq!(began, Some(Epoch(1)));
    assert_eq!(store.rollout_files(candidate.id).await.unwrap(), Some(files));
    assert_eq!(store.rollout_files(RolloutId(Uuid::nil())).await.unwrap(), None);
    let state = control(&store).await;
    assert_eq!(state.policy().monitored.as_deref(), Some(&candidate));

    let (another, files, change) = rollout("3.0");
    assert_eq!(store.start_rollout(another, files, change).await.unwrap(), None, "one at a time");
    let nil = RolloutId(Uuid::nil());
    assert_eq!(step(&store, nil, RolloutState::Monitored, RolloutState::Promoted).await, None);

    let promoted =
        step(&store, candidate.id, RolloutState::Monitored, RolloutState::Promoted).await;
    assert_eq!(promoted, Some(Epoch(2)));
    let state = state.after(store.control_changes(state.epoch()).await.unwrap());
    assert!(state.policy().monitored.is_none());
    let in_force = state.policy().promoted.clone().unwrap();
    assert_eq!(in_force.over.as_deref(), Some("digest of the source"));
    let again = step(&store, candidate.id, RolloutState::Monitored, RolloutState::Promoted).await;
    assert_eq!(again, None);

    let dropped = step(&store, candidate.id, RolloutState::Promoted, RolloutState::Dropped).await;
    assert_eq!(dropped, Some(Epoch(3)));
    let state = state.after(store.control_changes(state.epoch()).await.unwrap());
    assert!(state.policy().promoted.is_none());
    let fresh = control(&store).await;
    assert!(fresh.policy().promoted.is_none() && fresh.policy().monitored.is_none());
    let kinds: Vec<_> = changes(&store).await.iter().map(|change| change.kind).collect();
    let expected = [
        PolicyChangeKind::RolloutDropped,
        PolicyChangeKind::RolloutPromoted,
        PolicyChangeKind::RolloutStarted,
    ];
    assert_eq!(kinds, expected);
}

pub async fn promoting_another_drops_the_one_before(store: Shared) {
    let mut states = vec![control(&store).await];
    for revision in ["1", "2"] {
        let (candidate, files, change) = rollout(revision);
        let id = candidate.id;
        store.start_rollout(candidate, files, change).await.unwrap().unwrap();
        step(&store, id, RolloutState::Monitored, RolloutState::Promoted).await.unwrap();
        states.push(control(&store).await);
    }
    // Whichever was known before, and whatever is told at once.
    for known in states {
        let state = known.after(store.control_changes(known.epoch()).await.unwrap());
        assert_eq!(state.policy().promoted.as_ref().unwrap().revision, "2");
    }
    let (candidate, files, change) = rollout("3");
    let id = candidate.id;
    store.start_rollout(candidate, files, change).await.unwrap().unwrap();
    step(&store, id, RolloutState::Monitored, RolloutState::Dropped).await.unwrap();
    let state = control(&store).await;
    assert_eq!(state.policy().promoted.as_ref().unwrap().revision, "2");
    assert!(state.policy().monitored.is_none());
}

pub async fn a_promotion_between_snapshot_and_commit_supersedes(store: Shared) {
    let scene = Scene::new(store).await;
    let (candidate, files, change) = rollout("2");
    let id = candidate.id;
    let before = scene.check().await;
    scene.store.start_rollout(candidate, files, change).await.unwrap().unwrap();
    let monitored = scene.check().await;
    assert!(scene.record(&before).await.allow, "monitoring changes no decision");
    step(&scene.store, id, RolloutState::Monitored, RolloutState::Promoted).await.unwrap();
    for check in [before, monitored] {
        let outcomes = scene.commit(check.batch()).await;
        assert!(matches!(outcomes[0], Outcome::Superseded), "{outcomes:?}");
    }
}

//! Quotas: exact, whatever happens at once.

use std::sync::Arc;

use sentinel_core::decision::ReasonCode;
use sentinel_core::page::Page;
use sentinel_core::quota::Window;

use super::{Scene, Shared, at_once, commit, recorded};
use crate::build;

pub async fn a_quota_is_exact_under_concurrency(store: Shared) {
    const LIMIT: u64 = 333;
    let scene = Arc::new(Scene::new(store).await);
    let check = scene.check().await.quota(LIMIT, Window::DAY);
    let shared = Arc::clone(&scene);
    // 64 batches of 1 to 16: 544 calls.
    let records = at_once(64, move |index| {
        let (scene, check) = (Arc::clone(&shared), check.clone());
        async move {
            let pendings = (0..=index % 16).map(|_| check.pending()).collect();
            let batch = build::batch(&scene.control().await, pendings);
            scene.commit(batch).await.into_iter().map(recorded).collect::<Vec<_>>()
        }
    })
    .await;
    let mut records: Vec<_> = records.into_iter().flatten().collect();
    records.sort_by_key(|record| record.sequence);
    let (allowed, denied): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.allow);
    assert_eq!((allowed.len(), denied.len()), (333, 211));
    // In the order of commits, each allow leaves one less.
    let remaining = allowed.iter().map(|record| record.quota_remaining.unwrap());
    assert!(remaining.eq((0..LIMIT).rev()));
    for record in denied {
        assert_eq!(record.code, ReasonCode::QuotaExceeded);
        assert_eq!(record.quota_remaining, Some(0));
    }
    let counters = scene.counters().await;
    assert_eq!(counters.len(), 1);
    assert_eq!((counters[0].used, counters[0].limit), (LIMIT, Some(LIMIT)));
    assert_eq!(scene.log().await.len(), 544);
}

pub async fn the_first_of_a_batch_get_what_is_left(store: Shared) {
    let scene = Scene::new(store).await;
    let other = scene.add_tool("other").await;
    let control = scene.control().await;
    let search = build::check(&control, "acme", "search").quota(3, Window::DAY);
    let beside = build::check(&control, "acme", other.name.as_str()).quota(1, Window::DAY);
    scene.record(&search).await;
    let pendings = vec![
        search.pending(),
        beside.pending(),
        search.clone().denied(ReasonCode::PolicyDenied).pending(),
        search.pending(),
        search.pending(),
        beside.pending(),
    ];
    let outcomes = scene.commit(build::batch(&control, pendings)).await;
    let got: Vec<_> = outcomes
        .into_iter()
        .map(recorded)
        .map(|record| (record.allow, record.quota_remaining))
        .collect();
    let expected = [
        (true, Some(1)),
        (true, Some(0)),
        (false, None),
        (true, Some(0)),
        (false, Some(0)),
        (false, Some(0)),
    ];
    assert_eq!(got, expected);
}

pub async fn what_is_used_is_returned(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.quota(2, Window::DAY);
    for used in [1, 2, 2] {
        let committed = commit(&scene.store, check.batch()).await;
        let key = check.pending().counter.unwrap();
        assert_eq!(committed.used, [(key, used)]);
    }
}

pub async fn a_deny_is_not_counted(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.quota(5, Window::DAY);
    scene.record(&check.clone().denied(ReasonCode::PolicyDenied)).await;
    assert!(scene.counters().await.is_empty());
    scene.record(&check).await;
    scene.record(&check.denied(ReasonCode::PolicyDenied)).await;
    assert_eq!(scene.counters().await[0].used, 1);
}

pub async fn windows_are_counted_apart(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    for window in [Window::Hours(23), Window::DAY, Window::Minutes(1), Window::Month] {
        let check = check.clone().quota(1, window);
        assert!(scene.record(&check).await.allow, "{window}");
        assert!(!scene.record(&check).await.allow, "{window}");
        // The next window begins at nothing, the one before is not refilled.
        let end = window.span(build::NOW).unwrap().end;
        assert!(scene.record(&check.clone().at(end)).await.allow, "{window}");
        assert!(!scene.record(&check).await.allow, "{window}");
    }
    assert_eq!(scene.counters().await.len(), 4);
}

pub async fn windows_of_one_length_are_one_counter(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    let mut allowed = 0;
    for window in [Window::DAY, Window::Hours(24), Window::Minutes(1440)].repeat(3) {
        let limited = check.clone().quota(5, window);
        allowed += usize::from(scene.record(&limited).await.allow);
    }
    assert_eq!(allowed, 5);
    // In one batch, too, they are one reservation.
    let control = scene.control().await;
    let week = [Window::Days(7), Window::Hours(168), Window::Minutes(10_080)];
    let pendings = week.map(|window| check.clone().quota(2, window).pending());
    let outcomes = scene.commit(build::batch(&control, pendings.into())).await;
    let allowed = outcomes.into_iter().filter(|outcome| match outcome {
        super::Outcome::Recorded(record) => record.allow,
        other => panic!("{other:?}"),
    });
    assert_eq!(allowed.count(), 2);
    let counters = scene.counters().await;
    let windows: Vec<_> = counters.iter().map(|counter| counter.key.window.to_string()).collect();
    assert_eq!(windows, ["1d", "7d"]);
}

pub async fn a_call_without_quota_is_counted(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    for _ in 0..3 {
        assert_eq!(scene.record(&check).await.quota_remaining, None);
    }
    let counters = scene.counters().await;
    assert_eq!((counters[0].used, counters[0].limit), (3, None));
    assert_eq!(counters[0].key, check.pending().counter.unwrap());
}

pub async fn a_lowered_limit_holds_at_once(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await;
    for _ in 0..3 {
        assert!(scene.record(&check.clone().quota(10, Window::DAY)).await.allow);
    }
    let refused = scene.record(&check.clone().quota(2, Window::DAY)).await;
    assert!(!refused.allow);
    assert!(refused.reason.contains("quota of 2 per 1d"), "{}", refused.reason);
    let counters = scene.counters().await;
    assert_eq!((counters[0].used, counters[0].limit), (3, Some(2)));
    let raised = scene.record(&check.quota(4, Window::DAY)).await;
    assert_eq!((raised.allow, raised.quota_remaining), (true, Some(0)));
}

pub async fn the_largest_limit_is_kept(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.quota(u64::MAX, Window::DAY);
    let record = scene.record(&check).await;
    assert_eq!(record.quota_remaining, Some(u64::MAX - 1));
    assert_eq!(scene.store.decision(record.id).await.unwrap().as_ref(), Some(&*record));
    assert_eq!(scene.counters().await[0].limit, Some(u64::MAX));
}

pub async fn counters_are_those_of_the_moment(store: Shared) {
    let scene = Scene::new(store).await;
    let check = scene.check().await.quota(9, Window::Minutes(1));
    for minute in 0..5 {
        scene.record(&check.clone().at(build::after(60 * minute))).await;
    }
    let span = Window::Minutes(1).span(build::NOW).unwrap();
    for (at, start) in [(span.start, span.start), (build::NOW, span.start), (span.end, span.end)] {
        let counters = scene.store.counters(None, at, Page::first(10)).await.unwrap().items;
        assert_eq!(counters.len(), 1);
        assert_eq!(counters[0].key.span.start, start);
        assert_eq!(counters[0].used, 1);
    }
    let later = scene.store.counters(None, build::after(86_400), Page::first(10)).await.unwrap();
    assert!(later.items.is_empty());
}

pub async fn counters_are_paged(store: Shared) {
    let scene = Scene::new(store).await;
    let other = build::tenant("other");
    let tool = build::tool(&other, "search");
    let other = scene.store.register_tool(other, tool).await.unwrap().tenant;
    for index in 0..6 {
        scene.add_tool(&build::distinct(index)).await;
    }
    let control = scene.control().await;
    for index in 0..6 {
        for window in [Window::DAY, Window::Month] {
            let tool = build::distinct(index);
            scene.record(&build::check(&control, "acme", &tool).quota(5, window)).await;
        }
    }
    scene.record(&build::check(&control, "other", "search").quota(5, Window::DAY)).await;
    for (tenant, count) in [(None, 13), (Some(scene.tenant.id), 12), (Some(other.id), 1)] {
        let mut page = Page::first(5);
        let mut keys = Vec::new();
        loop {
            let paged = scene.store.counters(tenant, build::NOW, page.clone()).await.unwrap();
            assert!(paged.items.len() <= 5);
            keys.extend(paged.items.iter().map(|counter| counter.key));
            let Some(cursor) = paged.next_cursor else { break };
            page.cursor = Some(cursor);
        }
        assert_eq!(keys.len(), count);
        assert!(keys.is_sorted_by_key(|key| (key.tenant_id, key.tool_id)));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "each once");
    }
}

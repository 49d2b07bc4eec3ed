//! Asking for decisions.

use std::collections::HashSet;
use std::sync::Arc;

use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::DecisionId;
use sentinel_core::page::Page;
use uuid::Uuid;

use super::{Scene, Shared};
use crate::build;

/// Every decision that `filter` lets through, read in pages of `limit`.
async fn collect(scene: &Scene, filter: &DecisionFilter, limit: u32) -> Vec<DecisionRecord> {
    let mut page = Page::first(limit);
    let mut found = Vec::new();
    loop {
        let paged = scene.store.decisions(filter.clone(), page.clone()).await.unwrap();
        assert!(paged.items.len() <= usize::try_from(limit).unwrap());
        found.extend(paged.items);
        let Some(cursor) = paged.next_cursor else { return found };
        page.cursor = Some(cursor);
    }
}

fn passes(record: &DecisionRecord, filter: &DecisionFilter) -> bool {
    filter.tenant_id.is_none_or(|id| record.tenant_id == Some(id))
        && filter.tool.as_ref().is_none_or(|tool| record.tool == *tool)
        && filter.agent.as_ref().is_none_or(|agent| record.agent.as_ref() == Some(agent))
        && filter.allow.is_none_or(|allow| record.allow == allow)
        && filter.code.is_none_or(|code| record.code == code)
        && filter.from.is_none_or(|from| record.created_at >= from)
        && filter.to.is_none_or(|to| record.created_at < to)
}

pub async fn no_such_decision_is_none(store: Shared) {
    assert!(store.decision(DecisionId(Uuid::now_v7())).await.unwrap().is_none());
    let paged = store.decisions(DecisionFilter::default(), Page::first(10)).await.unwrap();
    assert!(paged.items.is_empty() && paged.next_cursor.is_none());
}

/// Two tenants, tools, agents, four codes and ten seconds; every filter, alone and combined,
/// against the same filter in memory.
pub async fn every_filter_narrows(store: Shared) {
    let scene = Scene::new(store).await;
    scene.add_tool("other").await;
    let beside = build::tenant("beside");
    let tool = build::tool(&beside, "search");
    let beside = scene.store.register_tool(beside, tool).await.unwrap().tenant;
    let control = scene.control().await;
    let names = [("acme", "search"), ("acme", "other"), ("beside", "search"), ("acme", "nothing")];
    let mut pendings = Vec::new();
    for index in 0..160 {
        let (tenant, tool) = names[index % 4];
        let mut check = build::check(&control, tenant, tool);
        check = check.at(build::after(i64::try_from(index / 16).unwrap()));
        if index % 3 > 0 {
            check = check.agent(["bot", "bot2"][index % 3 - 1]);
        }
        if index % 5 == 0 {
            check = check.denied(ReasonCode::PolicyTimeout);
        }
        pendings.push(check.pending());
    }
    scene.commit(build::batch(&control, pendings)).await;
    let all = scene.log().await;
    assert_eq!(all.len(), 160);
    assert!(all.windows(2).all(|pair| pair[0].sequence > pair[1].sequence), "newest first");
    for mask in 0..128_u32 {
        let on = |bit: u32| mask & (1 << bit) != 0;
        let filter = DecisionFilter {
            tenant_id: on(0).then_some(if on(1) { beside.id } else { scene.tenant.id }),
            tool: on(1).then(|| build::name("search")),
            agent: on(2).then(|| build::name("bot")),
            allow: on(3).then_some(on(2)),
            code: on(4).then_some(if on(3) {
                ReasonCode::Allowed
            } else {
                ReasonCode::UnknownTool
            }),
            from: on(5).then_some(build::after(2)),
            to: on(6).then_some(build::after(7)),
            self_tests: false,
        };
        let expected: Vec<_> =
            all.iter().filter(|record| passes(record, &filter)).cloned().collect();
        assert_eq!(collect(&scene, &filter, 7).await, expected, "{filter:?}");
    }
    let denies = DecisionFilter { code: Some(ReasonCode::PolicyTimeout), ..Default::default() };
    assert_eq!(collect(&scene, &denies, 100).await.len(), 24);
}

/// Times do not follow the order of commits, so no filter may rely on it.
pub async fn time_filters_hold_when_clocks_jump(store: Shared) {
    let scene = Scene::new(store).await;
    let control = scene.control().await;
    let check = scene.check().await;
    for round in 0..4_i64 {
        let pendings = (0..700_i64).map(|index| {
            let second = (index * 7919 + round * 104_729) % 5000 - 2500;
            check.clone().at(build::after(second)).pending()
        });
        scene.commit(build::batch(&control, pendings.collect())).await;
    }
    let everything = collect(&scene, &DecisionFilter::default(), 1000).await;
    assert_eq!(everything.len(), 2800);
    for (from, to) in [(-2600, 2600), (0, 1), (-10, 10), (2490, 9000), (9000, 9001), (5, 5)] {
        let (from, to) = (Some(build::after(from)), Some(build::after(to)));
        for filter in [
            DecisionFilter { from, to, ..Default::default() },
            DecisionFilter { from, ..Default::default() },
            DecisionFilter { to, tenant_id: Some(scene.tenant.id), ..Default::default() },
        ] {
            let expected = everything.iter().filter(|record| passes(record, &filter)).count();
            assert_eq!(collect(&scene, &filter, 999).await.len(), expected, "{filter:?}");
        }
    }
}

/// Read in pages while more are committed: what was there at first is read once, all of it.
pub async fn decisions_are_complete_under_concurrent_commits(store: Shared) {
    let scene = Arc::new(Scene::new(store).await);
    let check = scene.check().await;
    let mut before = HashSet::new();
    for _ in 0..10 {
        let pendings = (0..30).map(|_| check.pending()).collect();
        before.extend(
            scene.commit(build::batch(&scene.control().await, pendings)).await.iter().map(
                |outcome| match outcome {
                    sentinel_core::commit::Outcome::Recorded(record) => record.id,
                    other => panic!("{other:?}"),
                },
            ),
        );
    }
    let writer = Arc::clone(&scene);
    let writing = tokio::spawn(async move {
        for _ in 0..50 {
            writer.record(&check).await;
        }
    });
    let found = collect(&scene, &DecisionFilter::default(), 11).await;
    writing.await.unwrap();
    let distinct: HashSet<_> = found.iter().map(|record| record.id).collect();
    assert_eq!(distinct.len(), found.len(), "nothing twice");
    assert!(before.is_subset(&distinct), "nothing left out");
}

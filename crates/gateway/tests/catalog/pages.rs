//! Trap 8: pages of upstreams are followed to an end, and our own pages are full.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Fake, World, ask, names, names_of, settings, sound};

fn tools(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|n| sound(&format!("tool-{n}x"))).collect()
}

#[tokio::test]
async fn the_pages_of_an_upstream_become_one() {
    let fake = Fake::new("files");
    let pages = vec![
        json!({"tools": tools(0..3), "nextCursor": "a"}),
        json!({"tools": [], "nextCursor": "b"}),
        json!({"tools": tools(3..5)}),
    ];
    fake.set("tools/list", pages);
    let world = World::merged(&[&fake]);
    let page = ask(&world.client(), "tools/list", json!({})).await.unwrap();
    assert_eq!(names_of(&page).len(), 5);
    assert_eq!(page.get("nextCursor"), None);
}

#[tokio::test]
async fn a_server_that_repeats_a_cursor_is_not_read_for_ever() {
    let fake = Fake::new("files");
    fake.set("tools/list", vec![json!({"tools": tools(0..1), "nextCursor": "again"})]);
    let world = World::merged(&[&fake]);
    names(&world.client(), "tools/list").await;
    assert!(fake.count("tools/list") <= 2);
}

#[tokio::test]
async fn an_endless_list_is_cut() {
    let fake = Fake::new("files");
    let page = |n: usize| json!({"tools": tools(n..n + 1), "nextCursor": n.to_string()});
    fake.set("tools/list", (0..1_000).map(page).collect());
    let world = World::merged(&[&fake]);
    let names = names(&world.client(), "tools/list").await;
    assert_eq!(names.len(), settings().max_pages);
    assert_eq!(fake.count("tools/list"), settings().max_pages);
}

#[tokio::test]
async fn a_page_that_policy_empties_is_not_handed_out() {
    let fake = Fake::new("files");
    fake.set_tools(tools(0..100));
    let mut settings = settings();
    settings.page_items = 10;
    let world = World::with(&[&fake], settings);
    let hidden: Vec<_> = (0..99).map(|n| format!("files__tool-{n}x")).collect();
    world.ledger.hide(&hidden.iter().map(String::as_str).collect::<Vec<_>>());
    let page = ask(&world.client(), "tools/list", json!({})).await.unwrap();
    assert_eq!(names_of(&page), ["files__tool-99x"]);
    assert_eq!(page.get("nextCursor"), None);
}

#[tokio::test]
async fn a_cursor_of_another_principal_list_or_version_is_refused() {
    let fake = Fake::new("files");
    fake.set_tools(tools(0..20));
    fake.set("prompts/list", vec![json!({"prompts": [{"name": "a"}]})]);
    let mut settings = settings();
    settings.page_items = 5;
    let world = World::with(&[&fake], settings);
    let client = world.client();
    let page = ask(&client, "tools/list", json!({})).await.unwrap();
    let cursor = page["nextCursor"].clone();
    let next = json!({"cursor": cursor});
    for (client, method) in
        [(world.client_of("bob"), "tools/list"), (world.client(), "prompts/list")]
    {
        let refused = ask(&client, method, next.clone()).await.unwrap_err();
        assert_eq!(refused.code, -32602);
    }
    for cursor in [json!("x"), json!(1), json!({})] {
        let refused = ask(&client, "tools/list", json!({"cursor": cursor})).await.unwrap_err();
        assert_eq!(refused.code, -32602);
    }
    // Another session of the same principal, at another replica, may go on.
    assert_eq!(names_of(&ask(&world.client(), "tools/list", next.clone()).await.unwrap()).len(), 5);
    fake.set_tools(tools(0..21));
    fake.announce("notifications/tools/list_changed", json!({}));
    assert_eq!(ask(&client, "tools/list", next).await.unwrap_err().code, -32602);
}

/// Reads all pages, and returns what each had.
async fn read_all(world: &World) -> Vec<Vec<String>> {
    let client = world.client();
    let (mut pages, mut params, mut cursors) = (Vec::new(), json!({}), BTreeSet::new());
    loop {
        let page = ask(&client, "tools/list", params).await.unwrap();
        pages.push(names_of(&page));
        let Some(cursor) = page.get("nextCursor") else { return pages };
        assert!(cursors.insert(cursor.to_string()), "the same cursor twice");
        params = json!({"cursor": cursor});
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn pages_hold_each_shown_tool_once_and_are_never_empty(
        counts in prop::collection::vec(0_usize..12, 1..4),
        hidden in prop::collection::btree_set(0_usize..12, 0..12),
        page_items in 1_usize..8,
        page_bytes in 1_usize..2_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pages = runtime.block_on(async {
            let fakes: Vec<_> = counts.iter().enumerate().map(|(n, count)| {
                let fake = Fake::new(&format!("up{n}"));
                fake.set_tools(tools(0..*count));
                fake
            }).collect();
            let mut settings = settings();
            (settings.page_items, settings.page_bytes) = (page_items, page_bytes);
            let world = World::with(&fakes.iter().collect::<Vec<_>>(), settings);
            let names: Vec<_> = hidden.iter().map(|n| format!("up0__tool-{n}x")).collect();
            world.ledger.hide(&names.iter().map(String::as_str).collect::<Vec<_>>());
            read_all(&world).await
        });
        let shown: Vec<_> = pages.iter().flatten().collect();
        let expected = counts.iter().sum::<usize>()
            - hidden.iter().filter(|n| **n < counts[0]).count();
        prop_assert_eq!(shown.len(), expected);
        prop_assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), expected);
        prop_assert!(pages.len() == 1 || pages.iter().all(|page| !page.is_empty()));
        prop_assert!(pages.iter().all(|page| page.len() <= page_items));
    }
}

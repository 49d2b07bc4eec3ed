//! One upstream that is slow or down does not take the others along.

use std::time::Duration;

use futures::future::join_all;
use sentinel_gateway::catalog::Settings;
use serde_json::json;

use crate::world::{Fake, World, ask, names, settings, sound};

const NONE: Vec<String> = Vec::new();

/// Settings with which a hanging upstream is noticed soon.
fn hasty() -> Settings {
    Settings { list_budget: Duration::from_secs(1), ..settings() }
}

/// Settings with which nothing is fresh, and a failure is tried again at once.
fn eager() -> Settings {
    Settings { fresh: Duration::ZERO, retry_after: Duration::ZERO, ..settings() }
}

#[tokio::test]
async fn upstreams_are_listed_side_by_side() {
    let names_of = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let fakes: Vec<_> = names_of.iter().map(|name| Fake::with_tools(name, &["read"])).collect();
    let patient = Settings { list_budget: Duration::from_mins(1), ..settings() };
    let world = World::with(&fakes.iter().collect::<Vec<_>>(), patient);
    fakes.iter().for_each(|fake| fake.set_open(false));
    let client = world.client();
    let listing = tokio::spawn(async move { names(&client, "tools/list").await });
    // One after the other would wait for the first, which is opened last.
    for fake in fakes.iter().rev() {
        fake.set_open(true);
        fake.asked("tools/list", 1).await;
    }
    assert_eq!(listing.await.unwrap().len(), 10);
}

#[tokio::test]
async fn one_that_hangs_costs_its_budget_once() {
    let (good, slow) = (Fake::with_tools("good", &["read"]), Fake::with_tools("slow", &["read"]));
    slow.set_open(false);
    let budget = Duration::from_secs(2);
    let settings = Settings { list_budget: budget, ..settings() };
    let world = World::with(&[&good, &slow], settings);
    assert_eq!(names(&world.client(), "tools/list").await, ["good__read"]);
    let client = world.client();
    let again = names(&client, "tools/list");
    assert_eq!(tokio::time::timeout(budget, again).await.expect("no wait"), ["good__read"]);
}

#[tokio::test]
async fn one_that_is_slow_is_listed_once_it_is_ready() {
    let (good, slow) = (Fake::with_tools("good", &["read"]), Fake::with_tools("slow", &["read"]));
    slow.set_open(false);
    let world = World::with(&[&good, &slow], hasty());
    assert_eq!(names(&world.client(), "tools/list").await, ["good__read"]);
    slow.set_open(true);
    // No request waits for it meanwhile.
    slow.asked("tools/list", 1).await;
    let client = world.client();
    while names(&client, "tools/list").await != ["good__read", "slow__read"] {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(slow.count("tools/list"), 1);
}

#[tokio::test]
async fn one_that_is_down_is_left_alone_for_a_while() {
    let fake = Fake::with_tools("files", &["read"]);
    fake.set_down(true);
    let world =
        World::with(&[&fake], Settings { retry_after: Duration::from_hours(1), ..settings() });
    let client = world.client();
    assert_eq!(names(&client, "tools/list").await, NONE);
    fake.set_down(false);
    assert_eq!(names(&client, "tools/list").await, NONE);
    assert_eq!(fake.count("tools/list"), 0);
}

#[tokio::test]
async fn one_that_is_down_is_tried_again() {
    let fake = Fake::with_tools("files", &["read"]);
    fake.set_down(true);
    let world = World::with(&[&fake], eager());
    let client = world.client();
    assert_eq!(names(&client, "tools/list").await, NONE);
    fake.set_down(false);
    assert_eq!(names(&client, "tools/list").await, ["files__read"]);
}

#[tokio::test]
async fn a_list_is_kept_while_the_upstream_is_down() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::with(&[&fake], eager());
    assert_eq!(names(&world.client(), "tools/list").await, ["files__read"]);
    fake.set_down(true);
    assert_eq!(names(&world.client(), "tools/list").await, ["files__read"]);
}

#[tokio::test]
async fn a_list_is_not_kept_for_ever() {
    let fake = Fake::with_tools("files", &["read"]);
    let stale = Duration::from_millis(500);
    let world = World::with(&[&fake], Settings { stale, ..eager() });
    assert_eq!(names(&world.client(), "tools/list").await, ["files__read"]);
    fake.set_down(true);
    tokio::time::sleep(stale).await;
    assert_eq!(names(&world.client(), "tools/list").await, NONE);
}

#[tokio::test]
async fn a_fetch_goes_on_when_the_client_that_asked_is_gone() {
    let fake = Fake::with_tools("files", &["read"]);
    fake.set_open(false);
    let world = World::merged(&[&fake]);
    let client = world.client();
    let asked = ask(&client, "tools/list", json!({}));
    assert!(tokio::time::timeout(Duration::from_millis(10), asked).await.is_err());
    fake.set_open(true);
    assert_eq!(names(&client, "tools/list").await, ["files__read"]);
    assert_eq!(fake.count("tools/list"), 1);
}

#[tokio::test]
async fn many_clients_share_one_fetch() {
    let fake = Fake::with_tools("files", &["read"]);
    fake.set_open(false);
    let world = World::merged(&[&fake]);
    let each = (0..100).map(|_| {
        let client = world.client();
        tokio::spawn(async move { names(&client, "tools/list").await })
    });
    let each: Vec<_> = each.collect();
    tokio::task::yield_now().await;
    fake.set_open(true);
    for listed in join_all(each).await {
        assert_eq!(listed.unwrap(), ["files__read"]);
    }
    assert_eq!(fake.count("tools/list"), 1);
}

#[tokio::test]
async fn a_server_that_responds_with_rubbish_is_as_one_that_is_down() {
    let (good, bad) = (Fake::with_tools("good", &["read"]), Fake::new("bad"));
    let world = World::with(&[&good, &bad], eager());
    for page in [json!({}), json!({"tools": 1}), json!({"tools": {"name": "x"}})] {
        bad.set("tools/list", vec![page]);
        assert_eq!(names(&world.client(), "tools/list").await, ["good__read"]);
    }
    bad.set_tools(vec![sound("write")]);
    assert_eq!(names(&world.client(), "tools/list").await, ["good__read", "bad__write"]);
}

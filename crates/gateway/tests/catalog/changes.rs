//! Trap 7: a client hears when what it may see has changed, and only then.

use std::sync::Arc;
use std::time::Duration;

use sentinel_gateway::catalog::{Changes, Settings};
use sentinel_gateway::client::Client;
use serde_json::json;

use crate::world::{Fake, World, names, settings, sound, source};

const TOOLS: &str = "notifications/tools/list_changed";
const BRIEF: Duration = Duration::from_millis(50);
const PROMPTS: &str = "notifications/prompts/list_changed";

/// What a client hears next.
async fn next(changes: &mut Changes) -> String {
    let next = tokio::time::timeout(Duration::from_secs(30), changes.next()).await;
    next.expect("the client hears of it").method
}

/// Whether a client hears nothing. A change is heard of after a tenth of this at the latest, unless
/// the machine is very slow; then this cannot fail, which the tests of what is heard make up for.
async fn is_silent(changes: &mut Changes) -> bool {
    tokio::time::timeout(Duration::from_secs(1), changes.next()).await.is_err()
}

/// Reads until the client hears of its tools.
async fn hears_of_tools(changes: &mut Changes) {
    while next(changes).await != TOOLS {}
    while !is_silent(changes).await {}
}

async fn listen(client: &Arc<Client>) -> Changes {
    names(client, "tools/list").await;
    let mut changes = Changes::new(client);
    assert!(is_silent(&mut changes).await);
    changes
}

#[tokio::test]
async fn a_client_hears_of_what_policy_or_a_kill_takes_away_and_gives_back() {
    let world = World::merged(&[&Fake::with_tools("files", &["read", "write"])]);
    let mut changes = listen(&world.client()).await;
    world.ledger.hide(&["files__read"]);
    assert_eq!(next(&mut changes).await, TOOLS);
    world.ledger.hide(&[]);
    assert_eq!(next(&mut changes).await, TOOLS);
}

#[tokio::test]
async fn a_client_hears_nothing_of_what_does_not_concern_it() {
    let world = World::merged(&[&Fake::with_tools("files", &["read"])]);
    let mut changes = listen(&world.client()).await;
    world.ledger.touch();
    world.ledger.hide(&["other__tool"]);
    assert!(is_silent(&mut changes).await);
}

#[tokio::test]
async fn a_change_that_a_server_announces_is_passed_on_when_it_can_be_seen() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::merged(&[&fake]);
    world.ledger.hide(&["files__write"]);
    let mut changes = listen(&world.client()).await;
    fake.set_tools(vec![sound("read"), sound("write")]);
    fake.announce(TOOLS, json!({}));
    assert!(is_silent(&mut changes).await, "policy hides it");
    fake.set_tools(vec![sound("read"), sound("write"), sound("delete")]);
    fake.announce(TOOLS, json!({}));
    assert_eq!(next(&mut changes).await, TOOLS);
    fake.set("prompts/list", vec![json!({"prompts": [{"name": "sum"}]})]);
    fake.announce(PROMPTS, json!({}));
    assert_eq!(next(&mut changes).await, PROMPTS);
}

#[tokio::test]
async fn several_changes_are_one_notification() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::merged(&[&fake]);
    let mut changes = listen(&world.client()).await;
    for n in 0..10 {
        fake.set_tools(vec![sound("read"), sound(&format!("write-{n}x"))]);
        fake.announce(TOOLS, json!({}));
    }
    assert_eq!(next(&mut changes).await, TOOLS);
    assert!(is_silent(&mut changes).await);
}

#[tokio::test]
async fn a_client_hears_of_an_upstream_that_comes_or_goes() {
    let (a, b) = (Fake::with_tools("a", &["read"]), Fake::with_tools("b", &["read"]));
    let world = World::merged(&[&a]);
    let mut changes = listen(&world.client()).await;
    let settings = Arc::new(settings());
    world.route.replace(vec![source(&a, &settings), source(&b, &settings)]);
    hears_of_tools(&mut changes).await;
    b.set_tools(vec![sound("write")]);
    b.announce(TOOLS, json!({}));
    assert_eq!(next(&mut changes).await, TOOLS, "it listens to the new one");
    world.route.replace(vec![source(&a, &settings)]);
    hears_of_tools(&mut changes).await;
}

#[tokio::test]
async fn a_client_hears_of_an_upstream_that_was_slow() {
    let fake = Fake::with_tools("files", &["read"]);
    fake.set_open(false);
    let world = World::with(&[&fake], Settings { list_budget: BRIEF, ..settings() });
    let client = world.client();
    assert_eq!(names(&client, "tools/list").await, Vec::<String>::new());
    let mut changes = Changes::new(&client);
    assert!(is_silent(&mut changes).await);
    fake.set_open(true);
    assert_eq!(next(&mut changes).await, TOOLS);
    assert_eq!(names(&client, "tools/list").await, ["files__read"]);
}

#[tokio::test]
async fn an_upstream_that_goes_down_changes_no_list() {
    let fake = Fake::with_tools("files", &["read"]);
    let world = World::merged(&[&fake]);
    let mut changes = listen(&world.client()).await;
    fake.set_down(true);
    fake.announce(TOOLS, json!({}));
    assert!(is_silent(&mut changes).await);
}

#[tokio::test]
async fn updates_go_only_to_clients_that_are_subscribed() {
    let fake = Fake::new("files");
    let world = World::merged(&[&fake]);
    let mut changes = listen(&world.client()).await;
    fake.announce("notifications/resources/updated", json!({"uri": "file:///a"}));
    assert!(is_silent(&mut changes).await);
}

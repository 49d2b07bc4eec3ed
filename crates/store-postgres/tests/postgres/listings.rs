//! Listings: what they are not in the way of, and which indexes they use.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::epoch::Epoch;
use sentinel_core::kill::KillScope;
use sentinel_core::page::Page;
use sentinel_core::ports::prelude::*;
use sentinel_core::store::StoreError;
use sentinel_store_postgres::{Options, PostgresStore};
use sentinel_testkit::build;
use sqlx::{Connection as _, PgConnection, raw_sql};

use crate::common::{Database, commit, control, scene};

/// An auditor's slow listings do not keep an operator from stopping an agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn listings_are_in_the_way_of_no_kill() {
    let database = Database::new().await;
    let store = Arc::new(database.open().await);
    scene(&store).await;
    let connect = PgConnection::connect(&database.url());
    let mut blocker = connect.await.unwrap();
    raw_sql("BEGIN; LOCK TABLE manifests IN ACCESS EXCLUSIVE MODE")
        .execute(&mut blocker)
        .await
        .unwrap();
    let listings: Vec<_> = (0..64)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let page = Page::first(1);
                store.manifests(Default::default(), page).await.map(|_| ())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let prompt = Duration::from_millis(1500);
    let urgent = async {
        store.ping().await.unwrap();
        let epoch = store.kill(build::kill(KillScope::Global)).await.unwrap();
        assert_eq!(store.control_changes(Epoch::default()).await.unwrap().epoch, epoch);
    };
    tokio::time::timeout(prompt, urgent).await.expect("a kill waited for listings");
    assert!(listings.iter().all(|listing| !listing.is_finished()), "nothing was in the way");
    listings.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Neither a lookup nor a listing may take time in the length of the log.
#[tokio::test]
async fn lookups_use_indexes() {
    let database = Database::new().await;
    let store = database.open().await;
    scene(&store).await;
    let control = control(&store).await;
    store.ensure_partitions(build::NOW, 0).await.unwrap();
    let check = build::check(&control, "acme", "search");
    for _ in 0..5 {
        commit(&store, &check, &control, 1000).await.unwrap();
    }
    let expected = "SELECT count(*) FROM policy_logs_2026_11";
    assert_eq!(database.query(expected), "5000");
    database.sql("ANALYZE policy_logs");
    let nil = "00000000-0000-0000-0000-000000000000";
    for (condition, index) in [
        (format!("WHERE id = '{nil}'"), "_id_created_at_idx"),
        ("ORDER BY sequence DESC LIMIT 50".to_owned(), "_sequence_idx"),
        (format!("WHERE tenant_id = '{nil}' ORDER BY sequence DESC LIMIT 50"), "_tenant_id_"),
        ("WHERE tool_name = 'x' ORDER BY sequence DESC LIMIT 50".to_owned(), "_tool_name_"),
        ("WHERE agent = 'x' ORDER BY sequence DESC LIMIT 50".to_owned(), "_agent_"),
        ("WHERE decision = 'deny' ORDER BY sequence DESC LIMIT 50".to_owned(), "_sequence_idx"),
    ] {
        let plan = database.query(&format!("EXPLAIN SELECT * FROM policy_logs {condition}"));
        let month = plan.lines().find(|line| line.contains(" on policy_logs_2026_11")).unwrap();
        assert!(month.contains("Index Scan") && plan.contains(index), "{condition}\n{plan}");
    }
}

#[tokio::test]
async fn listings_come_from_the_read_replica() {
    let (primary, replica) = (Database::new().await, Database::new().await);
    let read_url = Some(replica.url());
    let options = Options { read_url, ..Options::default() };
    let store = PostgresStore::open(&primary.url(), options.clone()).await.unwrap();
    let tool = scene(&store).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search");
    commit(&store, &check, &control, 1).await.unwrap();
    // Lookups must see what was just written; listings may be late, here for ever.
    assert!(store.tool(tool.id).await.unwrap().is_some());
    assert!(store.tools(None, Page::first(1)).await.unwrap().items.is_empty());
    assert!(store.decisions(Default::default(), Page::first(1)).await.unwrap().items.is_empty());
    // One that is away does not keep the server from deciding.
    let read_url = Some("postgres://sentinel@127.0.0.1:1/nowhere".to_owned());
    let options = Options { read_url, acquire_timeout: Duration::from_millis(200), ..options };
    let store = PostgresStore::open(&primary.url(), options).await.unwrap();
    assert_eq!(commit(&store, &check, &control, 1).await.unwrap().len(), 1);
    let refused = store.tools(None, Page::first(1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    // What a server reads when it starts is read from the primary.
    store.keys(None, Page::first(1)).await.unwrap();
    store.counters(None, build::NOW, Page::first(1)).await.unwrap();
}

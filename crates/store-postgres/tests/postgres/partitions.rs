//! The months of the audit log.

use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::page::Page;
use sentinel_core::ports::prelude::*;
use sentinel_testkit::build;

use crate::common::{Database, commit, control, scene};

#[tokio::test]
async fn rows_land_in_the_partition_of_their_month() {
    let database = Database::new().await;
    let store = database.open().await;
    // Made by opening, for the server's month and the next two.
    let months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'policy_logs'::regclass
        AND inhrelid::regclass::text LIKE 'policy_logs_2%'";
    assert_eq!(database.query(months), "3");
    scene(&store).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search");
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let at = |text: &str| check.clone().at(time(text));
    // An odd clock: there is no partition for that.
    let odd = ["1999-12-31T23:59:59Z", "2080-02-29T12:00:00Z", "2080-03-01T00:00:00Z"];
    for text in odd {
        commit(&store, &at(text), &control, 1).await.unwrap();
    }
    let place = "SELECT string_agg(tableoid::regclass::text, ' ' ORDER BY created_at)
        FROM policy_logs";
    let default = "policy_logs_default";
    assert_eq!(database.query(place), format!("{default} {default} {default}"));
    // The clock was right after all: the rows move over, and those to come go there directly.
    assert_eq!(store.ensure_partitions(time("2080-01-31T23:00:00Z"), 1).await, Ok(2));
    assert_eq!(store.ensure_partitions(time("2080-01-31T23:00:00Z"), 1).await, Ok(0));
    assert_eq!(database.query(place), format!("{default} policy_logs_2080_02 {default}"),);
    for text in ["2080-01-31T23:59:59.999999Z", "2080-02-01T00:00:00Z"] {
        commit(&store, &at(text), &control, 1).await.unwrap();
    }
    let expected =
        format!("{default} policy_logs_2080_01 policy_logs_2080_02 policy_logs_2080_02 {default}");
    assert_eq!(database.query(place), expected);
    let listed = store.decisions(Default::default(), Page::first(10)).await.unwrap().items;
    assert_eq!(listed.len(), 5);
    for record in listed {
        assert_eq!(store.decision(record.id).await.unwrap(), Some(record));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partitions_are_made_under_load_by_several_replicas() {
    let database = Database::new().await;
    let stores = [Arc::new(database.open().await), Arc::new(database.open().await)];
    scene(&stores[0]).await;
    let control = control(&stores[0]).await;
    let now = build::after(60 * 366 * 86_400);
    let check = build::check(&control, "acme", "search").at(now);
    let load: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&stores[task % 2]);
            let (check, control) = (check.clone(), Arc::clone(&control));
            tokio::spawn(async move {
                for _ in 0..40 {
                    commit(&store, &check, &control, 3).await.unwrap();
                }
            })
        })
        .collect();
    let (one, other) =
        tokio::join!(stores[0].ensure_partitions(now, 5), stores[1].ensure_partitions(now, 5));
    assert_eq!(one.unwrap() + other.unwrap(), 6);
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(database.query("SELECT count(*) FROM policy_logs"), "960");
    assert_eq!(database.query("SELECT count(*) FROM policy_logs_default"), "0");
}

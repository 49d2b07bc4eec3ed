//! The transparency log behind the back of the store: what SQL must not do, what is missed, and
//! how much is read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::time::Duration;

use sentinel_core::log::LogPlace;
use sentinel_core::manifest::Manifest;
use sentinel_core::ports::prelude::*;
use sentinel_core::store::StoreError;
use sentinel_store_postgres::PostgresStore;
use sentinel_testkit::build;
use uuid::Uuid;

use crate::common::Database;

/// Four leaves: the beginning of the shard, and those of these manifests.
async fn logged(store: &PostgresStore) -> [Manifest; 3] {
    let tenant = build::tenant("acme");
    store.create_tenant(tenant.clone()).await.unwrap();
    store.start_shard(build::shard("log.example")).await.unwrap().unwrap();
    let manifests = [(); 3].map(|()| build::manifest(tenant.id, "search"));
    store.insert_manifests(manifests.iter().map(build::new_manifest).collect()).await.unwrap();
    manifests
}

fn missing(leaf: u64) -> Result<Vec<Vec<u8>>, StoreError> {
    let why = format!("leaf {leaf} of shard 1 of the log is missing");
    Err(StoreError::Corrupt(why))
}

#[tokio::test]
async fn leaves_are_neither_edited_nor_deleted() {
    let database = Database::new().await;
    let store = database.open().await;
    logged(&store).await;
    for sql in [
        "UPDATE log_entries SET leaf = ''",
        "DELETE FROM log_entries WHERE log_index = 3",
        "TRUNCATE log_entries",
    ] {
        let tried = format!(
            "DO $do$ BEGIN {sql}; RAISE 'it was done'; EXCEPTION WHEN raise_exception THEN \
             IF SQLERRM NOT LIKE 'leaves of the log%' THEN RAISE; END IF; END $do$"
        );
        database.sql(&tried);
    }
    assert_eq!(store.leaves(1, 0, 10).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_missing_leaf_is_not_the_end_of_the_log() {
    let database = Database::new().await;
    let store = database.open().await;
    logged(&store).await;
    database.sql("ALTER TABLE log_entries DISABLE TRIGGER log_entries_stay");
    database.sql("DELETE FROM log_entries WHERE log_index = 3");
    assert_eq!(store.leaves(1, 0, 10).await, missing(3));
    assert_eq!(store.leaves(1, 3, 1).await, missing(3));
    assert_eq!(store.leaves(1, 0, 3).await.unwrap().len(), 3);
    database.sql("DELETE FROM log_entries WHERE log_index = 1");
    assert_eq!(store.leaves(1, 0, 2).await, missing(1));
    assert_eq!(store.leaves(1, 1, 10).await, missing(1));
    database.sql("UPDATE log_counters SET next_index = 2");
    let beyond = store.leaves(1, 2, 10).await.unwrap_err();
    assert!(beyond.to_string().contains("leaf 2 of shard 1 of the log was never"), "{beyond}");
}

#[tokio::test]
async fn manifests_of_versions_without_a_log_get_places_once() {
    let database = Database::new().await;
    let store = database.open().await;
    let [first, second, third] = logged(&store).await;
    let ids = format!("'{}', '{}'", first.id, third.id);
    database.sql(&format!(
        "UPDATE manifests SET log_shard = NULL, log_index = NULL WHERE id IN ({ids})"
    ));
    let unlogged = store.unlogged_manifests(10).await.unwrap();
    assert_eq!(unlogged, [first.clone(), third.clone()]);
    assert_eq!(store.unlogged_manifests(1).await.unwrap(), std::slice::from_ref(&first));
    let adopted = || {
        let all = [&second, &first, &third].map(|it| (it.id.0, it.id.to_string().into_bytes()));
        store.log_manifests(all.to_vec())
    };
    let (one, other) = tokio::join!(adopted(), adopted());
    one.unwrap();
    other.unwrap();
    assert!(store.unlogged_manifests(10).await.unwrap().is_empty());
    for (manifest, index) in [(&first, 4), (&second, 2), (&third, 5)] {
        let stored = store.manifest(manifest.id).await.unwrap().unwrap();
        assert_eq!(stored.place, Some(LogPlace { shard: 1, index }));
    }
    let leaves = store.leaves(1, 4, 10).await.unwrap();
    assert_eq!(leaves, [first.id, third.id].map(|id| id.to_string().into_bytes()));
}

/// A replica that is stopped while it leads holds up the others no longer than its lease.
#[tokio::test]
async fn the_lead_needs_no_connection() {
    let database = Database::new().await;
    let (first, second) = (database.open().await, database.open().await);
    let short = Duration::from_millis(100);
    let old = first.lead(Uuid::now_v7(), short).await.unwrap().unwrap();
    tokio::time::sleep(short * 2).await;
    assert!(second.lead(Uuid::now_v7(), short).await.unwrap().unwrap() > old);
}

/// Whatever the size of the log, a proof and a step read a few rows by their keys.
#[tokio::test]
async fn what_is_read_of_a_large_log_is_found_by_its_keys() {
    let database = Database::new().await;
    let store = database.open().await;
    logged(&store).await;
    database.sql(
        "INSERT INTO log_entries SELECT 1, n, '\\x00' FROM generate_series(4, 199999) AS n;
        UPDATE log_counters SET next_index = 200000;
        INSERT INTO log_tiles SELECT 1, 0, n, '\\x00' FROM generate_series(0, 20000) AS n;
        ANALYZE log_entries; ANALYZE log_tiles",
    );
    let read = |table: &str| {
        let sql = format!(
            "SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_user_tables WHERE relname = '{table}'"
        );
        let row = database.query(&sql);
        let (all, few) = row.trim().split_once(['|', '\t', ' ', ',']).unwrap();
        (all.trim().parse::<u64>().unwrap(), few.trim().parse::<u64>().unwrap())
    };
    let before = [read("log_entries"), read("log_tiles")];
    assert_eq!(store.leaves(1, 100, 256).await.unwrap().len(), 256);
    assert_eq!(store.leaves(1, 199_990, 8192).await.unwrap().len(), 10);
    assert!(store.leaves(1, 200_000, 8192).await.unwrap().is_empty());
    assert_eq!(store.tiles(1, vec![(0, 7), (0, 19_999), (1, 3)]).await.unwrap().len(), 3);
    drop(store);
    // Each connection reports what it read when it ends.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let after = [read("log_entries"), read("log_tiles")];
    for (before, after) in before.iter().zip(after) {
        assert_eq!(after.0, before.0, "a table was read from end to end");
        assert!(after.1 - before.1 <= 600, "{} rows were read", after.1 - before.1);
    }
    assert!(after[0].1 > before[0].1 && after[1].1 > before[1].1, "nothing was told");
}

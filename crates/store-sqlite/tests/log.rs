//! The transparency log behind the back of the store: what SQL must not do, and what is missed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::Manifest;
use sentinel_core::ports::prelude::*;
use sentinel_core::store::StoreError;
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::build;
use tempfile::TempDir;
use uuid::Uuid;

/// A database with four leaves: the beginning of the shard, and those of these manifests.
struct Logged {
    path: PathBuf,
    manifests: [Manifest; 3],
    _folder: TempDir,
}

impl Logged {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentinel.db");
        let store = SqliteStore::open(&path).unwrap();
        let tenant = build::tenant("acme");
        store.create_tenant(tenant.clone()).await.unwrap();
        store.start_shard(build::shard("log.example")).await.unwrap().unwrap();
        let manifests = [(); 3].map(|()| build::manifest(tenant.id, "search"));
        let new = manifests.iter().map(build::new_manifest).collect();
        store.insert_manifests(new).await.unwrap();
        Self { path, manifests, _folder: folder }
    }

    /// The store lets go of its file a moment after its last user is gone.
    async fn open(&self) -> SqliteStore {
        loop {
            match SqliteStore::open(&self.path) {
                Ok(store) => return store,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn edit(&self, sql: &str) -> rusqlite::Result<()> {
        drop(self.open().await);
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.execute_batch(sql)
    }
}

fn missing(leaf: u64) -> Result<Vec<Vec<u8>>, StoreError> {
    let why = format!("leaf {leaf} of shard 1 of the log is missing");
    Err(StoreError::Corrupt(why))
}

#[tokio::test]
async fn leaves_are_neither_edited_nor_deleted() {
    let logged = Logged::new().await;
    for sql in [
        "UPDATE log_entries SET leaf = x'00'",
        "DELETE FROM log_entries WHERE log_index = 3",
        "REPLACE INTO log_entries VALUES (1, 3, x'00')",
        "PRAGMA recursive_triggers = 1; REPLACE INTO log_entries VALUES (1, 3, x'00')",
    ] {
        let refused = logged.edit(sql).await.expect_err(sql);
        assert!(refused.to_string().contains("leaves of the log are never"), "{sql}: {refused}");
    }
    assert_eq!(logged.open().await.leaves(1, 0, 10).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_missing_leaf_is_not_the_end_of_the_log() {
    let logged = Logged::new().await;
    let delete = "DROP TRIGGER IF EXISTS log_entries_are_kept; DELETE FROM log_entries WHERE";
    logged.edit(&format!("{delete} log_index = 3")).await.unwrap();
    let store = logged.open().await;
    assert_eq!(store.leaves(1, 0, 10).await, missing(3));
    assert_eq!(store.leaves(1, 3, 1).await, missing(3));
    assert_eq!(store.leaves(1, 0, 3).await.unwrap().len(), 3);
    drop(store);
    logged.edit(&format!("{delete} log_index = 1")).await.unwrap();
    let store = logged.open().await;
    assert_eq!(store.leaves(1, 0, 2).await, missing(1));
    assert_eq!(store.leaves(1, 1, 10).await, missing(1));
    drop(store);
    logged.edit("UPDATE log_counters SET next_index = 2").await.unwrap();
    let beyond = logged.open().await.leaves(1, 2, 10).await.unwrap_err();
    assert!(beyond.to_string().contains("leaf 2 of shard 1 of the log was never"), "{beyond}");
}

#[tokio::test]
async fn manifests_of_versions_without_a_log_get_places_once() {
    let logged = Logged::new().await;
    let [first, second, third] = &logged.manifests;
    let hex = |manifest: &Manifest| format!("x'{}'", manifest.id.0.simple());
    let ids = format!("{}, {}", hex(first), hex(third));
    let sql =
        format!("UPDATE manifests SET log_shard = NULL, log_index = NULL WHERE id IN ({ids})");
    logged.edit(&sql).await.unwrap();
    let store = logged.open().await;
    assert_eq!(store.unlogged_manifests(10).await.unwrap(), [first.clone(), third.clone()]);
    assert_eq!(store.unlogged_manifests(1).await.unwrap(), std::slice::from_ref(first));
    for _ in 0..2 {
        let all = [second, first, third].map(|it| (it.id.0, it.id.to_string().into_bytes()));
        store.log_manifests(all.to_vec()).await.unwrap();
    }
    assert!(store.unlogged_manifests(10).await.unwrap().is_empty());
    for (manifest, index) in [(first, 4), (second, 2), (third, 5)] {
        let stored = store.manifest(manifest.id).await.unwrap().unwrap();
        assert_eq!(stored.place, Some(LogPlace { shard: 1, index }));
    }
    let leaves = store.leaves(1, 4, 10).await.unwrap();
    assert_eq!(leaves, [first.id, third.id].map(|id| id.to_string().into_bytes()));
}

#[tokio::test]
async fn a_lead_ends_with_its_process() {
    let logged = Logged::new().await;
    let (long, store) = (Duration::from_secs(600), logged.open().await);
    let old = store.lead(Uuid::now_v7(), long).await.unwrap().unwrap();
    assert_eq!(store.lead(Uuid::now_v7(), long).await.unwrap(), None);
    drop(store);
    let new = logged.open().await.lead(Uuid::now_v7(), long).await.unwrap().unwrap();
    assert!(new > old);
}

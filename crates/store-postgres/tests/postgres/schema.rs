//! The schema: what is refused, and what migrating does.

use std::fs;
use std::path::Path;

use sentinel_core::ports::prelude::*;
use sentinel_core::store::StoreError;
use sentinel_store_postgres::{Options, PostgresStore};

use crate::common::{Database, known, migration_count};

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = Database::new().await;
    assert_eq!(PostgresStore::migrate(&database.url()).await, Ok(known()));
    database.sql("INSERT INTO schema_migrations VALUES (77, '0077_later', '\\x00', now())");
    let refused = StoreError::SchemaTooNew { found: 77, known: known() };
    let opened = PostgresStore::open(&database.url(), Options::default()).await;
    assert_eq!(opened.unwrap_err(), refused);
    assert_eq!(PostgresStore::migrate(&database.url()).await, Err(refused));
}

/// What was released is never edited: a file, its line in the list and what a database gets are the
/// same. A new migration adds its line, the output of `sha256sum`.
#[tokio::test]
async fn migrations_are_those_of_the_committed_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let listed = fs::read_to_string(folder.join("checksums")).unwrap();
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "checksums")
        .collect();
    files.sort();
    let names: Vec<_> = listed.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(names, files);
    let database = Database::new().await;
    let applied = "SELECT encode(checksum, 'hex') || '  ' || name || '.sql'
        FROM schema_migrations ORDER BY version";
    assert_eq!(database.query(applied).trim(), listed.trim());
}

#[tokio::test]
async fn an_edited_migration_is_refused() {
    let database = Database::new().await;
    database.sql("UPDATE schema_migrations SET checksum = '\\x00'");
    let opened = PostgresStore::open(&database.url(), Options::default()).await;
    let migrated = PostgresStore::migrate(&database.url()).await.map(|_| ());
    for refused in [opened.map(|_| ()), migrated] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("migration `0001_initial` was edited"), "{message}");
    }
}

#[tokio::test]
async fn an_empty_database_is_refused_until_it_is_migrated() {
    let database = Database::empty();
    let refused = PostgresStore::open(&database.url(), Options::default()).await.unwrap_err();
    assert!(refused.to_string().contains("run `sentinel migrate`"), "{refused}");
    assert_eq!(database.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_migrators_wait_for_each_other() {
    let database = Database::empty();
    let url = database.url();
    let running: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::migrate(&url).await })
        })
        .collect();
    for migrated in running {
        assert_eq!(migrated.await.unwrap(), Ok(known()));
    }
    let applied = database.query("SELECT count(*) FROM schema_migrations");
    assert_eq!(applied, migration_count().to_string());
    database.open().await.ping().await.unwrap();
}

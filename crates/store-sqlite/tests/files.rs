//! The database file: who may open it, which schema it has, what it must not contain.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{ManifestId, PolicyChangeId};
use sentinel_core::kill::KillScope;
use sentinel_core::log::StatementKind;
use sentinel_core::manifest::{Manifest, NewManifest};
use sentinel_core::page::Page;
use sentinel_core::payload::{PayloadKey, SealedPayload};
use sentinel_core::policy_change::{PolicyChange, PolicyChangeKind};
use sentinel_core::ports::prelude::*;
use sentinel_core::store::{Store, StoreError};
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::build;
use tempfile::TempDir;
use uuid::Uuid;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinel.db");
    (folder, path)
}

fn edit(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// The schema that this version knows: the number of its last migration.
fn known() -> u32 {
    let newest = include_str!("../migrations/checksums").lines().last().unwrap();
    newest.split("  ").nth(1).unwrap().split('_').next().unwrap().parse().unwrap()
}

fn why(result: Result<SqliteStore, StoreError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let (_folder, path) = place();
    let tenant = build::tenant("acme");
    for round in 0..4 {
        let store = SqliteStore::open(&path).unwrap();
        let changes = store.control_changes(Epoch(0)).await.unwrap();
        assert_eq!(changes.epoch, Epoch(round));
        assert_eq!(changes.tools.len(), usize::try_from(round).unwrap());
        let tool = build::tool(&tenant, &build::distinct(usize::try_from(round).unwrap()));
        store.register_tool(tenant.clone(), tool).await.unwrap();
    }
}

#[test]
fn a_second_opener_is_refused() {
    let (folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let message = why(SqliteStore::open(&path));
    assert!(message.contains("another process has the database"), "{message}");
    assert!(message.contains("sentinel.db.lock"), "{message}");
    SqliteStore::migrate(&path).unwrap_err();
    // By another name, too.
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(why(SqliteStore::open(&link)).contains("another process"));
    drop(store);
    SqliteStore::open(&link).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let (_folder, path) = place();
    assert_eq!(SqliteStore::migrate(&path), Ok(known()));
    assert_eq!(SqliteStore::migrate(&path), Ok(known()));
    edit(&path, "INSERT INTO schema_migrations VALUES (77, '0077_later', x'00', 0)");
    let refused = SqliteStore::open(&path).unwrap_err();
    assert_eq!(refused, StoreError::SchemaTooNew { found: 77, known: known() });
}

/// What was released is never edited: a file, its line in the list and what a database gets are the
/// same. A new migration adds its line, the output of `sha256sum`.
#[test]
fn migrations_are_those_of_the_committed_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let listed = std::fs::read_to_string(folder.join("checksums")).unwrap();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "checksums")
        .collect();
    files.sort();
    let names: Vec<_> = listed.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(names, files);
    let (_folder, path) = place();
    SqliteStore::migrate(&path).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT group_concat(lower(hex(checksum)) || '  ' || name || '.sql', char(10))
        FROM (SELECT * FROM schema_migrations ORDER BY version)";
    let applied: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(applied, listed.trim());
}

#[tokio::test]
async fn changes_of_policy_are_neither_edited_nor_deleted() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let change = PolicyChange {
        id: PolicyChangeId(Uuid::now_v7()),
        kind: PolicyChangeKind::Activated,
        actor: "source:a".to_owned(),
        author: None,
        revision: None,
        path: None,
        data_version: None,
        rollout_id: None,
        reason: None,
        detail: None,
        epoch: None,
        at: build::NOW,
    };
    assert!(store.record_policy_change(change).await.unwrap());
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    for sql in ["UPDATE policy_changes SET actor = 'x'", "DELETE FROM policy_changes"] {
        let refused = connection.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("never"), "{sql}: {refused}");
    }
}

#[test]
fn an_edited_migration_is_refused() {
    let (_folder, path) = place();
    SqliteStore::migrate(&path).unwrap();
    edit(&path, "UPDATE schema_migrations SET checksum = zeroblob(32)");
    let message = why(SqliteStore::open(&path));
    assert!(message.contains("migration `0001_initial` was edited"), "{message}");
}

#[test]
fn files_of_others_are_left_alone() {
    let (_folder, path) = place();
    edit(&path, "CREATE TABLE theirs (n)");
    let before = std::fs::read(&path).unwrap();
    assert!(why(SqliteStore::open(&path)).contains("another application"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::write(&path, "this is not a database, and it is long enough to be read".repeat(40))
        .unwrap();
    assert!(why(SqliteStore::open(&path)).contains("not a database"));
    let missing = path.join("no/such/folder.db");
    assert!(why(SqliteStore::open(missing)).contains("no/such/folder.db"));
}

#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = place();
    let _store = SqliteStore::open(&path).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn dropping_a_store_in_use_lets_the_next_one_open() {
    let (_folder, path) = place();
    for _ in 0..10 {
        let store = Arc::new(SqliteStore::open(&path).unwrap());
        let other = Arc::clone(&store);
        let task = tokio::spawn(async move { other.ping().await });
        store.ping().await.unwrap();
        task.await.unwrap().unwrap();
        drop(store);
    }
}

/// Each of these makes one row unreadable; no result may leave it out.
#[tokio::test]
async fn unreadable_rows_are_errors() {
    for sql in [
        "UPDATE tools SET name = 'not a name'",
        "UPDATE tools SET url = 'nowhere'",
        "UPDATE tools SET scopes = '{'",
        "UPDATE tools SET created_at = 9223372036854775807",
        "UPDATE tools SET id = x'00'",
        "UPDATE tenants SET slug = 'Not A Slug'",
        "UPDATE tenants SET secret = x'00'",
        "UPDATE kills SET scope = 'galaxy'",
        "UPDATE kills SET scope = 'tool'",
        "UPDATE kills SET agent = 'bot'",
        "UPDATE kills SET reason = ''",
        "UPDATE api_keys SET role = 'king'",
        "UPDATE api_keys SET hash = x'00'",
    ] {
        let (_folder, path) = place();
        let store = SqliteStore::open(&path).unwrap();
        let tenant = build::tenant("acme");
        let tool = build::tool(&tenant, "search");
        store.register_tool(tenant, tool).await.unwrap();
        store.kill(build::kill(KillScope::Global)).await.unwrap();
        let key = build::key(sentinel_core::principal::Role::Agent);
        store.create_key(key).await.unwrap();
        store.control_changes(Epoch(0)).await.unwrap();
        edit(&path, &format!("PRAGMA foreign_keys = OFF; {sql}"));
        for since in [Epoch(0), Epoch(1)] {
            let found = store.control_changes(since).await;
            // Whatever was created with the first epoch is not asked for after it.
            let expected = since == Epoch(0) || !sql.starts_with("UPDATE t");
            let corrupt = matches!(found, Err(StoreError::Corrupt(_)));
            assert_eq!(corrupt, expected, "{sql}: {found:?}");
        }
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn an_unreadable_decision_is_an_error() {
    let (_folder, path) = place();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path).unwrap());
    let tenant = build::tenant("acme");
    let tool = build::tool(&tenant, "search");
    store.register_tool(tenant, tool).await.unwrap();
    let changes = store.control_changes(Epoch(0)).await.unwrap();
    let control = Arc::new(sentinel_core::control::ControlState::default().after(changes));
    let check = build::check(&control, "acme", "search").call_id("call-1");
    store.commit_decisions(check.batch(), build::NOW).await.unwrap();
    edit(&path, "UPDATE policy_logs SET code = 'whatever'");
    let listed = store.decisions(Default::default(), Page::first(10)).await;
    assert!(matches!(listed, Err(StoreError::Corrupt(_))), "{listed:?}");
    // The claim leads to it, so the call cannot be repeated.
    let repeated = store.commit_decisions(check.batch(), build::NOW).await;
    assert!(matches!(repeated, Err(StoreError::Corrupt(_))), "{repeated:?}");
    edit(&path, "DELETE FROM policy_logs");
    let repeated = store.commit_decisions(check.batch(), build::NOW).await;
    assert!(matches!(repeated, Err(StoreError::Corrupt(_))), "{repeated:?}");
}

fn contains(folder: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| std::fs::read(path).unwrap().windows(needle.len()).any(|w| w == needle))
        .collect()
}

#[tokio::test]
async fn nothing_of_a_destroyed_key_stays_in_the_file_or_its_log() {
    let (folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    store.start_shard(build::shard("log.example")).await.unwrap();
    let tenant = build::tenant("acme");
    store.create_tenant(tenant.clone()).await.unwrap();
    let (wrapped, sealed) = ([0xB7; 61], [0xC9; 9_000]);
    let key = PayloadKey {
        tenant_id: tenant.id,
        generation: 1,
        wrapped: Some(wrapped.to_vec()),
        created_at: build::NOW,
        destroyed_at: None,
    };
    store.add_payload_key(key).await.unwrap();
    let manifest = Manifest { key_generation: Some(1), ..build::manifest(tenant.id, "search") };
    for length in [100, 4_000, sealed.len()] {
        let manifest = Manifest { id: ManifestId(Uuid::now_v7()), ..manifest.clone() };
        let payload = SealedPayload { generation: 1, sealed: sealed[..length].to_vec() };
        let new = NewManifest { payload: Some(payload), ..build::new_manifest(&manifest) };
        store.insert_manifests(vec![new]).await.unwrap();
    }
    let needles = [&wrapped[..40], &sealed[..40]];
    assert!(needles.iter().all(|needle| !contains(folder.path(), needle).is_empty()));
    let tombstone = build::statement(StatementKind::PayloadDestroyed, "acme/1");
    let destroyed = store.destroy_payload_key(tenant.id, 1, build::NOW, tombstone).await.unwrap();
    assert_eq!(destroyed.unwrap().payloads, 3);
    for needle in needles {
        assert_eq!(contains(folder.path(), needle), [] as [PathBuf; 0]);
    }
}

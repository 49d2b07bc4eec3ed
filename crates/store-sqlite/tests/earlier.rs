//! What earlier versions have left in a database.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use sentinel_core::commit::{Outcome, claims_expire_before};
use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::page::Page;
use sentinel_core::ports::prelude::*;
use sentinel_core::quota::Window;
use sentinel_core::tool::Tool;
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::build;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinel.db");
    (folder, path)
}

async fn open(path: &Path) -> SqliteStore {
    // The file of a store that was dropped is free a moment later.
    loop {
        match SqliteStore::open(path) {
            Ok(store) => return store,
            Err(error) if error.to_string().contains("another process") => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn scene(store: &SqliteStore) -> Tool {
    let tenant = build::tenant("acme");
    let tool = build::tool(&tenant, "search");
    store.register_tool(tenant, tool).await.unwrap().tool
}

async fn control(store: &SqliteStore) -> Arc<ControlState> {
    let changes = store.control_changes(Epoch::default()).await.unwrap();
    Arc::new(ControlState::default().after(changes))
}

async fn ask(store: &SqliteStore, check: &build::Check) -> Outcome {
    let expire = claims_expire_before(build::NOW);
    let done = store.commit_decisions(check.batch(), expire).await.unwrap();
    done.into_committed().outcomes.pop().unwrap()
}

#[tokio::test]
async fn what_was_counted_under_several_spellings_is_counted_once_and_goes_on() {
    let (_folder, path) = place();
    let store = open(&path).await;
    let tool = scene(&store).await;
    drop(store);
    let span = Window::DAY.span(build::NOW).unwrap();
    let database = Connection::open(&path).unwrap();
    let later = "DELETE FROM schema_migrations WHERE version >= 4;
        ALTER TABLE kills DROP COLUMN label; ALTER TABLE kills DROP COLUMN by_platform;
        ALTER TABLE kills DROP COLUMN starts_at; ALTER TABLE kills DROP COLUMN begun_at;
        ALTER TABLE kills DROP COLUMN expires_at; DROP TABLE housekeeping;
        DROP INDEX permits_redeemed; ALTER TABLE api_keys DROP COLUMN owner;
        DROP INDEX tools_upstream; ALTER TABLE tools DROP COLUMN upstream_id;
        ALTER TABLE tools DROP COLUMN pin_approved; ALTER TABLE tools DROP COLUMN pin_cause;
        ALTER TABLE tools DROP COLUMN pin_offered; ALTER TABLE tools DROP COLUMN pin_since;
        DROP TABLE tool_definitions; DROP TABLE upstreams;";
    database.execute_batch(later).unwrap();
    let counted = [
        ("1d", 1),
        ("24h", 2),
        ("1440m", 1),
        ("month", 3),
        ("23h", 1),
        ("90m", 1),
        ("120m", 2),
        ("168h", 1),
        ("10080m", 1),
    ];
    for (window, used) in counted {
        let sql = "INSERT INTO quota_counters VALUES (?1, ?2, ?3, ?4, ?5, ?6, 5)";
        let (start, end) = (span.start.as_microsecond(), span.end.as_microsecond());
        let (id, tenant) = (tool.id.0.into_bytes(), tool.tenant_id.0.into_bytes());
        database.execute(sql, rusqlite::params![id, window, start, end, tenant, used]).unwrap();
    }
    drop(database);
    let store = open(&path).await;
    let counters = store.counters(None, build::NOW, Page::first(10)).await.unwrap().items;
    let used: Vec<_> =
        counters.iter().map(|each| (each.key.window.to_string(), each.used)).collect();
    let expected = [("1d", 4), ("23h", 1), ("2h", 2), ("7d", 2), ("90m", 1), ("month", 3)];
    assert_eq!(used, expected.map(|(window, used)| (window.to_owned(), used)));
    let state = control(&store).await;
    let check = build::check(&state, "acme", "search").quota(5, Window::Hours(24));
    let mut allowed = 0;
    for _ in 0..3 {
        let Outcome::Recorded(record) = ask(&store, &check).await else { panic!("recorded") };
        allowed += usize::from(record.allow);
    }
    assert_eq!(allowed, 1, "one of five is left");
}

/// Earlier versions kept the principal alone in a claim, whatever agent it spoke for.
#[tokio::test]
async fn a_claim_from_before_agents_were_told_apart_is_that_of_its_agent() {
    let (_folder, path) = place();
    let store = open(&path).await;
    scene(&store).await;
    let state = control(&store).await;
    let check = |agent| build::check(&state, "acme", "search").agent(agent).call_id("call-1");
    let Outcome::Recorded(first) = ask(&store, &check("bot")).await else { panic!("recorded") };
    drop(store);
    let sql = "UPDATE claims SET principal = substr(principal, 1, instr(principal, char(31)) - 1)";
    assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 1);
    let store = open(&path).await;
    let Outcome::Recorded(other) = ask(&store, &check("other")).await else { panic!("recorded") };
    for (agent, id) in [("bot", first.id), ("other", other.id), ("bot", first.id)] {
        let again = ask(&store, &check(agent)).await;
        assert!(matches!(&again, Outcome::Replayed(record) if record.id == id), "{again:?}");
    }
}

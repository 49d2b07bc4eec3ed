//! The schema is changed while servers work on it. `tests/chaos/tests/upgrade.rs` rehearses the
//! whole of an upgrade with replicas and clients; here is what `migrate` itself promises.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sentinel_core::epoch::Epoch;
use sentinel_core::ports::prelude::*;
use sentinel_core::store::StoreError;
use sentinel_store_postgres::{Options, PostgresStore, Step};
use sentinel_testkit::build;
use sqlx::{Connection as _, PgConnection, raw_sql};
use tokio::time::{sleep, timeout};

use crate::common::{Database, commit, control, known, migration_count, scene};

const WITHOUT_DIGEST: &str = "SELECT count(*) FROM policy_logs
    WHERE principal_digest IS DISTINCT FROM sha256(convert_to(principal, 'UTF8'))";

async fn next(database: &Database, step: Step) -> Result<u32, StoreError> {
    PostgresStore::migrate_next(&database.url(), step, &|_| {}).await
}

async fn open_next(database: &Database) -> PostgresStore {
    PostgresStore::open_next(&database.url(), Options::default()).await.unwrap()
}

/// Contracts once the connections of a server that was dropped are gone.
async fn contract_when_unused(database: &Database) -> u32 {
    for _ in 0..100 {
        match next(database, Step::Contract).await {
            Ok(version) => return version,
            Err(error) => assert!(error.to_string().contains("end those first"), "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the old server does not go");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_both_versions_share_an_expanded_schema_and_none_is_cut_off_by_mistake() {
    let database = Database::new().await;
    let old = database.open().await;
    scene(&old).await;
    let state = control(&old).await;
    let check = build::check(&state, "acme", "search");
    assert_eq!(commit(&old, &check, &state, 700).await.unwrap().len(), 700);

    assert_eq!(next(&database, Step::Expand).await, Ok(102));
    let new = open_next(&database).await;
    let restarted = database.open().await;
    for store in [&old, &new, &restarted] {
        assert_eq!(commit(store, &check, &state, 3).await.unwrap().len(), 3);
        store.ping().await.unwrap();
    }
    assert_eq!(PostgresStore::migrate(&database.url()).await, Ok(102), "there is nothing to do");
    assert_eq!(database.query(WITHOUT_DIGEST), "706", "only the new server writes it");

    assert_eq!(next(&database, Step::Backfill).await, Ok(102));
    assert_eq!(database.query(WITHOUT_DIGEST), "0");
    commit(&old, &check, &state, 3).await.unwrap();
    let refused = next(&database, Step::Contract).await.unwrap_err().to_string();
    assert!(refused.contains("`0103_digest_required` needs every server to know"), "{refused}");
    commit(&old, &check, &state, 3).await.unwrap();

    drop((old, restarted));
    assert_eq!(contract_when_unused(&database).await, 105);
    assert_eq!(database.query(WITHOUT_DIGEST), "0");
    assert_eq!(commit(&new, &check, &state, 3).await.unwrap().len(), 3);
    new.ping().await.unwrap();
    let too_new = StoreError::SchemaTooNew { found: 105, known: known() };
    let opened = PostgresStore::open(&database.url(), Options::default()).await;
    assert_eq!(opened.unwrap_err(), too_new);
    assert_eq!(PostgresStore::migrate(&database.url()).await, Err(too_new));
    assert_eq!(next(&database, Step::Contract).await, Ok(105));
}

/// A table lock that is waited for holds up every commit behind it, so the wait must be short.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_long_listing_holds_up_the_migration_and_no_commit() {
    let database = Database::new().await;
    let store = database.open().await;
    scene(&store).await;
    let state = control(&store).await;
    let check = build::check(&state, "acme", "search");
    let mut listing = PgConnection::connect(&database.url()).await.unwrap();
    raw_sql("BEGIN; SELECT count(*) FROM policy_logs").execute(&mut listing).await.unwrap();

    let tries = Arc::new(AtomicU32::new(0));
    let (url, counting) = (database.url(), Arc::clone(&tries));
    let migrating = tokio::spawn(async move {
        let tell = move |text: &str| {
            if text.contains("could not have its locks") {
                counting.fetch_add(1, Ordering::Relaxed);
            }
        };
        PostgresStore::migrate_next(&url, Step::Expand, &tell).await
    });
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    let tried = || tries.load(Ordering::Relaxed) >= 2;
    while !tried() || began.elapsed() < Duration::from_secs(3) {
        assert!(began.elapsed() < Duration::from_secs(20), "it was tried, and said");
        let sent = Instant::now();
        assert_eq!(commit(&store, &check, &state, 1).await.unwrap().len(), 1);
        slowest = slowest.max(sent.elapsed());
        sleep(Duration::from_millis(2)).await;
    }
    assert!(!migrating.is_finished(), "the listing was in the way");
    println!("the slowest commit took {} ms", slowest.as_millis());
    assert!(slowest > Duration::from_millis(100), "a lock was waited for: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    raw_sql("ROLLBACK").execute(&mut listing).await.unwrap();
    let migrated = timeout(Duration::from_secs(15), migrating).await.unwrap().unwrap();
    assert_eq!(migrated, Ok(102));
}

/// An index that is built beside the commits waits for every snapshot, so those that wait for their
/// turn to migrate must not have one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_migrators_of_a_database_in_use_do_not_wait_in_a_circle() {
    let database = Arc::new(Database::new().await);
    let running: Vec<_> = (0..4)
        .map(|_| {
            let database = Arc::clone(&database);
            tokio::spawn(async move { next(&database, Step::Expand).await })
        })
        .collect();
    for migrated in running {
        assert_eq!(migrated.await.unwrap(), Ok(102));
    }
}

#[tokio::test]
async fn an_index_that_was_broken_off_is_built_again() {
    let database = Database::new().await;
    database.sql("CREATE INDEX manifests_digest ON manifests (id)");
    assert_eq!(next(&database, Step::Expand).await, Ok(102));
    let index = "SELECT indisvalid, pg_get_indexdef(indexrelid) LIKE '%(payload_digest)'
        FROM pg_index WHERE indexrelid = 'manifests_digest'::regclass";
    assert_eq!(database.query(index), "t|t");
}

#[tokio::test]
async fn a_history_that_an_earlier_version_began_is_gone_on_with() {
    let database = Database::new().await;
    database.sql("ALTER TABLE schema_migrations DROP COLUMN compatible_from");
    drop(database.open().await);
    assert_eq!(next(&database, Step::Expand).await, Ok(102));
    let history = "SELECT string_agg(coalesce(compatible_from::text, '-'), ' ' ORDER BY version)
        FROM schema_migrations";
    let expected = format!("{}1 1", "- ".repeat(migration_count()));
    assert_eq!(database.query(history), expected);
    drop(database.open().await);
}

/// A contraction cannot see a server that has no connection; that server looks when it has one
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_server_that_was_cut_off_during_the_contraction_allows_nothing_afterwards() {
    let database = Database::new().await;
    let old = database.open().await;
    let tool = scene(&old).await;
    let state = control(&old).await;
    let check = build::check(&state, "acme", "search");
    commit(&old, &check, &state, 1).await.unwrap();
    assert_eq!(next(&database, Step::Expand).await, Ok(102));
    let cut = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'sentinel schema {}'",
        known()
    );
    let mut contracted = false;
    for _ in 0..200 {
        assert!(!database.query(&cut).is_empty());
        contracted = next(&database, Step::Contract).await.is_ok();
        if contracted {
            break;
        }
    }
    assert!(contracted, "it connects faster than it can be cut off");
    // The connection that was cut is found to be so by the first.
    let mut refused = commit(&old, &check, &state, 1).await.unwrap_err();
    for _ in 0..2 {
        refused = commit(&old, &check, &state, 1).await.unwrap_err();
    }
    assert_eq!(refused, StoreError::SchemaTooNew { found: 105, known: known() });
    let killed = old.kill(build::kill(build::scope_of(&tool))).await;
    assert!(matches!(killed, Err(StoreError::Unavailable(_))), "{killed:?}");
    old.control_changes(Epoch(0)).await.unwrap_err();
}

/// A server from before servers said what they know counts as older than any.
#[tokio::test]
async fn a_server_that_does_not_say_what_it_knows_is_in_the_way_of_a_contraction() {
    let database = Database::new().await;
    let nameless = format!("{}?application_name=sentinel", database.url());
    let server = PgConnection::connect(&nameless).await.unwrap();
    let said = Mutex::new(Vec::new());
    let tell = |text: &str| said.lock().unwrap().push(text.to_owned());
    let refused = PostgresStore::migrate_next(&database.url(), Step::Contract, &tell).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("1 connections are of older ones"), "{refused}");
    assert!(said.lock().unwrap().iter().any(|text| text.contains("`0102_manifests_by_digest` is")));
    server.close().await.unwrap();
    assert_eq!(contract_when_unused(&database).await, 105);
}

#[tokio::test]
async fn an_empty_database_gets_everything_at_once() {
    let database = Database::empty();
    assert_eq!(next(&database, Step::Expand).await, Ok(105));
    open_next(&database).await.ping().await.unwrap();
}

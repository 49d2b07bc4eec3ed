//! What the server does: crashes, timeouts, limits, odd settings.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sentinel_core::commit::claims_expire_before;
use sentinel_core::epoch::Epoch;
use sentinel_core::kill::KillScope;
use sentinel_core::page::Page;
use sentinel_core::ports::prelude::*;
use sentinel_core::quota::Window;
use sentinel_core::store::StoreError;
use sentinel_store_postgres::{Options, PostgresStore};
use sentinel_testkit::build;
use sentinel_testkit::postgres::Server;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

use crate::common::{Database, commit, control, scene};

#[tokio::test]
async fn a_server_that_would_lose_commits_is_refused() {
    let database = Database::new().await;
    database.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',
        current_database()); END $$",
    );
    let refused = PostgresStore::open(&database.url(), Options::default()).await.unwrap_err();
    assert!(refused.to_string().contains("synchronous_commit"), "{refused}");
}

#[tokio::test]
async fn a_server_that_begins_to_lose_commits_is_refused() {
    let database = Database::new().await;
    let store = database.open().await;
    scene(&store).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search");
    commit(&store, &check, &control, 1).await.unwrap();
    database.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',
        current_database()); END $$",
    );
    // The setting holds for connections that are made from now on.
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let mut refusals = 0;
    for _ in 0..3 {
        // The first may find its connection gone.
        let refused = commit(&store, &check, &control, 1).await.unwrap_err();
        refusals += usize::from(refused.to_string().contains("synchronous_commit"));
    }
    assert!(refusals >= 2, "{refusals}");
}

/// Commits go on while the server crashes and starts again, several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_of_the_server_heals_and_loses_nothing_acknowledged() {
    let server = Arc::new(Server::new());
    server.create_database("sentinel", "template0");
    let url = server.url("sentinel");
    PostgresStore::migrate(&url).await.unwrap();
    let store = Arc::new(PostgresStore::open(&url, Options::default()).await.unwrap());
    scene(&store).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search").quota(1_000_000, Window::DAY);
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (store, control, check) = (Arc::clone(&store), Arc::clone(&control), check.clone());
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let (mut acknowledged, mut refused) = (Vec::new(), 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    match commit(&store, &check, &control, 7).await {
                        Ok(allowed) => acknowledged.extend(allowed),
                        Err(StoreError::Unavailable(_)) => {
                            refused += 1;
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                (acknowledged, refused)
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let (down, up) = (Arc::clone(&server), Arc::clone(&server));
        tokio::task::spawn_blocking(move || down.stop()).await.unwrap();
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
        tokio::task::spawn_blocking(move || up.start()).await.unwrap();
        // The next call finds the new server; nothing has to be reopened.
        store.ping().await.unwrap();
        commit(&store, &check, &control, 1).await.unwrap();
        assert!(store.kills(None, true, Page::first(1)).await.is_ok());
    }
    stop.store(true, Ordering::Relaxed);
    let (mut acknowledged, mut refused) = (HashSet::new(), 0);
    for task in tasks {
        let (allowed, errors) = task.await.unwrap();
        acknowledged.extend(allowed);
        refused += errors;
    }
    assert!(refused > 0, "the crashes were noticed");
    assert!(acknowledged.len() > 100);
    let stored = server.query("sentinel", "SELECT id FROM policy_logs WHERE decision = 'allow'");
    let stored: HashSet<_> = stored.lines().map(str::to_owned).collect();
    assert!(acknowledged.is_subset(&stored), "an acknowledged decision is lost");
    let used = store.counters(None, build::NOW, Page::first(10)).await.unwrap().items[0].used;
    assert_eq!(used, u64::try_from(stored.len()).unwrap(), "the quota counts what is recorded");
    let numbers = "SELECT count(*) = count(DISTINCT sequence) FROM policy_logs";
    assert_eq!(server.query("sentinel", numbers), "t", "no sequence is given twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_statement_that_takes_too_long_is_unavailable() {
    let database = Database::new().await;
    let options = Options {
        statement_timeout: Duration::from_millis(300),
        lock_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let store = PostgresStore::open(&database.url(), options).await.unwrap();
    scene(&store).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search");
    // Somebody holds the epoch lock, and does not let go.
    let holding = "SELECT pg_advisory_lock(1936618604), pg_sleep(1.5)";
    let held = tokio::task::spawn_blocking({
        let (server, name) = database.place();
        move || server.sql(&name, holding)
    });
    tokio::time::sleep(Duration::from_millis(400)).await;
    let refused = commit(&store, &check, &control, 1).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unavailable(why) if why.contains("timeout")),
        "{refused}"
    );
    let killed = store.kill(build::kill(KillScope::Global)).await;
    assert!(matches!(killed, Err(StoreError::Unavailable(_))), "{killed:?}");
    held.await.unwrap();
    assert_eq!(commit(&store, &check, &control, 1).await.unwrap().len(), 1);
    assert_eq!(database.query("SELECT count(*) FROM policy_logs"), "1");
}

/// A replica that is stopped in the middle of a commit holds the epoch lock: the server ends its
/// transaction, and a kill gets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kill_outlasts_a_replica_that_stopped() {
    let database = Database::new().await;
    let store = database.open().await;
    let options = Options::default();
    assert!(options.idle_timeout < options.lock_timeout);
    let mut stopped = PgConnection::connect(&database.url()).await.unwrap();
    let begin = format!(
        "SET idle_in_transaction_session_timeout = {}; BEGIN;
        SELECT pg_advisory_xact_lock_shared(1936618604)",
        options.idle_timeout.as_millis()
    );
    raw_sql(AssertSqlSafe(begin)).execute(&mut stopped).await.unwrap();
    let killed =
        tokio::time::timeout(Duration::from_secs(5), store.kill(build::kill(KillScope::Global)));
    assert_eq!(killed.await.unwrap(), Ok(Epoch(1)));
    raw_sql("COMMIT").execute(&mut stopped).await.unwrap_err();
}

/// The server of the tests has no certificate.
#[tokio::test]
async fn a_url_that_requires_tls_gets_tls_or_nothing() {
    let database = Database::new().await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("{}?sslmode={mode}", database.url());
        let refused = PostgresStore::open(&url, Options::default()).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{mode}");
        PostgresStore::migrate(&url).await.unwrap_err();
    }
    let url = format!("{}?sslmode=prefer", database.url());
    PostgresStore::open(&url, Options::default()).await.unwrap();
}

/// Calls whose callers go away run to their end, and leave no connection in the middle of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_goes_away_harms_no_other() {
    let database = Database::new().await;
    let store = database.open().await;
    scene(&store).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search").quota(1_000, Window::DAY);
    for wait in 0..100 {
        let patience = Duration::from_micros(wait * 40);
        let _ = tokio::time::timeout(patience, commit(&store, &check, &control, 2)).await;
        let _ = tokio::time::timeout(patience, store.create_tenant(build::tenant("acme"))).await;
        let _ = tokio::time::timeout(patience, store.control_changes(Epoch(0))).await;
    }
    // Behind the last of them.
    store.kill(build::kill(KillScope::Global)).await.unwrap();
    // In one snapshot: one that no caller waits for may still be on its way.
    let counted =
        "SELECT (SELECT sum(used) FROM quota_counters) = (SELECT count(*) FROM policy_logs)";
    assert_eq!(database.query(counted), "t");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND state LIKE 'idle in transaction%'";
    let deadline = Instant::now() + Duration::from_secs(20);
    while database.query(open) != "0" {
        assert!(Instant::now() < deadline, "a connection stays in the middle of a transaction");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The settings of a database, and what its owner may not do, do not reach into a commit.
#[tokio::test]
async fn an_ordinary_role_commits_in_a_database_with_odd_defaults() {
    let database = Database::new().await;
    database.sql(
        "DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable',
                current_database());
            EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on',
                current_database());
            CREATE ROLE ordinary LOGIN;
        EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ordinary;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ordinary",
    );
    let url = database.url().replace("sentinel@", "ordinary@");
    let store = PostgresStore::open(&url, Options::default()).await.unwrap();
    scene(&store).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search").quota(5, Window::DAY);
    assert_eq!(commit(&store, &check, &control, 7).await.unwrap().len(), 5);
    assert_eq!(database.query("SELECT sum(used) FROM quota_counters"), "5");
}

#[tokio::test]
async fn a_nul_from_a_policy_does_not_stop_the_batch() {
    let database = Database::new().await;
    let store = database.open().await;
    scene(&store).await;
    let control = control(&store).await;
    let mut odd = build::check(&control, "acme", "search").pending();
    odd.record.reason = "a\0b".to_owned();
    odd.record.event_metadata = build::object(serde_json::json!({"k\0": ["\0"]}));
    let (id, expire) = (odd.record.id, claims_expire_before(build::NOW));
    let fine = build::check(&control, "acme", "search").pending();
    store.commit_decisions(build::batch(&control, vec![odd, fine]), expire).await.unwrap();
    let stored = store.decision(id).await.unwrap().unwrap();
    assert_eq!(stored.reason, "a\u{FFFD}b");
    let expected = build::object(serde_json::json!({"k\u{FFFD}": ["\u{FFFD}"]}));
    assert_eq!(stored.event_metadata, expected);
}

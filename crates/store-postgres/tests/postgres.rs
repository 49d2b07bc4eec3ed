//! What only `PostgreSQL` can do wrong: several replicas, a server that goes away, a schema that
//! others change.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sentinel_core::commit::claims_expire_before;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event, RegistryChange, RegistryEvent};
use sentinel_core::kill::KillScope;
use sentinel_core::page::Page;
use sentinel_core::quota::Window;
use sentinel_core::store::{Store, StoreError};
use sentinel_store_postgres::{Options, PostgresStore};
use sentinel_testkit::build;
use sentinel_testkit::postgres::Server;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

use crate::common::{Database, commit, control, known, migration_count, scene};

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

/// An auditor's slow listings keep nobody from stopping an agent.
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
        // The next call finds the new server; nobody reopens anything.
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
async fn other_replicas_hear_of_every_epoch() {
    let server = Arc::new(Server::without_fsync());
    server.create_database("sentinel", "template0");
    let url = server.url("sentinel");
    PostgresStore::migrate(&url).await.unwrap();
    let (one, other) = (
        PostgresStore::open(&url, Options::default()).await.unwrap(),
        PostgresStore::open(&url, Options::default()).await.unwrap(),
    );
    let mut heard = other.epochs();
    assert_eq!(*heard.borrow(), Epoch(0));
    // Also what happened while nobody listened, and after the connection was lost.
    for round in 0..3 {
        for _ in 0..5 {
            let killed = one.kill(build::kill(KillScope::Global)).await.unwrap();
            let waiting = heard.wait_for(|epoch| *epoch >= killed);
            tokio::time::timeout(Duration::from_secs(15), waiting).await.unwrap().unwrap();
        }
        if round < 2 {
            let restarted = Arc::clone(&server);
            tokio::task::spawn_blocking(move || restarted.restart()).await.unwrap();
        }
    }
}

/// Remembers the names that registry events carry.
#[derive(Debug, Default)]
struct Heard(std::sync::Mutex<Vec<String>>);

impl Bus for Heard {
    fn publish(&self, events: Vec<Event>) {
        let names = events.into_iter().map(|event| match event {
            Event::Registry(event) => event.subject.clone(),
            other => panic!("{other:?}"),
        });
        self.0.lock().unwrap().extend(names);
    }
}

impl Heard {
    async fn hears(&self, subject: &str) {
        for _ in 0..400 {
            if self.0.lock().unwrap().iter().any(|heard| heard == subject) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("`{subject}` was not heard: {self:?}");
    }
}

fn registry_event(subject: &str) -> Vec<Event> {
    vec![Event::Registry(Arc::new(RegistryEvent {
        kind: RegistryChange::ToolRegistered,
        tenant_id: None,
        tenant: None,
        subject: subject.to_owned(),
        actor: "test".to_owned(),
        epoch: Epoch(1),
        at: build::NOW,
    }))]
}

#[tokio::test(flavor = "multi_thread")]
async fn control_events_reach_the_other_replicas_and_do_so_again_after_a_crash() {
    let server = Server::without_fsync();
    server.create_database("events", "template0");
    let url = server.url("events");
    PostgresStore::migrate(&url).await.unwrap();
    let (here, there) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
    let (own, other) = tokio::join!(
        PostgresStore::open(&url, Options::default()),
        PostgresStore::open(&url, Options::default()),
    );
    let own = own.unwrap().carry_events(here.clone());
    let _other = other.unwrap().carry_events(there.clone());
    // Listening begins in its own time; what is sent before is not heard.
    let until_heard = async |subject: &str| {
        let telling = async {
            loop {
                own.publish(registry_event(subject));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! { () = there.hears(subject) => {}, () = telling => {} }
    };
    until_heard("first").await;
    own.publish(registry_event(&"too large ".repeat(1_000)));
    own.publish(registry_event("second"));
    there.hears("second").await;
    assert!(!there.0.lock().unwrap().iter().any(|heard| heard.starts_with("too large")));
    server.restart();
    until_heard("third").await;
    assert_eq!(*here.0.lock().unwrap(), [""; 0], "nobody hears its own events");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_share_a_quota_exactly() {
    const LIMIT: u64 = 1_000;
    let database = Database::new().await;
    let stores = [Arc::new(database.open().await), Arc::new(database.open().await)];
    scene(&stores[0]).await;
    let control = control(&stores[0]).await;
    let check = build::check(&control, "acme", "search").quota(LIMIT, Window::DAY);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = Arc::clone(&stores[task % 2]);
            let (check, control) = (check.clone(), Arc::clone(&control));
            tokio::spawn(async move {
                let mut allowed = 0;
                // 64 tasks, 5 batches, 1 to 8 each: 1,440 calls.
                for _ in 0..5 {
                    let size = task % 8 + 1;
                    allowed += commit(&store, &check, &control, size).await.unwrap().len();
                }
                allowed
            })
        })
        .collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += task.await.unwrap();
    }
    assert_eq!(allowed, 1_000);
    let counters = stores[1].counters(None, build::NOW, Page::first(10)).await.unwrap().items;
    assert_eq!((counters.len(), counters[0].used), (1, LIMIT));
    assert_eq!(database.query("SELECT count(*) FROM policy_logs"), "1440");
}

/// One replica kills and restores while the other commits what it decided before: nothing that is
/// sent after a kill returned, and before its restore is asked for, is allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_allowed_at_another_replica_after_a_kill_returned() {
    let database = Database::new().await;
    let (killer, store) = (database.open().await, Arc::new(database.open().await));
    let tool = scene(&killer).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search");
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..6)
        .map(|_| {
            let (store, check, control) = (Arc::clone(&store), check.clone(), Arc::clone(&control));
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut allowed = 0;
                while !stop.load(Ordering::Relaxed) {
                    allowed += commit(&store, &check, &control, 3).await.unwrap().len();
                }
                allowed
            })
        })
        .collect();
    for _ in 0..200 {
        let killed = killer.kill(build::kill(build::scope_of(&tool))).await.unwrap();
        assert!(commit(&store, &check, &control, 2).await.unwrap().is_empty(), "{killed}");
        // Whatever the load got in while the kill held, the log says under which epoch.
        let restored = killer.restore(build::restore(build::scope_of(&tool), build::NOW)).await;
        restored.unwrap();
        assert_eq!(commit(&store, &check, &control, 1).await.unwrap().len(), 1);
    }
    stop.store(true, Ordering::Relaxed);
    let mut allowed = 0;
    for task in load {
        allowed += task.await.unwrap();
    }
    assert!(allowed > 0, "the load was allowed in between");
    // The tool was registered at epoch 1; kills begin the even epochs.
    let wrong = "SELECT count(*) FROM policy_logs WHERE decision = 'allow' AND epoch % 2 = 0";
    assert_eq!(database.query(wrong), "0");
    let denied = "SELECT count(*) > 0 FROM policy_logs WHERE code = 'killed' AND epoch % 2 = 0";
    assert_eq!(database.query(denied), "t");
}

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
    // An odd clock: nobody made a partition for that.
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
    // One that is away is no reason not to decide.
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
async fn a_caller_that_goes_away_harms_nobody() {
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
    // In one snapshot: one that nobody waits for may still be on its way.
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

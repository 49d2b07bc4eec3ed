//! What earlier versions have left, and what their servers write while an upgrade goes on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use jiff::Timestamp;
use sentinel_core::commit::{Outcome, claims_expire_before};
use sentinel_core::page::Page;
use sentinel_core::ports::prelude::*;
use sentinel_core::quota::Window;
use sentinel_core::tool::Tool;
use sentinel_store_postgres::{Options, PostgresStore};
use sentinel_testkit::build;

use crate::common::{Database, control, scene};

/// Takes the schema back to what it was before windows of one length were one.
fn before_windows(database: &Database) {
    let function = include_str!("../migrations/0002_commit_in_one_call.sql")
        .replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION");
    database.sql(&format!(
        "DELETE FROM schema_migrations WHERE version >= 6; DROP FUNCTION sentinel_window; {function};
        ALTER TABLE kills DROP COLUMN label, DROP COLUMN by_platform, DROP COLUMN starts_at,
            DROP COLUMN begun_at, DROP COLUMN expires_at;
        DROP TABLE housekeeping; DROP INDEX permits_redeemed;
        ALTER TABLE api_keys DROP COLUMN owner;
        DROP TABLE upstreams; DROP TABLE tool_definitions;
        ALTER TABLE tools DROP COLUMN upstream_id, DROP COLUMN pin_approved,
            DROP COLUMN pin_cause, DROP COLUMN pin_offered, DROP COLUMN pin_since"
    ));
}

fn counted(database: &Database, tool: &Tool, window: &str, used: u32) {
    database.sql(&format!(
        "INSERT INTO quota_counters (tool_id, quota_window, window_start, window_end, tenant_id,
            used, last_granted, quota_limit)
         VALUES ('{}', '{window}', date_trunc('day', now(), 'UTC'),
            date_trunc('day', now(), 'UTC') + interval '1 day', '{}', {used}, 1, 5)",
        tool.id, tool.tenant_id
    ));
}

async fn allows(store: &PostgresStore, window: Window, limit: u64, times: usize) -> usize {
    let state = control(store).await;
    let check = build::check(&state, "acme", "search").quota(limit, window).at(Timestamp::now());
    let pendings = (0..times).map(|_| check.pending()).collect();
    let batch = build::batch(&state, pendings);
    let done = store.commit_decisions(batch, claims_expire_before(Timestamp::now())).await.unwrap();
    let outcomes = done.into_committed().outcomes;
    let allowed = |outcome: &&Outcome| match outcome {
        Outcome::Recorded(record) => record.allow,
        other => panic!("{other:?}"),
    };
    outcomes.iter().filter(allowed).count()
}

#[tokio::test]
async fn what_was_counted_under_several_spellings_is_counted_once_and_goes_on() {
    let database = Database::new().await;
    let store = database.open().await;
    let tool = scene(&store).await;
    drop(store);
    before_windows(&database);
    for (window, used) in [("1d", 1), ("24h", 2), ("1440m", 1), ("month", 3), ("23h", 1)] {
        counted(&database, &tool, window, used);
    }
    PostgresStore::migrate(&database.url()).await.unwrap();
    let store = PostgresStore::open(&database.url(), Options::default()).await.unwrap();
    let at = Timestamp::now();
    let counters = store.counters(None, at, Page::first(10)).await.unwrap().items;
    let used: Vec<_> =
        counters.iter().map(|each| (each.key.window.to_string(), each.used)).collect();
    let expected = [("1d", 4), ("23h", 1), ("month", 3)];
    assert_eq!(used, expected.map(|(window, used)| (window.to_owned(), used)));
    assert_eq!(allows(&store, Window::Hours(24), 5, 3).await, 1, "one of five is left");
    assert_eq!(database.query("SELECT count(*) FROM quota_counters"), "3");
}

/// A server of the version before writes a window as policy spells it.
#[tokio::test]
async fn a_server_of_the_version_before_takes_from_the_same_counter() {
    let database = Database::new().await;
    let store = database.open().await;
    let tool = scene(&store).await;
    assert_eq!(allows(&store, Window::DAY, 5, 2).await, 2);
    // Two counters for it, one for us.
    let empty = ", '{}'".repeat(25);
    let granted = database.query(&format!(
        "SELECT array_to_string(used_before, ',') || ' ' || array_to_string(granted, ',')
         FROM (SELECT date_trunc('day', now(), 'UTC') AS day) AS d,
         LATERAL sentinel_commit_decisions((SELECT epoch FROM meta),
            ARRAY['{id}', '{id}', '{id}']::uuid[], ARRAY['24h', '1440m', '1h'],
            ARRAY[day, day, date_trunc('hour', now(), 'UTC')],
            ARRAY[day + '1 day', day + '1 day', date_trunc('hour', now(), 'UTC') + '1 hour'],
            ARRAY['{tenant}', '{tenant}', '{tenant}']::uuid[], ARRAY[2, 2, 4]::bigint[],
            ARRAY[5, 5, 3]::bigint[]{empty})",
        id = tool.id,
        tenant = tool.tenant_id
    ));
    assert_eq!(granted, "2,4,0 2,1,3");
    assert_eq!(allows(&store, Window::DAY, 5, 1).await, 0);
    let rows = "SELECT string_agg(quota_window || ' ' || used, ',' ORDER BY quota_window)
        FROM quota_counters";
    assert_eq!(database.query(rows), "1d 5,1h 3");
}

/// Earlier versions kept the principal alone in a claim, whatever agent it spoke for.
#[tokio::test]
async fn a_claim_from_before_agents_were_told_apart_is_that_of_its_agent() {
    let database = Database::new().await;
    let store = database.open().await;
    scene(&store).await;
    let state = control(&store).await;
    let check = |agent| build::check(&state, "acme", "search").agent(agent).call_id("call-1");
    let ask = async |check: build::Check| {
        let expire = claims_expire_before(build::NOW);
        let done = store.commit_decisions(check.batch(), expire).await.unwrap();
        done.into_committed().outcomes.pop().unwrap()
    };
    let Outcome::Recorded(first) = ask(check("bot")).await else { panic!("recorded") };
    database.sql("UPDATE claims SET principal = split_part(principal, chr(31), 1)");
    for _ in 0..2 {
        let again = ask(check("bot")).await;
        assert!(matches!(&again, Outcome::Replayed(record) if record.id == first.id), "{again:?}");
    }
    let Outcome::Recorded(other) = ask(check("other")).await else { panic!("recorded") };
    let again = ask(check("other")).await;
    assert!(matches!(&again, Outcome::Replayed(record) if record.id == other.id), "{again:?}");
    let again = ask(check("bot")).await;
    assert!(matches!(&again, Outcome::Replayed(record) if record.id == first.id), "{again:?}");
    assert_eq!(database.query("SELECT count(*) FROM claims"), "2");
}

//! The conformance suite of the port, on `PostgreSQL`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use crate::common::Database;
use jiff::{SignedDuration, Timestamp};
use sentinel_core::housekeeping::{Expiring, Reading};
use sentinel_core::ports::prelude::*;
use sentinel_testkit::conformance::FullStore;
use sqlx::{Connection as _, PgConnection, raw_sql};
use uuid::Uuid;

async fn open() -> (Arc<dyn FullStore>, Database) {
    let database = Database::new().await;
    (Arc::new(database.open().await), database)
}

sentinel_testkit::store_conformance_tests!(open);

/// One replica deletes at a time. One that dies is followed once its lease has ended; one that took
/// a lease by a clock that was far ahead, at once.
#[tokio::test]
async fn one_replica_keeps_house_at_a_time() {
    let database = Database::new().await;
    let stores = [database.open().await, database.open().await];
    let reading = Reading { now: Timestamp::now(), elapsed: Duration::ZERO };
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    assert!(stores[0].take_housekeeping(first, reading).await.unwrap().is_some());
    assert_eq!(stores[1].take_housekeeping(second, reading).await, Ok(None));
    assert!(stores[0].take_housekeeping(first, reading).await.unwrap().is_some(), "it goes on");
    database.sql("UPDATE housekeeping SET held_until = now() - interval '1 second'");
    assert!(stores[1].take_housekeeping(second, reading).await.unwrap().is_some());
    assert_eq!(stores[0].take_housekeeping(first, reading).await, Ok(None));
    database.sql("UPDATE housekeeping SET held_until = now() + interval '10 years'");
    assert!(stores[0].take_housekeeping(first, reading).await.unwrap().is_some());
}

/// The earlier of the two clocks counts.
#[tokio::test]
async fn a_replica_whose_clock_is_ahead_believes_the_database() {
    let database = Database::new().await;
    let store = database.open().await;
    let ahead = Timestamp::now().checked_add(SignedDuration::from_hours(87_600)).unwrap();
    for _ in 0..3 {
        let reading = Reading { now: ahead, elapsed: Duration::from_secs(86_400 * 365) };
        let believed = store.take_housekeeping(Uuid::nil(), reading).await.unwrap().unwrap();
        assert!(believed <= Timestamp::now(), "{believed}");
    }
}

/// Nothing waits for a row that somebody else holds, and the others go all the same.
#[tokio::test]
async fn a_row_that_is_locked_is_left_for_the_next_time() {
    let database = Database::new().await;
    let store = database.open().await;
    database.sql(
        "INSERT INTO quota_counters SELECT gen_random_uuid(), '1d', t, t + interval '1 day',
            gen_random_uuid(), 1, 1, 1
            FROM generate_series(now() - interval '40 days', now() - interval '31 days',
                interval '1 day') AS t",
    );
    let mut holder = PgConnection::connect(&database.url()).await.unwrap();
    raw_sql("BEGIN; SELECT FROM quota_counters ORDER BY window_end LIMIT 1 FOR UPDATE")
        .execute(&mut holder)
        .await
        .unwrap();
    let before = Expiring::Counters.before(Timestamp::now());
    let deleting = store.expire(Expiring::Counters, before);
    let deleted = tokio::time::timeout(Duration::from_secs(2), deleting).await;
    assert_eq!(deleted.expect("it waits for no lock"), Ok(9));
    raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    assert_eq!(store.expire(Expiring::Counters, before).await, Ok(1));
}

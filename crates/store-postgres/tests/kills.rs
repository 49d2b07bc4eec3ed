//! Kills where there is more than one clock, and more than one server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::kill::{Kill, KillScope, RestoreOrder};
use sentinel_core::page::Page;
use sentinel_core::ports::Restored;
use sentinel_core::ports::prelude::*;
use sentinel_core::principal::{ApiKey, Role};
use sentinel_core::store::{Conflict, StoreError};
use sentinel_testkit::build;
use sqlx::{Connection as _, PgConnection};

use crate::common::{Database, commit, control, scene};

/// The clock that all replicas share counts, and not that of one that is behind, in a batch that
/// would otherwise be committed in one call.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_clock_is_behind_puts_off_no_kill() {
    let database = Database::new().await;
    let store = database.open().await;
    let tool = scene(&store).await;
    let long_ago = |seconds: i64| Timestamp::constant(1_577_836_800 + seconds, 0);
    let starts_at = Some(long_ago(10));
    let kill = Kill { starts_at, ..build::kill(build::scope_of(&tool)) };
    let before = control(&store).await;
    store.kill(kill).await.unwrap();
    let after = control(&store).await;
    for state in [&before, &after] {
        let check = build::check(state, "acme", "search").at(long_ago(0));
        assert!(check.pending().record.allow, "by its own clock it has not begun");
        assert!(commit(&store, &check, state, 3).await.unwrap().is_empty());
    }
    let denied = "SELECT count(*) FROM policy_logs WHERE code = 'killed' AND decision = 'deny'";
    assert_eq!(database.query(denied), "6");
}

/// A clock that is ahead ends no kill: that of the server has to agree.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_clock_is_ahead_ends_no_kill_and_begins_none() {
    let database = Database::new().await;
    let store = database.open().await;
    scene(&store).await;
    let far = |seconds: i64| Timestamp::constant(4_102_444_800 + seconds, 0);
    let expiring = Kill { expires_at: Some(far(0)), ..build::kill(KillScope::Global) };
    let coming = Kill { starts_at: Some(far(0)), ..build::kill(KillScope::Global) };
    store.kill(expiring.clone()).await.unwrap();
    store.kill(coming.clone()).await.unwrap();
    let turned = store.turn_kills(vec![expiring.id, coming.id], far(10)).await.unwrap();
    assert!(turned.is_empty(), "{turned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_kinds_of_kill_are_refused_while_an_older_server_is_connected() {
    let database = Database::new().await;
    let store = database.open().await;
    let kill = |scope| build::kill(scope);
    let tag = || KillScope::ToolTag { tenant_id: None, tag: build::name("pci") };
    let timed = || Kill {
        expires_at: Some(Timestamp::constant(4_102_444_800, 0)),
        ..kill(KillScope::Global)
    };
    for name in ["sentinel%20schema%205", "sentinel"] {
        let older = format!("{}?application_name={name}", database.url());
        let older = PgConnection::connect(&older).await.unwrap();
        for new in [kill(tag()), timed()] {
            let refused = store.kill(new).await.unwrap_err();
            let expected = Conflict::OlderServers(1);
            assert_eq!(refused, StoreError::Conflict(expected));
        }
        store.kill(kill(KillScope::Global)).await.unwrap();
        older.close().await.unwrap();
        let took = async {
            while store.kill(kill(tag())).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), took).await.unwrap();
        store.kill(timed()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connected_replicas_are_counted() {
    let database = Database::new().await;
    let one = database.open().await;
    let counts = async |expected: u64| {
        let counted = async {
            while one.replicas().await.unwrap() != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), counted).await.unwrap();
    };
    counts(1).await;
    let others = (database.open().await, database.open().await);
    counts(3).await;
    drop(others);
    counts(1).await;
}

/// What a version from before wrote says by its key who made it.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_an_earlier_version_is_the_platforms_unless_a_bound_key_made_it() {
    let database = Database::new().await;
    let store = database.open().await;
    let tool = scene(&store).await;
    let key = |tenant_id| ApiKey { tenant_id, ..build::key(Role::Operator) };
    let (bound, unbound) = (key(Some(tool.tenant_id)), key(None));
    for key in [&bound, &unbound] {
        store.create_key(key.clone()).await.unwrap();
    }
    let actors = [format!("key:{}", bound.id), format!("key:{}", unbound.id), "who?".to_owned()];
    for (actor, by_platform) in actors.into_iter().zip([false, true, true]) {
        let kill = Kill { actor, ..build::kill(build::scope_of(&tool)) };
        store.kill(kill).await.unwrap();
        database.sql("UPDATE kills SET by_platform = NULL");
        let listed = store.kills(None, true, Page::first(1)).await.unwrap().items;
        assert_eq!(listed[0].by_platform, by_platform);
        let order = build::restore(build::scope_of(&tool), build::NOW);
        let order = RestoreOrder { by_platform: false, ..order };
        let restored = store.restore(order.clone()).await.unwrap();
        let refused = matches!(restored, Restored::NotYours(_));
        assert_eq!(refused, by_platform, "{restored:?}");
        let order = RestoreOrder { by_platform: true, ..order };
        store.restore(order).await.unwrap();
    }
}

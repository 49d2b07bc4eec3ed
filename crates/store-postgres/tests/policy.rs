//! The record of changes of policy, as somebody with the database's password meets it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use sentinel_core::id::PolicyChangeId;
use sentinel_core::policy_change::{PolicyChange, PolicyChangeKind};
use sentinel_core::ports::prelude::*;
use sentinel_testkit::build;
use sqlx::{Connection as _, PgConnection, raw_sql};
use uuid::Uuid;

use crate::common::Database;

#[tokio::test]
async fn changes_of_policy_are_neither_edited_nor_deleted() {
    let database = Database::new().await;
    let store = database.open().await;
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
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    for sql in [
        "UPDATE policy_changes SET actor = 'x'",
        "DELETE FROM policy_changes",
        "TRUNCATE policy_changes",
    ] {
        let refused = raw_sql(sql).execute(&mut connection).await.unwrap_err().to_string();
        assert!(refused.contains("never edited or deleted"), "{sql}: {refused}");
    }
    assert_eq!(database.query("SELECT count(*) FROM policy_changes"), "1");
}

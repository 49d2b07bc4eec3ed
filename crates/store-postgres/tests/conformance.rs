//! The conformance suite of the port, on `PostgreSQL`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::sync::Arc;

use crate::common::Database;
use sentinel_testkit::conformance::FullStore;

async fn open() -> (Arc<dyn FullStore>, Database) {
    let database = Database::new().await;
    (Arc::new(database.open().await), database)
}

sentinel_testkit::store_conformance_tests!(open);

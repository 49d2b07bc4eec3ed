//! The conformance suite of the port, on `PostgreSQL`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::sync::Arc;

use sentinel_core::store::Store;

use crate::common::Database;

async fn open() -> (Arc<dyn Store>, Database) {
    let database = Database::new().await;
    (Arc::new(database.open().await), database)
}

sentinel_testkit::store_conformance_tests!(open);

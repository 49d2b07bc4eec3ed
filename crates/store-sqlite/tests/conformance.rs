//! The conformance suite of the port, on `SQLite`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::conformance::FullStore;
use tempfile::TempDir;

async fn open() -> (Arc<dyn FullStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("sentinel.db")).unwrap();
    (Arc::new(store), folder)
}

sentinel_testkit::store_conformance_tests!(open);

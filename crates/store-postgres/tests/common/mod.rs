//! One server for each test process, one database for each test.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::panic, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use sentinel_core::commit::{Outcome, claims_expire_before};
use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::ports::prelude::*;
use sentinel_core::store::StoreError;
use sentinel_core::tool::Tool;
use sentinel_store_postgres::{Options, PostgresStore};
use sentinel_testkit::build;
use sentinel_testkit::postgres::Server;
use tokio::sync::OnceCell;

static SERVER: OnceLock<Server> = OnceLock::new();
static TEMPLATE: OnceCell<()> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A migrated database, dropped with this value.
#[derive(Debug)]
pub(crate) struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let server = SERVER.get_or_init(Server::without_fsync);
        TEMPLATE
            .get_or_init(|| async {
                server.create_database("migrated", "template0");
                PostgresStore::migrate(&server.url("migrated")).await.unwrap();
            })
            .await;
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.create_database(&name, "migrated");
        Self { server, name }
    }

    /// A database that was not migrated.
    pub(crate) fn empty() -> Self {
        let server = SERVER.get_or_init(Server::without_fsync);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.create_database(&name, "template0");
        Self { server, name }
    }

    /// The server, and the name of the database.
    pub(crate) fn place(&self) -> (&'static Server, String) {
        (self.server, self.name.clone())
    }

    pub(crate) fn query(&self, sql: &str) -> String {
        self.server.query(&self.name, sql)
    }

    pub(crate) fn sql(&self, sql: &str) {
        self.server.sql(&self.name, sql);
    }

    pub(crate) fn url(&self) -> String {
        self.server.url(&self.name)
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.url(), Options::default()).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.server.drop_database(&self.name);
    }
}

pub(crate) async fn control(store: &PostgresStore) -> Arc<ControlState> {
    let changes = store.control_changes(Epoch(0)).await.unwrap();
    Arc::new(ControlState::default().after(changes))
}

/// Registers `search` of `acme`.
pub(crate) async fn scene(store: &PostgresStore) -> Tool {
    let tenant = build::tenant("acme");
    let tool = build::tool(&tenant, "search");
    store.register_tool(tenant, tool).await.unwrap().tool
}

/// Commits `count` copies of a check; returns the identifiers of what was allowed.
pub(crate) async fn commit(
    store: &PostgresStore,
    check: &build::Check,
    control: &Arc<ControlState>,
    count: usize,
) -> Result<Vec<String>, StoreError> {
    let pendings = (0..count).map(|_| check.pending()).collect();
    let batch = build::batch(control, pendings);
    let done = store.commit_decisions(batch, claims_expire_before(build::NOW)).await?;
    let allowed = done.into_committed().outcomes.into_iter().filter_map(|outcome| match outcome {
        Outcome::Recorded(record) => record.allow.then(|| record.id.to_string()),
        other => panic!("{other:?}"),
    });
    Ok(allowed.collect())
}

/// Files of the migrations of this version.
fn migrations() -> impl Iterator<Item = &'static str> {
    include_str!("../../migrations/checksums").lines().filter_map(|line| line.split("  ").nth(1))
}

/// How many migrations this version has.
pub(crate) fn migration_count() -> usize {
    migrations().count()
}

/// The schema that this version knows: the number of its last migration.
pub(crate) fn known() -> u32 {
    let newest = migrations().last().unwrap();
    newest.split('_').next().unwrap().parse().unwrap()
}

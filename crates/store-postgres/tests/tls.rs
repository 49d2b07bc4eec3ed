//! TLS to the database: who is believed and who is not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sentinel_core::commit::{Outcome, claims_expire_before};
use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::ports::prelude::*;
use sentinel_core::store::StoreError;
use sentinel_store_postgres::{Options, PostgresStore};
use sentinel_testkit::build;
use sentinel_testkit::postgres::Server;

/// A server whose certificate is for `localhost`, and so not for `127.0.0.1`.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Server::with_tls("localhost");
        server.create_database("tls", "template0");
        server
    })
}

fn with(url: &str, mode: &str, authority: &Server) -> String {
    format!("{url}?sslmode={mode}&sslrootcert={}", authority.authority().display())
}

/// Why neither a migration nor a store connects by `url`.
async fn refused(url: &str) -> String {
    let migrating = PostgresStore::migrate(url).await;
    let Err(StoreError::Unavailable(why)) = migrating else { panic!("{migrating:?}") };
    let options = Options { acquire_timeout: Duration::from_secs(1), ..Options::default() };
    let opening = PostgresStore::open(url, options).await;
    assert!(matches!(opening, Err(StoreError::Unavailable(_))), "{opening:?}");
    why
}

#[tokio::test]
async fn a_verified_server_is_used_by_every_connection() {
    let server = server();
    let url = with(&server.url_at("localhost", "tls"), "verify-full", server);
    PostgresStore::migrate(&url).await.unwrap();
    let store = PostgresStore::open(&url, Options::default()).await.unwrap();
    let tenant = build::tenant("acme");
    let tool = build::tool(&tenant, "search");
    store.register_tool(tenant, tool).await.unwrap();
    let changes = store.control_changes(Epoch(0)).await.unwrap();
    let control = Arc::new(ControlState::default().after(changes));
    let batch = build::check(&control, "acme", "search").batch();
    let done = store.commit_decisions(batch, claims_expire_before(build::NOW)).await.unwrap();
    let outcomes = done.into_committed().outcomes;
    assert!(matches!(&outcomes[..], [Outcome::Recorded(record)] if record.allow), "{outcomes:?}");
    // Of the pool, the committers and the listener, none went around it.
    let sql = "SELECT bool_and(ssl), count(*) >= 3 FROM pg_stat_ssl JOIN pg_stat_activity \
               USING (pid) WHERE application_name LIKE 'sentinel %'";
    assert_eq!(server.query("tls", sql), "t|t");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let stranger = Server::with_tls("localhost");
    let url = server().url_at("localhost", "tls");
    for mode in ["verify-full", "verify-ca"] {
        let why = refused(&with(&url, mode, &stranger)).await;
        assert!(why.contains("certificate"), "{mode}: {why}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let server = server();
    let why = refused(&with(&server.url("tls"), "verify-full", server)).await;
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_refused() {
    let plain = Server::without_fsync();
    let url = plain.url_at("localhost", "postgres");
    refused(&format!("{url}?sslmode=require")).await;
    refused(&with(&url, "verify-full", server())).await;
    // Refused for that reason alone.
    PostgresStore::migrate(&format!("{url}?sslmode=disable")).await.unwrap();
}

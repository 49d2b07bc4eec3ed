//! What only `PostgreSQL` can do wrong: several replicas, a server that goes away, a schema that
//! others change.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod listings;
mod partitions;
mod replicas;
mod schema;
mod server;

//! Tests that try to break the guarantees of the real binary, over HTTP, under load.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod bundles;
mod client;
mod crash;
mod disk;
mod history;
mod hostile_policy;
mod kill;
mod log;
mod quota;
mod replicas;
mod secrets;
mod server;
mod stuck;
mod swap;

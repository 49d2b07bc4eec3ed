//! The HTTP interface as clients meet it: a listening server over a real store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod authorization;
mod authzen;
mod errors;
mod events;
mod ext_authz;
mod generated;
mod idempotency;
mod input;
mod kills;
mod limits;
mod log;
mod obligations;
mod opa;
mod payloads;
mod permits;
mod policy_data;
mod repeats;
mod seed;
mod signing;
#[path = "../support/mod.rs"]
mod support;
mod upstreams;
mod v1;
mod ws;

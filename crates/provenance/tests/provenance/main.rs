//! Tests of the crate through its public surface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod audit;
mod interoperability;
mod log_bundle;
mod log_note;
mod log_tree;
mod memory_log;
mod schemas;
mod tampering;
mod verification;

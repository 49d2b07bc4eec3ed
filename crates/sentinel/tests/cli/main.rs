//! The command line, as people and scripts use it: the real binary, in folders of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod archives;
mod client;
mod dev;
mod engines;
mod fleet;
mod lifecycle;
mod policy;
mod provenance;
mod serve;
mod support;

//! The lists of the gateway, with upstreams and an authority that are in memory.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod changes;
mod definitions;
mod greeting;
mod lists;
mod pages;
mod slow;
mod targets;
mod world;

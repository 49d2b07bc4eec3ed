//! Calls through the gateway: decided by the real use cases, sent to a server in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod calls;
mod doors;
mod input;
mod kills;
mod meta_tools;
mod policy;
mod repeats;
mod results;
mod world;

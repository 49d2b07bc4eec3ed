//! Connections to MCP servers, against real processes and listeners that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "tests fail by panicking, and pass literals"
)]

mod child;
mod eras;
mod limits;
mod sse;
mod streamable;
mod support;
mod web;

//! The front for HTTP, over a real listener, with the real use cases behind it and a server in
//! memory.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking, and read better with values"
)]

#[path = "support/mod.rs"]
mod support;

mod admission;
mod attacks;
mod ending;
mod eras;
mod legacy;
mod modern;
mod questions;
mod streams;

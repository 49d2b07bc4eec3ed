//! The transparency log over a real SQLite store that fails, hangs and is tampered with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod faults;
mod interruption;
mod leadership;
mod rotation;
mod scene;
#[path = "../use_cases/support.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;
mod tampering;

//! All outlets of the log, with the real programs on the other side and with servers that lie.
//!
//! `scripts/install.sh test` installs those programs; without them these tests fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]

mod cosign;
mod liar;
mod log;
mod mirror;
mod outlets;
mod rekor;
mod storage;
mod timestamp;
mod witness;

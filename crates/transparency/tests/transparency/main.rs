//! Everything that leaves the log, against the real programs at the other end and against liars.
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
#[path = "../../../provenance/tests/provenance/fixture.rs"]
mod fixture;
mod liar;
mod log;
mod mirror;
mod outlets;
mod rekor;
mod storage;
mod timestamp;
mod witness;

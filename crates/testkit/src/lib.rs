//! What the tests of several crates share: builders, a clock, and the conformance suite of the
//! store port. Never part of the binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

pub mod build;
pub mod clock;
pub mod conformance;
pub mod ending;
pub mod key_services;
pub mod keys;
pub mod litewitness;
pub mod manifest;
pub mod opa;
pub mod postgres;
pub mod redis;
pub mod rekor;
pub mod s3;
pub mod timestamp;
pub mod verifiers;
pub mod witness;

//! The use cases over a real store, with a policy and a clock that the test holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod attest;
mod calls;
mod check;
mod follow;
mod group;
mod health;
mod kills;
mod payloads;
mod policy;
mod rate;
mod repeats;
mod rollout;
mod signing;
mod signing_keys;
mod support;
mod upstreams;
mod usage;

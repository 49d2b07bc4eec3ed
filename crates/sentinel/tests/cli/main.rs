//! The command line, as people and scripts use it: the real binary, in folders of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod advice;
mod archives;
mod broken_pipe;
mod bundle;
mod client;
mod dev;
mod doctor;
mod engines;
mod evidence;
mod fleet;
mod gateway;
mod hook;
mod key_origins;
mod lifecycle;
mod lockout;
mod log_audit;
mod mcp_clients;
mod pages;
mod payloads;
mod permit_guard;
mod planted;
mod policy;
mod policy_changes;
mod previous;
mod provenance;
mod rollout;
mod serve;
mod signing_keys;
mod support;
mod transparency;
mod upstreams;
mod wrap;

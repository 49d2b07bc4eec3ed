//! The use cases of Sentinel MCP over the ports of `sentinel-core`.
//!
//! [`check::Checker`] is the one enforcement path; everything that decides a call goes through it.
//! Nothing here knows HTTP or SQL.

mod announce;
pub mod attest;
pub mod audit;
pub mod bus;
pub mod calls;
pub mod check;
pub mod commit;
pub mod control;
mod coverage;
mod elsewhere;
pub mod error;
pub mod group;
pub mod health;
mod history;
pub mod housekeeping;
mod ids;
mod judge;
pub mod keys;
pub mod kill;
mod lifetimes;
pub mod log;
pub mod networks;
mod outstanding;
pub mod payloads;
pub mod permit;
pub mod policy_data;
pub mod policy_log;
pub mod provenance;
pub mod quotas;
pub mod rate;
pub mod redeem;
pub mod registry;
pub mod rollouts;
pub mod self_test;
pub mod services;
pub mod signing;
pub mod subscription;
mod uncovered;
pub mod upstreams;
pub mod usage;

pub use error::ServiceError;
pub use services::{Ports, Services, Settings, Shared};

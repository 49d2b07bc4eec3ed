//! The domain of Sentinel MCP: what a decision is, what a quota counts, what a kill covers, and
//! the ports through which the rest of the system is reached.
//!
//! Nothing here does I/O and nothing here reads a clock: time and randomness arrive as arguments,
//! so every rule can be tested by calling it. `tokio`, SQL and HTTP are absent on purpose; the
//! edges are checked by `cargo xtask edges`.

pub mod audit;
pub mod check;
pub mod clock;
pub mod commit;
pub mod control;
pub mod decision;
pub mod epoch;
pub mod event;
mod event_weight;
pub mod housekeeping;
pub mod id;
pub mod json;
pub mod kill;
pub mod log;
pub mod manifest;
pub mod name;
pub mod page;
pub mod payload;
pub mod permit;
pub mod pin;
pub mod policy;
pub mod policy_change;
pub mod policy_data;
pub mod ports;
pub mod principal;
pub mod quota;
pub mod rate;
pub mod rollout;
pub mod self_test;
pub mod shadow;
pub mod store;
pub mod tenant;
pub mod tool;
pub mod upstream;

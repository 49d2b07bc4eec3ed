//! The store on SQLite: one file, one process, one thread that writes.
//!
//! Write-ahead log with `synchronous=FULL`, so a commit is on disk when it returns. Every write
//! goes through one thread, which makes the epoch lock of the ports' contract a matter of order:
//! see [`sentinel_core::ports`] and [`sentinel_core::commit`].
//!
//! Each port is implemented beside its SQL.

mod buckets;
mod checkpoint;
mod commit;
mod connection;
mod control;
mod counters;
mod decisions;
mod deployment;
mod epoch;
mod error;
mod housekeeping;
mod kills;
mod listing;
mod log;
mod log_append;
mod manifests;
mod migrations;
mod payloads;
mod policy;
mod readers;
mod receipts;
mod registry;
mod row;
mod store;
mod upstreams;
mod writer;

pub use crate::store::SqliteStore;

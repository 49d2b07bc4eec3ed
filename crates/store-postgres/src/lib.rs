//! The store on PostgreSQL: any number of replicas, one database.
//!
//! The epoch lock of the ports' contract is an advisory lock: commits of decisions hold it shared,
//! changes of control state alone. It is taken by a statement of its own, and the epoch is read by
//! the next one, so what a commit reads is what holds until it has ended: see
//! [`sentinel_core::ports`] and [`sentinel_core::commit`].
//!
//! Each port is implemented beside its SQL.

mod archive;
mod commit;
mod committers;
mod control;
mod counters;
mod decisions;
mod deployment;
mod epoch;
mod epochs;
mod error;
mod events;
#[cfg(feature = "planted-faults")]
mod fault;
mod housekeeping;
mod kills;
mod listing;
mod log;
mod log_append;
mod manifests;
mod measures;
mod migrations;
mod options;
mod partitions;
mod payloads;
mod policy;
mod receipts;
mod recording;
mod registry;
#[cfg(feature = "rehearsal")]
mod rehearsal;
mod row;
mod store;
mod time;
mod transaction;
mod upstreams;

pub use crate::events::{EventCounters, PostgresEvents};
#[cfg(feature = "planted-faults")]
pub use crate::fault::Fault;
pub use crate::measures::{PoolUse, Transactions};
pub use crate::migrations::Step;
pub use crate::options::Options;
pub use crate::store::PostgresStore;

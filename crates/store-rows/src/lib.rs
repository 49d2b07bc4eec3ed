//! Which columns the values of the domain are stored in, and how they are read and written: once
//! for all stores. Statements stay in each store, since SQLite and PostgreSQL differ in them.
//!
//! A store implements [`Row`] for its rows and binds [`Value`]s; [`Stored`] and [`Writable`] do the
//! rest. To add a field to a table, add its column to [`Stored::COLUMNS`], read it, write it, and
//! add a migration to each store.

mod columns;
mod counters;
mod cursor;
mod decisions;
mod kills;
mod log;
mod manifests;
mod payloads;
mod policy;
mod registry;
mod row;
mod stored;
mod upstreams;
mod value;

pub use columns::{Column, Dialect};
pub use cursor::{CounterCursor, limit_of, sequence_of};
pub use decisions::{DecisionRow, decision_of};
pub use log::{LeafRow, whole_leaves};
pub use row::{Columns, Row};
pub use stored::{Stored, Writable, insert, select};
pub use upstreams::PinRow;
pub use value::{Value, json};

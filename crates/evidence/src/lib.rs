//! The archive that an auditor is handed about one tenant: its format, and its verification, which
//! needs nothing but the archive and, better, keys and a trusted root of the auditor's own.
//!
//! An archive is a `tar.gz` with one folder, whose files are named in [`layout`]. It has the same
//! bytes for the same content, and ends with the digests of its files. [`Writer`] makes one;
//! [`verify`] reads one, once, from its beginning to its end, and reports each thing that was
//! checked with what is wrong with it.

mod error;
mod hashing;
pub mod layout;
mod readme;
mod report;
mod spool;
mod tally;
mod verify;
mod writer;

pub use error::Error;
pub use layout::{About, Consistency};
pub use readme::{Example, text as readme};
pub use report::Report;
pub use spool::Spool;
pub use verify::{Check, Trusting, verify};
pub use writer::Writer;

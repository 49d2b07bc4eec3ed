//! Decisions of past months in object storage: written once, and readable without a database.
//!
//! A month is a folder with parts, gzipped NDJSON in the form of `/v1/decisions/export`, and a
//! manifest that says what they hold. A part is named by its hash, so writing it again changes
//! nothing. The manifest is written last and never replaced: without one there is no archive.
//!
//! Reading is verifying. What is read was compared with the hashes of its part before it is given
//! out, and the end is only reached when the whole month is what its manifest says.

mod archive;
mod error;
mod line;
mod manifest;
mod month;
mod months;
mod part;
mod records;
mod tally;
mod writer;

pub use sentinel_objects::AddressError;

pub use crate::archive::{Archive, Published};
pub use crate::error::ArchiveError;
pub use crate::manifest::{Made, Manifest, Part};
pub use crate::month::{Month, NotAMonth};
pub use crate::months::{ArchivedMonth, ArchivingError, ClosedMonth, MonthStore};
pub use crate::records::{Entry, Records};
pub use crate::tally::{Content, Tally};
pub use crate::writer::Writer;

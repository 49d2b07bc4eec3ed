//! Object storage, as several parts of the product use it: where an address leads, how a file of
//! limited length is got, and what a refusal means.

mod address;
mod get;
mod refusal;

pub use crate::address::{AddressError, Folder, s3_builder};
pub use crate::get::{Got, get};
pub use crate::refusal::{is_absence, told};

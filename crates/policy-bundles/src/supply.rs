//! Where bundles come from, and how they come into force.
//!
//! A [`BundleSource`] returns what there is. The [`Keeper`] asks it from time to time, and puts
//! what is newer, trusted and vetted in force; whatever goes wrong leaves the policy in force where
//! it is, and the status says so. What was in force is kept on disk for a start without the source.

mod address;
mod disk;
mod file;
mod git;
mod history;
mod http;
mod keeper;
mod kept;
mod object;
mod pace;
mod source;

pub use self::address::{Access, AddressError, open};
pub use self::disk::{replace, sha256};
pub use self::keeper::{Keeper, KeeperConfig, SupplyCounts};
pub use self::pace::Pace;
pub use self::source::{BundleSource, Candidate, FetchError, Fetched};

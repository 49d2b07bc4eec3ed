//! OPA's bundles: policy and data as one `tar.gz`, signed if wanted, and where they come from.
//!
//! A [`Bundle`] is read and verified without anything of its policy being evaluated. The sources in
//! [`supply`] fetch bundles, and a [`Keeper`](supply::Keeper) puts what is newer, trusted and
//! vetted in force.

mod archive;
mod bundle;
mod canonical;
mod error;
mod key;
mod names;
mod revision;
mod signature;
pub mod supply;

pub use crate::archive::BundleLimits;
pub use crate::bundle::Bundle;
pub use crate::error::{BundleError, SupplyError};
pub use crate::key::{Algorithm, KeyError, SigningKey, VerificationKey};
pub use crate::revision::compare;
pub use crate::signature::{SignedFile, Signer, Signing, Trust};

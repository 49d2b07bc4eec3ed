//! Names of files that have a meaning in a bundle.

/// The signature over all other files, at the top of the bundle.
pub(crate) const SIGNATURES: &str = ".signatures.json";
/// What makes a delta bundle.
pub(crate) const PATCH: &str = "patch.json";

//! Files that were named on the command line.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sentinel_provenance::log::{
    MAX_POLICY_BYTES, MAX_TRUSTED_ROOT_BYTES, TrustedRoot, WitnessPolicy,
};

use crate::failure::{Failure, OrFail as _, Outcome};

/// The content of a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, or is longer.
pub(crate) fn read(path: &Path, limit: usize) -> Outcome<Vec<u8>> {
    let doing = || format!("cannot read `{}`", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).or_fail(doing)?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).or_fail(doing)?;
    if bytes.len() > limit {
        return Err(Failure::new(format!("{}: it has more than {limit} bytes", doing())));
    }
    Ok(bytes)
}

/// As [`read`], of a text.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub(crate) fn read_text(path: &Path, limit: usize) -> Outcome<String> {
    String::from_utf8(read(path, limit)?).or_fail(|| format!("`{}` is not text", path.display()))
}

/// The logs of a trusted root.
///
/// # Errors
/// As [`read`], and when it is none.
pub(crate) fn trusted_root(path: &Path) -> Outcome<TrustedRoot> {
    TrustedRoot::parse(&read(path, MAX_TRUSTED_ROOT_BYTES)?)
        .or_fail(|| format!("`{}` is no trusted root", path.display()))
}

/// A policy about witnesses.
///
/// # Errors
/// As [`read`], and when it cannot be enforced.
pub(crate) fn witness_policy(path: &Path) -> Outcome<WitnessPolicy> {
    WitnessPolicy::parse(&read_text(path, MAX_POLICY_BYTES)?)
        .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))
}

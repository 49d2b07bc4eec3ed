//! Files that were named on the command line.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sentinel_provenance::bundle::MAX_BUNDLE_BYTES;
use sentinel_provenance::log::{
    MAX_POLICY_BYTES, MAX_TRUSTED_ROOT_BYTES, TrustedRoot, WitnessPolicy,
};
use sentinel_provenance::{KeyEvents, LogTrust, PublicKey};

use crate::failure::{Failure, OrFail as _, Outcome};

/// Bytes of the longest key that is read; keys of ours have 178.
const MAX_PEM: usize = 16 * 1024;

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
/// As [`read`], and when it is not one.
pub(crate) fn trusted_root(path: &Path) -> Outcome<TrustedRoot> {
    TrustedRoot::parse(&read(path, MAX_TRUSTED_ROOT_BYTES)?)
        .or_fail(|| format!("`{}` is not a trusted root", path.display()))
}

/// A policy about witnesses.
///
/// # Errors
/// As [`read`], and when it cannot be enforced.
pub(crate) fn witness_policy(path: &Path) -> Outcome<WitnessPolicy> {
    WitnessPolicy::parse(&read_text(path, MAX_POLICY_BYTES)?)
        .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))
}

/// A public key, PEM.
///
/// # Errors
/// As [`read`], and when it is not an ECDSA P-256 key.
pub(crate) fn public_key(path: &Path) -> Outcome<PublicKey> {
    PublicKey::from_spki_pem(&read_text(path, MAX_PEM)?)
        .or_fail(|| format!("`{}` is not a public key that can be used", path.display()))
}

/// What statements about keys prove to a verifier that trusts these keys and logs.
///
/// # Errors
/// As [`read`], and when one of them proves nothing.
pub(crate) fn key_events(
    bundles: &[PathBuf],
    trusted: &[PathBuf],
    logs: &LogTrust,
) -> Outcome<KeyEvents> {
    let read = |path: &PathBuf| read(path, MAX_BUNDLE_BYTES);
    let read = bundles.iter().map(read).collect::<Outcome<Vec<_>>>()?;
    let trusted = trusted.iter().map(|path| public_key(path)).collect::<Outcome<Vec<_>>>()?;
    KeyEvents::read(&read, &trusted, logs).map_err(|(position, error)| {
        let name = bundles.get(position).map(|path| path.display().to_string()).unwrap_or_default();
        Failure::new(format!("key event `{name}`: {error}"))
    })
}

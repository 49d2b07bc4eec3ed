//! Bundles of policies: where they come from, and which of them are trusted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sentinel_policy_bundles::supply::{self, Access, KeeperConfig, Pace};
use sentinel_policy_bundles::{Algorithm, BundleLimits, Trust, VerificationKey};

use super::Policy;
use crate::config::problems::Problem;
use crate::environment;
use crate::parts::policy_engine::Supply;

/// The source of bundles that `policy_bundle` and the fields about it describe.
///
/// # Errors
/// The first thing that is missing or unsafe.
pub(super) fn source(policy: &Policy, address: &str) -> Result<Box<Supply>, Problem> {
    let dir = directory(policy)?;
    signers(policy, address.starts_with("git+"))?;
    if let Some(path) = &policy.policy_bundle_token_file {
        readable("policy_bundle_token_file", path)?;
    }
    let limits = BundleLimits::default();
    let long_poll = Duration::from_secs(policy.policy_bundle_long_poll_seconds);
    let access = Access {
        token_file: policy.policy_bundle_token_file.clone(),
        long_poll: (!long_poll.is_zero()).then_some(long_poll),
        timeout: None,
        allowed_signers: policy.policy_git_allowed_signers.as_deref().map(absolute),
        work_dir: Some(absolute(dir)),
        max_bytes: limits.max_compressed,
    };
    supply::open(address, &access, environment::variables()).map_err(|error| {
        Problem::new(
            format!("`policy_bundle` cannot be used: {error}"),
            "set it to `file:///etc/sentinel/bundle.tar.gz`, `https://…`, `s3://bucket/key` or \
             `git+https://…#branch`",
        )
    })?;
    let keeper = KeeperConfig {
        address: address.to_owned(),
        trust: trust(policy)?,
        limits,
        dir: Some(absolute(dir)),
        allow_rollback: policy.policy_bundle_allow_rollback,
        pace: Pace {
            min_delay: Duration::from_secs(policy.policy_bundle_min_delay_seconds),
            max_delay: Duration::from_secs(policy.policy_bundle_max_delay_seconds),
            random,
        },
    };
    Ok(Box::new(Supply { address: address.to_owned(), access, keeper }))
}

/// The directory in which the last good bundle is kept.
fn directory(policy: &Policy) -> Result<&Path, Problem> {
    let Some(dir) = &policy.policy_bundle_dir else {
        return Err(Problem::new(
            "`policy_bundle` needs a directory in which the last good bundle is kept",
            "set `policy_bundle_dir: /var/lib/sentinel/policy` to a directory of this server alone",
        ));
    };
    if !dir.is_dir() {
        let what =
            format!("the directory `{}` of `policy_bundle_dir` does not exist", dir.display());
        return Err(Problem::new(what, sentinel_signers::make_directory(dir)));
    }
    Ok(dir)
}

/// Refuses safeguards that are for the other kind of source, or safeguard nothing.
fn signers(policy: &Policy, git: bool) -> Result<(), Problem> {
    if git && policy.policy_bundle_key_file.is_some() {
        return Err(Problem::new(
            "`policy_bundle_key_file` is for bundles, and `policy_bundle` names a Git repository",
            "set `policy_git_allowed_signers` to have signed commits verified",
        ));
    }
    if !git && policy.policy_git_allowed_signers.is_some() {
        return Err(Problem::new(
            "`policy_git_allowed_signers` is for `git+…`, and `policy_bundle` names a bundle",
            "set `policy_bundle_key_file` to have its signature verified",
        ));
    }
    if let Some(path) = &policy.policy_git_allowed_signers {
        let signers = readable("policy_git_allowed_signers", path)?;
        if !signers.split(|byte| *byte == b'\n').any(is_signer) {
            return Err(Problem::new(
                format!(
                    "`policy_git_allowed_signers`: `{}` names no signer, so no commit is allowed",
                    path.display()
                ),
                "write a line for each signer, such as `alice@example.com ssh-ed25519 AAAA…`",
            ));
        }
    }
    Ok(())
}

/// Refuses fields about a bundle where there is none: they would be taken for a safeguard.
///
/// # Errors
/// When one of them is set.
pub(super) fn refuse_without_bundle(policy: &Policy) -> Result<(), Problem> {
    let set = [
        ("policy_bundle_key_file", policy.policy_bundle_key_file.is_some()),
        ("policy_bundle_algorithm", policy.policy_bundle_algorithm.is_some()),
        ("policy_bundle_scope", policy.policy_bundle_scope.is_some()),
        ("policy_bundle_token_file", policy.policy_bundle_token_file.is_some()),
        ("policy_bundle_dir", policy.policy_bundle_dir.is_some()),
        ("policy_git_allowed_signers", policy.policy_git_allowed_signers.is_some()),
    ];
    match set.into_iter().find(|(_, set)| *set) {
        Some((name, _)) => Err(Problem::new(
            format!("`{name}` is set, and without `policy_bundle` it does nothing"),
            format!("set `policy_bundle` in place of `policy_dir`, or remove `{name}`"),
        )),
        None => Ok(()),
    }
}

fn trust(policy: &Policy) -> Result<Option<Trust>, Problem> {
    let Some(path) = &policy.policy_bundle_key_file else {
        let idle = policy.policy_bundle_algorithm.is_some() || policy.policy_bundle_scope.is_some();
        if idle {
            return Err(Problem::new(
                "`policy_bundle_algorithm` or `policy_bundle_scope` is set without a key",
                "set `policy_bundle_key_file` to the keys that may sign bundles",
            ));
        }
        return Ok(None);
    };
    let bytes = readable("policy_bundle_key_file", path)?;
    let unusable = |error: &dyn std::fmt::Display| {
        Problem::new(
            format!("`policy_bundle_key_file` cannot be used: {error}"),
            "give public keys in PEM (`openssl pkey -in key.pem -pubout`), and their algorithm in \
             `policy_bundle_algorithm` if it is not the usual one",
        )
    };
    let algorithm = policy.policy_bundle_algorithm.as_deref().map(str::parse::<Algorithm>);
    let algorithm = algorithm.transpose().map_err(|error| unusable(&error))?;
    let keys = VerificationKey::read(&bytes, algorithm).map_err(|error| unusable(&error))?;
    Ok(Some(Trust { keys, scope: policy.policy_bundle_scope.clone() }))
}

/// Whether a line of an allowed-signers file is an entry: a name, the type of the key, and the key.
fn is_signer(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    !line.starts_with(b"#") && words.count() >= 3
}

fn readable(name: &str, path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| {
        let what = format!("`{name}`: cannot read `{}`: {error}", path.display());
        Problem::new(what, format!("correct `{name}`, or let this server read the file"))
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A number from 0 to 1. Without a source of randomness all servers ask at the same time, which
/// does no other harm.
fn random() -> f64 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

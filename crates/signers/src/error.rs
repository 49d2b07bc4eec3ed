//! Why nothing was signed.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::private_pem::PemError;

/// Why there is no key, or no signature. Neither message names key material, tokens or passphrases.
#[derive(Debug, Error)]
pub enum SignersError {
    /// The address of a key is not one.
    #[error("`{address}` is not the address of a key: {why}")]
    Address { address: String, why: &'static str },
    /// What the service needs to know who asks is missing or unusable.
    #[error("there are no credentials for {service}: {why}")]
    Credentials { service: &'static str, why: String },
    #[error("cannot read `{}`: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("`{}` can be read by others (mode {mode:04o})", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    /// What should be a private key in PEM is not.
    #[error("the key in {place} cannot be used: {error}")]
    Pem { place: String, error: PemError },
    /// It is a private key, of another kind.
    #[error("the key in {place} cannot be used: {why}")]
    Key { place: String, why: String },
    /// The service answered that it will not.
    #[error("{service} refused ({status}): {why}")]
    Refused { service: &'static str, status: u16, why: String },
    /// The service cannot be reached, or answered that it cannot.
    #[error("{service} is away: {why}")]
    Away { service: &'static str, why: String },
    /// What came back is not what was asked for. It is not used.
    #[error("{service} gave an unsound answer: {why}")]
    Unsound { service: &'static str, why: String },
}

impl SignersError {
    /// Whether asking again later may help.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// How to mend it, where that can be said.
    #[must_use]
    pub fn mend(&self) -> Option<String> {
        let text = match self {
            Self::Exposed { path, .. } => return Some(format!("chmod 600 '{}'", path.display())),
            Self::Pem { error: PemError::NoPassphrase, .. } => {
                "name a file with its passphrase, or a variable: `signing_key_passphrase_file` or \
                 `signing_key_passphrase_env`, and for the log `log_key_passphrase_…`"
            }
            Self::Pem { error: PemError::NotEncrypted, .. } => {
                "remove the passphrase, or encrypt the key: openssl pkcs8 -topk8 -v2 aes-256-cbc"
            }
            Self::Address { .. } => {
                "write `vault://host:8200/transit/key`, `awskms:///alias/key`, or \
                 `gcpkms://projects/…/cryptoKeyVersions/1`"
            }
            Self::Refused { status: 401 | 403, .. } => {
                "let the server's identity read the public key and sign; docs/signing-keys.md has \
                 the policy for each service"
            }
            Self::Refused { status: 404, .. } => {
                "make the key, or correct its address; docs/signing-keys.md has the commands"
            }
            Self::Credentials { .. } => "docs/signing-keys.md says where each service looks",
            Self::Away { .. } => "see that the service can be reached from here, and start again",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

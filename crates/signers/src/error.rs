//! Errors of this crate, with advice.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::command::{into_new_file, owner_only, shell_word};
use crate::private_pem::PemError;

/// The expected content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Key,
    Passphrase,
    Credentials,
}

impl Holds {
    const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Passphrase => "passphrase",
            Self::Credentials => "credentials",
        }
    }
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    File(PathBuf),
    /// An environment variable, by name.
    Variable(String),
    /// A service, or memory.
    Holder(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Variable(name) => write!(f, "the variable `{name}`"),
            Self::Holder(holder) => f.write_str(holder),
        }
    }
}

/// Why there is no key or no signature. No message contains key material, tokens or passphrases.
#[derive(Debug, Error)]
pub enum SignersError {
    /// The address of the key is invalid.
    #[error("`{address}` is not the address of a key: {why}")]
    Address { address: String, why: &'static str },
    /// The credentials for the service are missing or unusable.
    #[error("there are no credentials for {service}: {why}")]
    Credentials { service: &'static str, why: String },
    #[error("cannot read the {} in `{}`: {error}", holds.name(), path.display())]
    Unreadable { path: PathBuf, holds: Holds, error: io::Error },
    #[error("`{}` is a directory, not the file of a {}", path.display(), holds.name())]
    Directory { path: PathBuf, holds: Holds },
    #[error("`{}` can be read by others (mode {mode:04o})", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    /// The text is not a private key in PEM.
    #[error("the key in {place} cannot be used: {error}")]
    Pem { place: Place, error: PemError },
    /// The private key is of another kind.
    #[error("the key in {place} cannot be used: {why}")]
    Key { place: Place, why: String },
    /// The service refused.
    #[error("{service} refused ({status}): {why}")]
    Refused { service: &'static str, status: u16, why: String },
    /// The service cannot be reached, or is not able to respond.
    #[error("{service} is away: {why}")]
    Away { service: &'static str, why: String },
    /// The response is not what was requested. It is not used.
    #[error("{service} gave an unsound answer: {why}")]
    Unsound { service: &'static str, why: String },
}

impl SignersError {
    /// Whether a later attempt may succeed.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// How to fix it, if that is known. No advice overwrites or removes a file, because the key
    /// that cannot be opened may be the only copy.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        let text = match self {
            Self::Exposed { path, .. } => return Some(owner_only(path, "600")),
            Self::Unreadable { holds, error, .. } => return Some(unreadable(*holds, error)),
            Self::Directory { holds, .. } => {
                return Some(format!("name the file of the {} in it", holds.name()));
            }
            Self::Pem { place, error } => return Some(unusable_pem(place, *error)),
            Self::Key { .. } => {
                "name the file or service of another key; this one is left as it is, since what it \
                 signed is verified by it"
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
            Self::Away { .. } => {
                "make sure that this machine can reach the service, and start again"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn unreadable(holds: Holds, error: &io::Error) -> String {
    let what = holds.name();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("correct the path, or restore the file of the {what} from a backup")
        }
        io::ErrorKind::PermissionDenied => format!(
            "let the user that runs this own the file of the {what}, with mode 600, and enter the \
             directories above it; the file itself is left as it is"
        ),
        io::ErrorKind::NotADirectory => {
            format!("correct the path of the {what}: what it names as a directory is a file")
        }
        _ => format!("make sure that the file of the {what} can be read: {error}"),
    }
}

fn unusable_pem(place: &Place, error: PemError) -> String {
    match error {
        PemError::NoPassphrase => {
            "name a file with its passphrase, or a variable: `signing_key_passphrase_file` or \
             `signing_key_passphrase_env`, and for the log `log_key_passphrase_…`"
                .to_owned()
        }
        PemError::NotEncrypted => {
            let encrypt = rewritten(place, "-v2 aes-256-cbc", "encrypted");
            format!("remove the passphrase from the configuration, or {encrypt}")
        }
        PemError::Passphrase => "correct the passphrase, or restore the one that the key was \
             encrypted with; the key itself is whole, and no other passphrase opens it"
            .to_owned(),
        PemError::Cipher | PemError::TooMuchWork => {
            rewritten(place, "-v2 aes-256-cbc -iter 600000", "aes")
        }
        PemError::Label => {
            let convert = rewritten(place, "-nocrypt", "pkcs8");
            format!("name the file of a private key, or, if this is one in another form, {convert}")
        }
        PemError::NotPem => "name the file of a private key in PEM (`BEGIN PRIVATE KEY`), or \
             restore it from a backup; what is there is left as it is"
            .to_owned(),
    }
}

/// A command that writes the key in another form to a new file.
fn rewritten(place: &Place, how: &str, name: &str) -> String {
    let Place::File(path) = place else {
        return format!(
            "write the key with `openssl pkcs8 -topk8 {how}`, and set the variable to that"
        );
    };
    match (shell_word(path), beside(path, name)) {
        (Some(from), Some(to)) => {
            let command = into_new_file(&format!("openssl pkcs8 -topk8 {how} -in {from}"), &to);
            format!("write the key to a new file and name that one: {command}")
        }
        _ => format!(
            "write the key to a new file with `openssl pkcs8 -topk8 {how}`, and name that one"
        ),
    }
}

/// `key.pem` and `aes` are `key.aes.pem`.
fn beside(path: &Path, name: &str) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_str()?;
    Some(path.with_file_name(format!("{stem}.{name}.pem")))
}

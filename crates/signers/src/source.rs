//! The configured source of a key.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::address::KeyAddress;
use crate::credentials::Access;
use crate::error::{Holds, Place, SignersError};
use crate::key::{HeldKey, KeyService};
use crate::private_pem::{MAX_PEM_BYTES, decrypt_private_pem};

/// A text that is not shown in `Debug` output and is erased when it is dropped.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a key is, and what opens it.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A PEM file that only its owner can read.
    File { path: PathBuf, passphrase: Option<Passphrase> },
    /// The PEM itself, from the environment variable of that name.
    Variable { name: String, pem: Secret, passphrase: Option<Passphrase> },
    /// A service that signs with the key and never reveals it.
    Service { address: KeyAddress, access: Access },
}

/// The passphrase of an encrypted key.
#[derive(Debug, Clone)]
pub enum Passphrase {
    /// The first line of a file that only its owner can read.
    File(PathBuf),
    /// From the environment.
    Text(Secret),
}

impl KeySource {
    /// Opens the key: reads it, or asks its service for the public half.
    ///
    /// # Errors
    /// When there is no such key, or it cannot be reached.
    pub async fn open(&self) -> Result<Arc<dyn KeyService>, SignersError> {
        match self {
            Self::Service { address, access } => address.open(access).await,
            Self::File { .. } | Self::Variable { .. } => {
                let source = self.clone();
                let read = tokio::task::spawn_blocking(move || source.read()).await;
                let broken_off = |_| SignersError::Key {
                    place: Place::Holder("memory".to_owned()),
                    why: "reading it was broken off".to_owned(),
                };
                Ok(Arc::new(read.map_err(broken_off)??))
            }
        }
    }

    /// Reads a key that is not with a service. Blocks on the disk, and for an encrypted key on the
    /// derivation of its cipher's key: up to some seconds.
    ///
    /// # Errors
    /// When it cannot be read, decrypted or used, or is with a service.
    pub fn read(&self) -> Result<HeldKey, SignersError> {
        let (place, pem, passphrase) = match self {
            Self::File { path, passphrase } => {
                (Place::File(path.clone()), read_private(path, Holds::Key)?, passphrase)
            }
            Self::Variable { name, pem, passphrase } => {
                let pem = Zeroizing::new(pem.as_str().into());
                (Place::Variable(name.clone()), pem, passphrase)
            }
            Self::Service { address, .. } => {
                let place = Place::Holder(address.to_string());
                let why = "it is with a service, which does not give it away".to_owned();
                return Err(SignersError::Key { place, why });
            }
        };
        let passphrase = passphrase.as_ref().map(Passphrase::read).transpose()?;
        let passphrase = passphrase.as_ref().map(|secret| secret.as_str().as_bytes());
        let pem = decrypt_private_pem(&pem, passphrase)
            .map_err(|error| SignersError::Pem { place: place.clone(), error })?;
        HeldKey::from_pkcs8_pem(&pem).ok_or_else(|| SignersError::Key {
            place,
            why: "it is not a valid ECDSA P-256 or Ed25519 key".to_owned(),
        })
    }
}

impl Passphrase {
    fn read(&self) -> Result<Secret, SignersError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => read_secret(path),
        }
    }
}

/// Reads a text from the first line of a file that only its owner can read.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, SignersError> {
    let holds = Holds::Passphrase;
    let bytes = read_private(path, holds)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| SignersError::Unreadable {
        path: path.to_owned(),
        holds,
        error: std::io::Error::other("it is not UTF-8"),
    })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Reads a file that only its owner can read. A file that is longer than any key is cut off, so
/// that it is not a valid key.
///
/// # Errors
/// [`SignersError::Unreadable`], [`SignersError::Directory`] or [`SignersError::Exposed`].
pub fn read_private(path: &Path, holds: Holds) -> Result<Zeroizing<Vec<u8>>, SignersError> {
    let unreadable = |error| SignersError::Unreadable { path: path.to_owned(), holds, error };
    let file = File::open(path).map_err(unreadable)?;
    // Of the open file, so that what is checked is what is read.
    let about = file.metadata().map_err(unreadable)?;
    // Before the mode: a directory with the mode of a key file could not be entered.
    if about.is_dir() {
        return Err(SignersError::Directory { path: path.to_owned(), holds });
    }
    let mode = about.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SignersError::Exposed { path: path.to_owned(), mode });
    }
    // Room for all of it, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PEM_BYTES + 2));
    file.take(MAX_PEM_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

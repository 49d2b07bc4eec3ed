//! The file of the key that signs manifests.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sentinel_provenance::{EcdsaP256Signer, Signer as _};

/// Larger files are surely no key. Bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Why there is no signing key.
#[derive(Debug)]
pub(crate) enum SigningKeyError {
    Unreadable { path: PathBuf, error: io::Error },
    Exposed { path: PathBuf, mode: u32 },
    Invalid { path: PathBuf, error: String },
    Unwritable { path: PathBuf, error: io::Error },
}

impl std::fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "cannot read the signing key `{}`: {error}", path.display())
            }
            Self::Exposed { path, mode } => {
                let path = path.display();
                write!(f, "the signing key `{path}` can be read by others (mode {mode:04o})")
            }
            Self::Invalid { path, error } => {
                write!(f, "the signing key `{}` cannot be used: {error}", path.display())
            }
            Self::Unwritable { path, error } => {
                write!(f, "cannot write `{}`: {error}", path.display())
            }
        }
    }
}

impl SigningKeyError {
    /// How to mend it, where that is one command.
    pub(crate) fn mend(&self) -> Option<String> {
        match self {
            Self::Exposed { path, .. } => Some(format!("chmod 600 '{}'", path.display())),
            _ => None,
        }
    }
}

/// Reads a signing key.
///
/// # Errors
/// When it cannot be read, is readable by others, or is no ECDSA P-256 key in PKCS#8 PEM.
pub(crate) fn load(path: &Path) -> Result<EcdsaP256Signer, SigningKeyError> {
    let unreadable = |error| SigningKeyError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    // Of the open file, so that what is checked is what is read.
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SigningKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut pem = String::new();
    file.take(MAX_BYTES).read_to_string(&mut pem).map_err(unreadable)?;
    EcdsaP256Signer::from_pkcs8_pem(&pem).map_err(|error| SigningKeyError::Invalid {
        path: path.to_owned(),
        error: error.to_string(),
    })
}

/// Where the signing key of a server comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file that must be there.
    File(PathBuf),
    /// A file that is made when there is none, and one for its public half.
    Made { key: PathBuf, public: PathBuf },
}

/// A key that was read, or one that was made and is not on disk yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    source: Source,
    signer: EcdsaP256Signer,
    is_new: bool,
}

impl Source {
    /// Reads the key, or makes one, which takes the generator of AWS-LC some 70 ms at first.
    /// Nothing is written, so this needs no lock.
    ///
    /// # Errors
    /// Those of [`load`], or when no key can be made.
    pub(crate) fn prepare(self) -> Result<Prepared, SigningKeyError> {
        let (Self::File(path) | Self::Made { key: path, .. }) = &self;
        let (signer, is_new) = match (load(path), &self) {
            (Err(SigningKeyError::Unreadable { error, .. }), Self::Made { .. })
                if error.kind() == io::ErrorKind::NotFound =>
            {
                let made = EcdsaP256Signer::generate();
                (made.map_err(|error| invalid(path, &error))?, true)
            }
            (loaded, _) => (loaded?, false),
        };
        Ok(Prepared { source: self, signer, is_new })
    }
}

impl Prepared {
    /// Writes what is not on disk. To be called once the database is held: of two processes that
    /// start on the same directory, only one makes its key.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub(crate) fn settle(self) -> Result<EcdsaP256Signer, SigningKeyError> {
        let Self { source: Source::Made { key, public }, mut signer, is_new } = self else {
            return Ok(self.signer);
        };
        if is_new && key.exists() {
            // Whoever held the database in the meantime made it.
            signer = load(&key)?;
        } else if is_new {
            let pem = signer.to_pkcs8_pem().map_err(|error| invalid(&key, &error))?;
            write_private(&key, pem.as_bytes())
                .map_err(|error| SigningKeyError::Unwritable { path: key.clone(), error })?;
        }
        let pem = signer.public_key().to_spki_pem().map_err(|error| invalid(&key, &error))?;
        if std::fs::read_to_string(&public).ok().as_deref() != Some(pem.as_str()) {
            std::fs::write(&public, pem)
                .map_err(|error| SigningKeyError::Unwritable { path: public, error })?;
        }
        Ok(signer)
    }
}

fn invalid(path: &Path, error: &impl std::fmt::Display) -> SigningKeyError {
    SigningKeyError::Invalid { path: path.to_owned(), error: error.to_string() }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    // What a start that was cut short left behind; its mode could be another's choice.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    // The rename itself is on disk once its directory is.
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    fn load_or_create(key: &Path, public: &Path) -> Result<EcdsaP256Signer, SigningKeyError> {
        let source = Source::Made { key: key.to_owned(), public: public.to_owned() };
        source.prepare()?.settle()
    }

    #[test]
    fn of_two_keys_made_at_once_the_first_that_settles_stays() {
        let dir = tempfile::tempdir().unwrap();
        let source = || Source::Made { key: dir.path().join("k"), public: dir.path().join("p") };
        let (first, second) = (source().prepare().unwrap(), source().prepare().unwrap());
        let first = first.settle().unwrap();
        let second = second.settle().unwrap();
        assert_eq!(first.public_key(), second.public_key());
    }

    #[test]
    fn a_key_that_must_be_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.pem");
        assert!(Source::File(path.clone()).prepare().is_err());
        assert!(!path.exists());
    }

    #[test]
    fn a_key_is_made_once_and_its_public_half_restored() {
        let dir = tempfile::tempdir().unwrap();
        let (path, public) = (dir.path().join("k.pem"), dir.path().join("k.pub.pem"));
        let made = load_or_create(&path, &public).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        std::fs::remove_file(&public).unwrap();
        let again = load_or_create(&path, &public).unwrap();
        assert_eq!(made.public_key(), again.public_key());
        assert_eq!(
            std::fs::read_to_string(&public).unwrap(),
            made.public_key().to_spki_pem().unwrap()
        );
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_its_mend() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.pem");
        load_or_create(&path, &dir.path().join("k.pub.pem")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = load(&path).unwrap_err();
        assert!(error.to_string().contains("0640"), "{error}");
        assert_eq!(error.mend().unwrap(), format!("chmod 600 '{}'", path.display()));
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.pem");
        write_private(&path, b"no key").unwrap();
        assert!(load_or_create(&path, &dir.path().join("p")).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"no key");
    }
}

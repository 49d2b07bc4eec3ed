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

/// Reads a signing key, making it when there is none, and writes its public half beside it.
///
/// # Errors
/// Those of [`load`], or when the key cannot be made or written.
pub(crate) fn load_or_create(
    path: &Path,
    public: &Path,
) -> Result<EcdsaP256Signer, SigningKeyError> {
    let signer = match load(path) {
        Err(SigningKeyError::Unreadable { error, .. })
            if error.kind() == io::ErrorKind::NotFound =>
        {
            create(path)?
        }
        other => other?,
    };
    let invalid = |error: String| SigningKeyError::Invalid { path: path.to_owned(), error };
    let pem = signer.public_key().to_spki_pem().map_err(|error| invalid(error.to_string()))?;
    if std::fs::read_to_string(public).ok().as_deref() != Some(pem.as_str()) {
        std::fs::write(public, pem)
            .map_err(|error| SigningKeyError::Unwritable { path: public.to_owned(), error })?;
    }
    Ok(signer)
}

fn create(path: &Path) -> Result<EcdsaP256Signer, SigningKeyError> {
    let invalid = |error: String| SigningKeyError::Invalid { path: path.to_owned(), error };
    let signer = EcdsaP256Signer::generate().map_err(|error| invalid(error.to_string()))?;
    let pem = signer.to_pkcs8_pem().map_err(|error| invalid(error.to_string()))?;
    write_private(path, pem.as_bytes())
        .map_err(|error| SigningKeyError::Unwritable { path: path.to_owned(), error })?;
    Ok(signer)
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

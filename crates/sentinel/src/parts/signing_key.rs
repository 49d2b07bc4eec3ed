//! The key that signs manifests, and that of the log: from where the configuration says, or from
//! files that `sentinel dev` makes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sentinel_provenance::log::{Checkpoint, VerifierKey};
use sentinel_provenance::{EcdsaP256Signer, Envelope, PublicKey, SignError, Signer as _};
use sentinel_service::log::CheckpointSigner;
use sentinel_service::signing::{Certifier, Signing};
use sentinel_signers::{KeySource, LogKey, ManifestKey, SignersError};

use crate::config::keys::GivenKey;

/// Why there is no signing key.
#[derive(Debug)]
pub(crate) enum SigningKeyError {
    Signers(SignersError),
    NotP256 { path: PathBuf },
    Unwritable { path: PathBuf, error: io::Error },
    Unavailable(String),
}

impl std::fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signers(error) => error.fmt(f),
            Self::NotP256 { path } => {
                write!(f, "the signing key `{}` is not an ECDSA P-256 key", path.display())
            }
            Self::Unwritable { path, error } => {
                write!(f, "cannot write `{}`: {error}", path.display())
            }
            Self::Unavailable(why) => write!(f, "the signing key cannot be used: {why}"),
        }
    }
}

impl From<SignersError> for SigningKeyError {
    fn from(error: SignersError) -> Self {
        Self::Signers(error)
    }
}

impl SigningKeyError {
    /// How to mend it, where that can be said.
    pub(crate) fn mend(&self) -> Option<String> {
        match self {
            Self::Signers(error) => error.mend(),
            Self::NotP256 { .. } => Some(
                "restore the key from a backup; what is there is left as it is, and may be another \
                 key in use"
                    .to_owned(),
            ),
            Self::Unwritable { .. } => {
                Some("let the user that runs this write to its directory".to_owned())
            }
            Self::Unavailable(_) => None,
        }
    }
}

/// Reads a signing key from a file.
///
/// # Errors
/// When it cannot be read, is readable by others, or is no plain ECDSA P-256 key in PKCS#8 PEM.
pub(crate) fn load(path: &Path) -> Result<EcdsaP256Signer, SigningKeyError> {
    let held = KeySource::File { path: path.to_owned(), passphrase: None }.read()?;
    held.into_signer().ok_or_else(|| SigningKeyError::NotP256 { path: path.to_owned() })
}

/// Where the signing key of a server comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// What the configuration names; it must be there.
    Given(Box<GivenKey>),
    /// A file that is made when there is none, and one for its public half.
    Made { key: PathBuf, public: PathBuf },
}

/// A key that was opened, or one that was made and is not on disk yet.
#[derive(Debug)]
pub(crate) enum Prepared {
    Given(Signing),
    Made { key: PathBuf, public: PathBuf, signer: Box<EcdsaP256Signer>, is_new: bool },
}

impl Source {
    /// Opens the key, or makes one, which takes the generator of AWS-LC some 70 ms at first.
    /// Nothing is written, so this needs no lock.
    ///
    /// # Errors
    /// When it cannot be opened or made.
    pub(crate) async fn prepare(self) -> Result<Prepared, SigningKeyError> {
        match self {
            Self::Given(given) => given.open().await.map(Prepared::Given),
            Self::Made { key, public } => {
                let read = tokio::task::spawn_blocking(|| load_or_make(key, public)).await;
                read.map_err(|error| SigningKeyError::Unavailable(error.to_string()))?
            }
        }
    }
}

fn load_or_make(key: PathBuf, public: PathBuf) -> Result<Prepared, SigningKeyError> {
    match load(&key) {
        Err(SigningKeyError::Signers(SignersError::Unreadable { error, .. }))
            if error.kind() == io::ErrorKind::NotFound =>
        {
            let made = EcdsaP256Signer::generate();
            let signer = made.map_err(|error| SigningKeyError::Unavailable(error.to_string()))?;
            Ok(Prepared::Made { key, public, signer: Box::new(signer), is_new: true })
        }
        loaded => {
            let signer = Box::new(loaded?);
            Ok(Prepared::Made { key, public, signer, is_new: false })
        }
    }
}

impl GivenKey {
    async fn open(self) -> Result<Signing, SigningKeyError> {
        let Some(lifetime) = self.certifies_for else {
            let read = tokio::task::spawn_blocking(move || self.source.read()).await;
            let read = read.map_err(|error| SigningKeyError::Unavailable(error.to_string()))?;
            let signer = read?.into_signer().ok_or_else(|| {
                SigningKeyError::Unavailable("manifests need an ECDSA P-256 key".to_owned())
            })?;
            return Ok(Signing::Direct(Arc::new(signer)));
        };
        let key = ManifestKey::new(self.source.open().await?)?;
        Ok(Signing::Certified { certifier: Arc::new(LongLivedKey(key)), lifetime })
    }
}

/// The key that vouches for those of replicas.
#[derive(Debug)]
struct LongLivedKey(ManifestKey);

#[async_trait]
impl Certifier for LongLivedKey {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    async fn sign(&self, payload: Vec<u8>) -> Result<Envelope, SignError> {
        self.0.sign(payload).await.map_err(|error| SignError::Signer(error.to_string()))
    }
}

/// A key of the log that the configuration names.
#[derive(Debug)]
struct GivenLogKey(LogKey);

#[async_trait]
impl CheckpointSigner for GivenLogKey {
    fn verifier_key(&self) -> &VerifierKey {
        self.0.verifier_key()
    }

    async fn sign(&self, checkpoint: &Checkpoint) -> Result<String, SignError> {
        let note = self.0.sign(checkpoint).await;
        note.map(|note| note.to_string()).map_err(|error| SignError::Signer(error.to_string()))
    }
}

/// Opens the key of the log of that name.
///
/// # Errors
/// When it cannot be opened, or is of another kind.
pub(crate) async fn open_log_key(
    source: &KeySource,
    origin: &str,
) -> Result<Arc<dyn CheckpointSigner>, SigningKeyError> {
    Ok(Arc::new(GivenLogKey(LogKey::new(source.open().await?, origin)?)))
}

impl Prepared {
    /// Writes what is not on disk. To be called once the database is held: of two processes that
    /// start on the same directory, only one makes its key.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub(crate) fn settle(self) -> Result<Signing, SigningKeyError> {
        let (key, public, mut signer, is_new) = match self {
            Self::Given(signing) => return Ok(signing),
            Self::Made { key, public, signer, is_new } => (key, public, signer, is_new),
        };
        let unavailable =
            |error: &dyn std::fmt::Display| SigningKeyError::Unavailable(error.to_string());
        if is_new {
            let pem = signer.to_pkcs8_pem().map_err(|error| unavailable(&error))?;
            match write_new(&key, pem.as_bytes()) {
                Ok(()) => {}
                // The process that held the database in the meantime made it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => *signer = load(&key)?,
                Err(error) => return Err(SigningKeyError::Unwritable { path: key, error }),
            }
        }
        let pem = signer.public_key().to_spki_pem().map_err(|error| unavailable(&error))?;
        if std::fs::read_to_string(&public).ok().as_deref() != Some(pem.as_str()) {
            std::fs::write(&public, pem)
                .map_err(|error| SigningKeyError::Unwritable { path: public, error })?;
        }
        Ok(Signing::Direct(Arc::new(*signer)))
    }
}

/// Writes a file that only its owner can read, whole or not at all, in place of one that is there.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, content)?;
    std::fs::rename(&temporary, path)?;
    sync_directory(path)
}

/// As [`write_private`], but never in place of another: a key that is there stays.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when something of that name is there, whatever it is.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, content)?;
    let linked = match std::fs::hard_link(&temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without links: created, so not another's, though perhaps not whole.
            let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            options.and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()
            })
        }
        linked => linked,
    };
    let removed = std::fs::remove_file(&temporary);
    linked?;
    removed?;
    sync_directory(path)
}

/// The rename, or the link, is on disk once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn write_beside(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
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
    Ok(temporary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn load_or_create(key: &Path, public: &Path) -> Result<PublicKey, SigningKeyError> {
        settled(load_or_make(key.to_owned(), public.to_owned())?)
    }

    fn settled(prepared: Prepared) -> Result<PublicKey, SigningKeyError> {
        let Signing::Direct(signer) = prepared.settle()? else { panic!("not the key itself") };
        Ok(signer.public_key().clone())
    }

    #[test]
    fn of_two_keys_made_at_once_the_first_that_settles_stays() {
        let dir = tempfile::tempdir().unwrap();
        let prepare = || load_or_make(dir.path().join("k"), dir.path().join("p")).unwrap();
        let (first, second) = (prepare(), prepare());
        assert_eq!(settled(first).unwrap(), settled(second).unwrap());
    }

    #[tokio::test]
    async fn a_key_that_must_be_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.pem");
        let source = KeySource::File { path: path.clone(), passphrase: None };
        let given = GivenKey { source, certifies_for: None };
        assert!(Source::Given(Box::new(given)).prepare().await.is_err());
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
        assert_eq!(made, again);
        assert_eq!(std::fs::read_to_string(&public).unwrap(), made.to_spki_pem().unwrap());
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
        assert_eq!(write_new(&path, b"new").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"no key");
        // Nothing is left beside it, and what is no file is left alone, too.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("nowhere"), &link).unwrap();
        assert_eq!(write_new(&link, b"new").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!dir.path().join("nowhere").exists());
    }
}

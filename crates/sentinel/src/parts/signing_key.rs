//! The key that signs manifests: from where the configuration says, or from files that
//! `sentinel dev` makes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_provenance::{EcdsaP256Signer, Envelope, PublicKey, SignError, Signer as _};
use sentinel_service::signing::{Certifier, Signing};
use sentinel_signers::{KeySource, ManifestKey, SignersError};

use crate::failure::Failure;
use crate::parts::private_file::write_new;

/// Why a key cannot sign.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningKeyError {
    #[error(transparent)]
    Signers(#[from] SignersError),
    #[error("the signing key `{}` is not an ECDSA P-256 key", path.display())]
    NotP256 { path: PathBuf },
    #[error("cannot write `{}`: {error}", path.display())]
    Unwritable { path: PathBuf, error: io::Error },
    #[error("the signing key cannot be used: {0}")]
    Unavailable(String),
}

impl SigningKeyError {
    /// How to fix it, where that can be said.
    pub(crate) fn fix(&self) -> Option<String> {
        match self {
            Self::Signers(error) => error.fix(),
            Self::NotP256 { .. } => Some(
                "restore the key from a backup; the file is left as it is, since it may be another \
                 key in use"
                    .to_owned(),
            ),
            Self::Unwritable { .. } => {
                Some("let the user that runs this write to its directory".to_owned())
            }
            Self::Unavailable(_) => None,
        }
    }

    /// The failure of a command, with its fix where that is known.
    pub(crate) fn failure(&self) -> Failure {
        self.fix().into_iter().fold(Failure::new(self.to_string()), Failure::help)
    }
}

/// Reads a signing key from a file.
///
/// # Errors
/// When it cannot be read, is readable by others, or is not a plain ECDSA P-256 key in PKCS#8 PEM.
pub(crate) fn load(path: &Path) -> Result<EcdsaP256Signer, SigningKeyError> {
    let held = KeySource::File { path: path.to_owned(), passphrase: None }.read()?;
    held.into_signer().ok_or_else(|| SigningKeyError::NotP256 { path: path.to_owned() })
}

/// The key that signs manifests, or certifies those that do.
#[derive(Debug, Clone)]
pub(crate) struct GivenKey {
    pub(crate) source: KeySource,
    /// For how long it certifies keys; `None` signs manifests with the key itself.
    pub(crate) certifies_for: Option<Duration>,
}

/// Where the signing key of a server comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// What the configuration names; it must exist.
    Given(Box<GivenKey>),
    /// A file that is made when there is none, and another for its public half.
    Made { key: PathBuf, public: PathBuf },
}

/// A key that was opened, or one that was made and is not on disk yet.
#[derive(Debug)]
pub(crate) enum Prepared {
    Given(Signing),
    Made { key: PathBuf, public: PathBuf, signer: Box<EcdsaP256Signer>, is_new: bool },
}

impl Source {
    /// Opens the key, or makes one, which takes some 70 ms at first, since the generator of AWS-LC
    /// is seeded for it. Nothing is written, so this needs no lock.
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
                // Another process held the database in the meantime, and made it.
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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

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
    fn a_key_that_others_can_read_is_refused_with_its_fix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.pem");
        load_or_create(&path, &dir.path().join("k.pub.pem")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = load(&path).unwrap_err();
        assert!(error.to_string().contains("0640"), "{error}");
        assert_eq!(error.fix().unwrap(), format!("chmod 600 '{}'", path.display()));
    }

    #[test]
    fn a_file_that_is_not_a_key_is_refused_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.pem");
        write_new(&path, b"no key").unwrap();
        assert!(load_or_create(&path, &dir.path().join("p")).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"no key");
    }
}

//! Keys that sign, wherever they are stored, and their uses.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, KeyKind, Note, NoteSigner as _, VerifierKey,
};
use sentinel_provenance::{EcdsaP256Signer, Envelope, PublicKey, Signature, Signer as _};

use crate::error::{Place, SignersError};

/// A placeholder name for Ed25519 keys. They sign under the name of their log.
const UNNAMED: &str = "key";

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicHalf {
    /// ECDSA P-256 with SHA-256: manifests.
    P256(PublicKey),
    /// Ed25519: checkpoints of logs.
    Ed25519([u8; 32]),
}

impl PublicHalf {
    /// Reads a DER SubjectPublicKeyInfo; `None` when it is neither kind.
    pub(crate) fn from_spki_der(der: &[u8]) -> Option<Self> {
        if let Ok(key) = PublicKey::from_spki_der(der) {
            return Some(Self::P256(key));
        }
        let key = VerifierKey::from_spki_der(UNNAMED, KeyKind::Ed25519, der).ok()?;
        Some(Self::Ed25519(*key.as_bytes()))
    }

    /// Reads a PEM block `PUBLIC KEY`; `None` when it is neither kind.
    pub(crate) fn from_spki_pem(pem: &str) -> Option<Self> {
        let (label, der) = pem_rfc7468::decode_vec(pem.trim().as_bytes()).ok()?;
        (label == "PUBLIC KEY").then(|| Self::from_spki_der(&der)).flatten()
    }
}

/// A private key that is stored somewhere. [`ManifestKey`] and [`LogKey`] are its two uses; both
/// verify a signature before it is used.
#[async_trait]
pub trait KeyService: Send + Sync + fmt::Debug {
    /// The holder of the key, for messages.
    fn holder(&self) -> &'static str;

    /// The public half. It is read when the key is opened and does not change: a key that is
    /// rotated in its service is another key.
    fn public_half(&self) -> &PublicHalf;

    /// Signs `message`. A P-256 key signs the SHA-256 of it and returns DER; an Ed25519 key signs
    /// the message itself and returns 64 bytes.
    ///
    /// # Errors
    /// When there is no signature.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignersError>;
}

/// A key in the memory of this process.
#[derive(Debug)]
pub struct HeldKey {
    pair: Pair,
    half: PublicHalf,
}

#[derive(Debug)]
enum Pair {
    P256(EcdsaP256Signer),
    Ed25519(Ed25519NoteSigner),
}

impl HeldKey {
    /// Reads unencrypted PKCS#8 in PEM, of either kind; `None` when it is neither.
    #[must_use]
    pub fn from_pkcs8_pem(pem: &str) -> Option<Self> {
        if let Ok(signer) = EcdsaP256Signer::from_pkcs8_pem(pem) {
            let half = PublicHalf::P256(signer.public_key().clone());
            return Some(Self { pair: Pair::P256(signer), half });
        }
        let signer = Ed25519NoteSigner::from_pkcs8_pem(UNNAMED, pem).ok()?;
        let half = PublicHalf::Ed25519(*signer.verifier_key().as_bytes());
        Some(Self { pair: Pair::Ed25519(signer), half })
    }

    /// The signer of manifests; `None` when the key is of the other kind.
    #[must_use]
    pub fn into_signer(self) -> Option<EcdsaP256Signer> {
        match self.pair {
            Pair::P256(signer) => Some(signer),
            Pair::Ed25519(_) => None,
        }
    }
}

#[async_trait]
impl KeyService for HeldKey {
    fn holder(&self) -> &'static str {
        "this server"
    }

    fn public_half(&self) -> &PublicHalf {
        &self.half
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignersError> {
        let signed = match &self.pair {
            Pair::P256(signer) => signer.sign(message).map(|signature| signature.as_der().to_vec()),
            Pair::Ed25519(signer) => signer.sign(message).map(Vec::from),
        };
        signed.map_err(|error| SignersError::Unsound {
            service: self.holder(),
            why: error.to_string(),
        })
    }
}

/// A key that signs statements and certifies the keys of replicas.
#[derive(Debug, Clone)]
pub struct ManifestKey {
    service: Arc<dyn KeyService>,
    public_key: PublicKey,
}

impl ManifestKey {
    /// # Errors
    /// When the key is not ECDSA P-256.
    pub fn new(service: Arc<dyn KeyService>) -> Result<Self, SignersError> {
        let PublicHalf::P256(public_key) = service.public_half() else {
            return Err(SignersError::Key {
                place: Place::Holder(service.holder().to_owned()),
                why: "manifests need an ECDSA P-256 key, and it is an Ed25519 key".to_owned(),
            });
        };
        Ok(Self { public_key: public_key.clone(), service })
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Signs a statement. The signature is verified before it is returned.
    ///
    /// # Errors
    /// When there is no signature, or one that is not this key's.
    pub async fn sign(&self, payload: Vec<u8>) -> Result<Envelope, SignersError> {
        let unsound = |why: String| SignersError::Unsound { service: self.service.holder(), why };
        let message = sentinel_provenance::pae(sentinel_provenance::PAYLOAD_TYPE, &payload);
        let signature = self.service.sign(&message).await?;
        let signature =
            Signature::from_der(signature).map_err(|error| unsound(error.to_string()))?;
        Envelope::from_signature(payload, signature, &self.public_key)
            .map_err(|error| unsound(error.to_string()))
    }
}

/// The key of a log, with the log's name. Signing may need a round trip. The sequencer awaits it
/// after the tree is on disk, so no manifest waits for it.
#[derive(Debug, Clone)]
pub struct LogKey {
    service: Arc<dyn KeyService>,
    verifier_key: VerifierKey,
}

impl LogKey {
    /// # Errors
    /// When the key is not Ed25519, or `name` is not the name of a log.
    pub fn new(service: Arc<dyn KeyService>, name: &str) -> Result<Self, SignersError> {
        let place = || Place::Holder(service.holder().to_owned());
        let unusable = |why: String| SignersError::Key { place: place(), why };
        let PublicHalf::Ed25519(bytes) = service.public_half() else {
            return Err(unusable("a log needs an Ed25519 key, and it is a P-256 key".to_owned()));
        };
        let verifier_key = VerifierKey::new(name, KeyKind::Ed25519, *bytes)
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { service, verifier_key })
    }

    /// The public key.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier_key
    }

    /// Signs a checkpoint of the log. Ed25519 is deterministic: signing again gives the same note.
    ///
    /// # Errors
    /// When the checkpoint is another log's, there is no signature, or one that is not this key's.
    pub async fn sign(&self, checkpoint: &Checkpoint) -> Result<Note, SignersError> {
        let unsound = |why: String| SignersError::Unsound { service: self.service.holder(), why };
        if checkpoint.origin() != self.verifier_key.name() {
            return Err(SignersError::Key {
                place: Place::Holder(self.service.holder().to_owned()),
                why: "it is the key of another log".to_owned(),
            });
        }
        let text = checkpoint.to_text();
        let signature = self.service.sign(text.as_bytes()).await?;
        let signature = <[u8; 64]>::try_from(signature)
            .map_err(|_| unsound("an Ed25519 signature has 64 bytes".to_owned()))?;
        Note::from_signature(text, signature, &self.verifier_key)
            .map_err(|error| unsound(error.to_string()))
    }
}

/// Tests whether the key can be used: signs a text that is neither a statement nor a checkpoint,
/// and verifies the signature.
///
/// # Errors
/// When there is no signature, or one that is not this key's.
pub async fn try_out(service: &dyn KeyService) -> Result<(), SignersError> {
    const TEXT: &[u8] = b"sentinel: a signature that says nothing";
    let unsound = |error: &dyn fmt::Display| SignersError::Unsound {
        service: service.holder(),
        why: error.to_string(),
    };
    let signature = service.sign(TEXT).await?;
    match service.public_half() {
        PublicHalf::P256(key) => {
            let signature = Signature::from_der(signature).map_err(|error| unsound(&error))?;
            key.verify(TEXT, &signature).map_err(|error| unsound(&error))
        }
        PublicHalf::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
            .verify(TEXT, &signature)
            .map_err(|_| unsound(&"signature does not match")),
    }
}

//! Signing keys.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use pem_rfc7468::LineEnding;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::public_key::{KeyError, MAX_PEM_BYTES, PublicKey, Signature};

const PEM_LABEL: &str = "PRIVATE KEY";

/// Why nothing was signed. Neither message names key material.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// The signer failed, or could not be reached.
    #[error("signer failed: {0}")]
    Signer(String),
    /// The message is longer than what may be signed.
    #[error("message has {actual} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The message's length in bytes.
        actual: usize,
    },
}

/// Makes ECDSA P-256 / SHA-256 signatures with one key. Shared between threads
/// as an `Arc<dyn Signer>`; implementations may block on a remote key service.
pub trait Signer: Send + Sync + fmt::Debug {
    /// Signs the SHA-256 of `message`. ECDSA is randomized: signing again gives
    /// another signature, so a retry must reuse the one that was stored.
    ///
    /// # Errors
    /// [`SignError`] when there is no signature; the caller must not continue.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;

    /// The key that verifies what [`Self::sign`] makes.
    fn public_key(&self) -> &PublicKey;
}

/// A signing key held in this process.
pub struct EcdsaP256Signer {
    key_pair: EcdsaKeyPair,
    public_key: PublicKey,
}

impl EcdsaP256Signer {
    /// Generates a key. Its randomness comes from AWS-LC's own generator. It is
    /// deliberately not a parameter, so that no caller can influence a key.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] when the generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        let key_pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| KeyError::Unavailable)?;
        Self::from_key_pair(key_pair)
    }

    /// Reads an unencrypted PEM block `PRIVATE KEY` (PKCS#8), as
    /// `openssl genpkey -algorithm EC` writes it.
    ///
    /// # Errors
    /// [`KeyError`] when it is anything else.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.len() > MAX_PEM_BYTES {
            return Err(KeyError::Pem);
        }
        let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|_| KeyError::Pem)?;
        let der = Zeroizing::new(der);
        if label != PEM_LABEL {
            return Err(KeyError::Label { expected: PEM_LABEL });
        }
        let key_pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der)
            .map_err(|_| KeyError::NotP256)?;
        Self::from_key_pair(key_pair)
    }

    /// Writes the private key as a PEM block, erased from memory when dropped.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] when it cannot be encoded.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der = self.key_pair.to_pkcs8v1().map_err(|_| KeyError::Unavailable)?;
        pem_rfc7468::encode_string(PEM_LABEL, LineEnding::LF, der.as_ref())
            .map(Zeroizing::new)
            .map_err(|_| KeyError::Unavailable)
    }

    fn from_key_pair(key_pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let public_key = PublicKey::from_point(key_pair.public_key().as_ref())?;
        Ok(Self { key_pair, public_key })
    }
}

impl Signer for EcdsaP256Signer {
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let signature = self
            .key_pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| SignError::Signer("local key could not sign".to_owned()))?;
        Signature::from_der(signature.as_ref().to_vec())
            .map_err(|error| SignError::Signer(error.to_string()))
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

impl fmt::Debug for EcdsaP256Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcdsaP256Signer({})", self.public_key.hint())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::public_key::SignatureMismatch;

    #[test]
    fn signature_verifies_for_its_message_and_key_only() {
        let signer: Arc<dyn Signer> = Arc::new(EcdsaP256Signer::generate().unwrap());
        let other = EcdsaP256Signer::generate().unwrap();
        let signature = signer.sign(b"message").unwrap();
        assert_eq!(signer.public_key().verify(b"message", &signature), Ok(()));
        assert_eq!(signer.public_key().verify(b"massage", &signature), Err(SignatureMismatch));
        assert_eq!(other.public_key().verify(b"message", &signature), Err(SignatureMismatch));
    }

    #[test]
    fn private_key_round_trips_through_pem() {
        let signer = EcdsaP256Signer::generate().unwrap();
        let pem = signer.to_pkcs8_pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let loaded = EcdsaP256Signer::from_pkcs8_pem(&pem).unwrap();
        assert_eq!(loaded.public_key(), signer.public_key());
        let signature = loaded.sign(b"message").unwrap();
        assert_eq!(signer.public_key().verify(b"message", &signature), Ok(()));
    }

    #[test]
    fn other_private_keys_are_refused() {
        let pem = EcdsaP256Signer::generate().unwrap().to_pkcs8_pem().unwrap();
        let renamed = pem.replace("PRIVATE KEY", "EC PRIVATE KEY");
        assert_eq!(
            EcdsaP256Signer::from_pkcs8_pem(&renamed).unwrap_err(),
            KeyError::Label { expected: "PRIVATE KEY" }
        );
        let cut = pem_rfc7468::encode_string("PRIVATE KEY", LineEnding::LF, &[0x30; 40]).unwrap();
        assert_eq!(EcdsaP256Signer::from_pkcs8_pem(&cut).unwrap_err(), KeyError::NotP256);
        assert_eq!(EcdsaP256Signer::from_pkcs8_pem("").unwrap_err(), KeyError::Pem);
    }

    #[test]
    fn debug_shows_the_hint_and_no_key() {
        let signer = EcdsaP256Signer::generate().unwrap();
        assert_eq!(
            format!("{signer:?}"),
            format!("EcdsaP256Signer({})", signer.public_key().hint())
        );
    }
}

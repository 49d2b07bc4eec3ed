//! ECDSA P-256 public keys and signatures.

use std::fmt;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use pem_rfc7468::LineEnding;
use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::encoding::to_base64;

pub(crate) const MAX_PEM_BYTES: usize = 8 * 1024;
const PEM_LABEL: &str = "PUBLIC KEY";

/// An uncompressed P-256 point: `04 ‖ x ‖ y`.
const POINT_BYTES: usize = 65;

/// The DER before the point in a SubjectPublicKeyInfo (RFC 5480): id-ecPublicKey
/// on the named curve prime256v1, followed by a bit string of 65 bytes. DER
/// leaves no freedom here, so comparing it is a complete parser.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The text is not one PEM block, or too long to be a key.
    #[error("key is not a PEM document")]
    Pem,
    /// The PEM block holds something else.
    #[error("expected a PEM block labelled `{expected}`")]
    Label {
        /// The label that was wanted.
        expected: &'static str,
    },
    /// The key is malformed, or not ECDSA on the curve P-256.
    #[error("key is not a valid ECDSA P-256 key")]
    NotP256,
    /// A new key could not be generated or written.
    #[error("key could not be generated or encoded")]
    Unavailable,
}

/// Why bytes are not an ECDSA P-256 signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("signature has {actual} bytes, expected {min} to {max}", min = Signature::MIN, max = Signature::MAX)]
pub struct SignatureLength {
    actual: usize,
}

/// An ECDSA P-256 signature in DER: `SEQUENCE { r INTEGER, s INTEGER }`.
/// Only its length is known to be sound until it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

impl Signature {
    const MIN: usize = 8;
    const MAX: usize = 72;

    /// Takes a DER encoding, as a signer or an envelope supplied it.
    ///
    /// # Errors
    /// [`SignatureLength`] when no P-256 signature has this many bytes.
    pub fn from_der(der: Vec<u8>) -> Result<Self, SignatureLength> {
        if !(Self::MIN..=Self::MAX).contains(&der.len()) {
            return Err(SignatureLength { actual: der.len() });
        }
        Ok(Self(der))
    }

    /// The DER encoding.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }

    /// The DER encoding in padded standard base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        to_base64(&self.0)
    }
}

/// The message was not signed by this key, or was changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("signature does not match")]
pub struct SignatureMismatch;

/// An ECDSA P-256 public key, known to be a point on the curve.
#[derive(Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
    point: [u8; POINT_BYTES],
    hint: String,
}

impl PublicKey {
    /// Reads a PEM block `PUBLIC KEY`, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// [`KeyError`] when it is anything else.
    pub fn from_spki_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.len() > MAX_PEM_BYTES {
            return Err(KeyError::Pem);
        }
        let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|_| KeyError::Pem)?;
        if label != PEM_LABEL {
            return Err(KeyError::Label { expected: PEM_LABEL });
        }
        Self::from_spki_der(&der)
    }

    /// Reads a DER SubjectPublicKeyInfo with an uncompressed point.
    ///
    /// # Errors
    /// [`KeyError::NotP256`] when it is anything else.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let point = der.strip_prefix(&SPKI_PREFIX).ok_or(KeyError::NotP256)?;
        Self::from_point(point)
    }

    pub(crate) fn from_point(point: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; POINT_BYTES] = point.try_into().map_err(|_| KeyError::NotP256)?;
        let key =
            ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bytes).map_err(|_| KeyError::NotP256)?;
        let hint = ssh_fingerprint(&bytes);
        Ok(Self { key, point: bytes, hint })
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.point].concat()
    }

    /// The PEM form of [`Self::to_spki_der`], ending in a newline.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] when the text cannot be encoded.
    pub fn to_spki_pem(&self) -> Result<String, KeyError> {
        pem_rfc7468::encode_string(PEM_LABEL, LineEnding::LF, &self.to_spki_der())
            .map_err(|_| KeyError::Unavailable)
    }

    /// The key's name in bundles and envelopes: its SSH fingerprint, as
    /// `ssh-keygen -lf` prints it, `SHA256:` and 43 base64 digits.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Verifies a signature over the SHA-256 of `message`.
    ///
    /// # Errors
    /// [`SignatureMismatch`] when it is malformed or not of this message and key.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureMismatch> {
        self.key.verify_sig(message, signature.as_der()).map_err(|_| SignatureMismatch)
    }

    /// As [`Self::verify`], but takes the SHA-256 of the message. This does not prove that
    /// the signer knew a message with that digest.
    pub(crate) fn verify_digest(
        &self,
        digest: &Sha256Digest,
        signature: &Signature,
    ) -> Result<(), SignatureMismatch> {
        let digest =
            Digest::import_less_safe(digest.as_bytes(), &SHA256).map_err(|_| SignatureMismatch)?;
        self.key.verify_digest_sig(&digest, signature.as_der()).map_err(|_| SignatureMismatch)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.hint)
    }
}

/// The fingerprint of the SSH key blob (RFC 5656, section 3.1): three strings,
/// each after its length as a 32-bit big-endian integer.
fn ssh_fingerprint(point: &[u8; POINT_BYTES]) -> String {
    let mut blob = Vec::with_capacity(104);
    blob.extend_from_slice(&[0, 0, 0, 19]);
    blob.extend_from_slice(b"ecdsa-sha2-nistp256");
    blob.extend_from_slice(&[0, 0, 0, 8]);
    blob.extend_from_slice(b"nistp256");
    blob.extend_from_slice(&[0, 0, 0, 65]);
    blob.extend_from_slice(point);
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256Digest::of(&blob).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl genpkey`; the fingerprint is `ssh-keygen -lf`'s.
    const PEM: &str = concat!(
        "-----BEGIN PUBLIC KEY-----\n",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXtm+XRA9AKODJ4VXyMFnUTwNGDgn\n",
        "3Hbodmw+CupOy5+gVE41CytwE/e3o/RUMkULdLJRm7Cpqu/ZQG9X4oOGmQ==\n",
        "-----END PUBLIC KEY-----\n",
    );
    const FINGERPRINT: &str = "SHA256:onRNXqdDHzmCObW5DlVIpMvHEimfCC7mR2YfYMBrlU8";

    #[test]
    fn hint_is_the_fingerprint_ssh_keygen_prints() {
        assert_eq!(PublicKey::from_spki_pem(PEM).unwrap().hint(), FINGERPRINT);
    }

    #[test]
    fn spki_round_trips() {
        let key = PublicKey::from_spki_pem(PEM).unwrap();
        assert_eq!(key.to_spki_pem().unwrap(), PEM);
        assert_eq!(PublicKey::from_spki_der(&key.to_spki_der()).unwrap(), key);
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut der = PublicKey::from_spki_pem(PEM).unwrap().to_spki_der();
        *der.last_mut().unwrap() ^= 1;
        assert_eq!(PublicKey::from_spki_der(&der).unwrap_err(), KeyError::NotP256);
    }

    #[test]
    fn other_key_forms_are_refused() {
        let der = PublicKey::from_spki_pem(PEM).unwrap().to_spki_der();
        for bytes in [&der[1..], &der[..90], &[], &[der.as_slice(), &[0]].concat()] {
            assert_eq!(PublicKey::from_spki_der(bytes).unwrap_err(), KeyError::NotP256);
        }
        let renamed = PEM.replace("PUBLIC KEY", "CERTIFICATE");
        assert_eq!(
            PublicKey::from_spki_pem(&renamed).unwrap_err(),
            KeyError::Label { expected: "PUBLIC KEY" }
        );
        assert_eq!(PublicKey::from_spki_pem("hello").unwrap_err(), KeyError::Pem);
    }

    #[test]
    fn signature_length_is_bounded() {
        for length in [0, 7, 73] {
            assert!(Signature::from_der(vec![0x30; length]).is_err(), "{length}");
        }
        assert!(Signature::from_der(vec![0x30; 72]).is_ok());
    }
}

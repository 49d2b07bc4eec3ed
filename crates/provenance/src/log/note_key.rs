//! Keys of signed notes (C2SP signed-note and tlog-cosignature).

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use pem_rfc7468::LineEnding;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::digest::{Sha256, Sha256Digest};
use crate::encoding::{from_padded_base64, to_base64};
use crate::public_key::MAX_PEM_BYTES;
use crate::signer::SignError;

/// Longest name of a key in bytes.
const MAX_NAME_BYTES: usize = 256;

const PEM_LABEL: &str = "PRIVATE KEY";

/// The DER before the key in an Ed25519 SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoteKeyError {
    /// The name is empty, too long, or has a space, a plus or a control character.
    #[error("name of a note key is empty, too long, or has a space, plus or control character")]
    Name,
    /// The text is not `name+id+key`.
    #[error("not a verifier key: `name+id+key`")]
    Malformed,
    /// The key ID is that of another name or key.
    #[error("key id does not match name and key")]
    Id,
    /// The key is of a type that is not supported.
    #[error("type of the note key is not supported")]
    Kind,
    /// The key is not a sound Ed25519 key.
    #[error("not a valid Ed25519 key")]
    NotEd25519,
    /// A new key could not be generated or written.
    #[error("note key could not be generated or encoded")]
    Unavailable,
}

/// The kind of texts that a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The text of a note, `0x01`; used by logs.
    Ed25519,
    /// A checkpoint and a time, `0x04` (`cosignature/v1`); used by witnesses.
    CosignatureV1,
}

impl KeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::CosignatureV1 => 4,
        }
    }

    fn from_byte(byte: u8) -> Result<Self, NoteKeyError> {
        match byte {
            1 => Ok(Self::Ed25519),
            4 => Ok(Self::CosignatureV1),
            _ => Err(NoteKeyError::Kind),
        }
    }
}

/// The name of a key: not empty, at most 256 bytes, without spaces, plus signs
/// and control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Takes a name.
    ///
    /// # Errors
    /// [`NoteKeyError::Name`].
    pub fn new(name: &str) -> Result<Self, NoteKeyError> {
        let bad = |c: char| c == '+' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(bad) {
            return Err(NoteKeyError::Name);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public key that verifies signatures of notes, and the name it signs under.
///
/// ```
/// use sentinel_provenance::log::{KeyKind, VerifierKey};
///
/// # fn main() -> Result<(), sentinel_provenance::log::NoteKeyError> {
/// let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
/// let key = VerifierKey::parse(text)?;
/// assert_eq!(key.name().as_str(), "sum.golang.org");
/// assert_eq!(key.kind(), KeyKind::Ed25519);
/// assert_eq!(key.id(), [0x03, 0x3d, 0xe0, 0xae]);
/// assert_eq!(key.to_string(), text);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct VerifierKey {
    name: KeyName,
    kind: KeyKind,
    bytes: [u8; 32],
    key: ParsedPublicKey,
}

impl VerifierKey {
    /// Takes the 32 bytes of an Ed25519 public key.
    ///
    /// # Errors
    /// [`NoteKeyError`] when name or key is not sound.
    pub fn new(name: &str, kind: KeyKind, bytes: [u8; 32]) -> Result<Self, NoteKeyError> {
        let name = KeyName::new(name)?;
        let key = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| NoteKeyError::NotEd25519)?;
        Ok(Self { name, kind, bytes, key })
    }

    /// Reads `name+id+key`, as `Display` writes it: the ID in eight hexadecimal
    /// digits; the byte of the type and the key in base64.
    ///
    /// # Errors
    /// [`NoteKeyError`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, NoteKeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteKeyError::Malformed);
        };
        let key = from_padded_base64(key).ok_or(NoteKeyError::Malformed)?;
        let (kind, bytes) = key.split_first().ok_or(NoteKeyError::Malformed)?;
        let kind = KeyKind::from_byte(*kind)?;
        let bytes = bytes.try_into().map_err(|_| NoteKeyError::NotEd25519)?;
        let parsed = Self::new(name, kind, bytes)?;
        if hex::encode(parsed.id()) != id {
            return Err(NoteKeyError::Id);
        }
        Ok(parsed)
    }

    /// Reads a DER SubjectPublicKeyInfo of an Ed25519 key, as trusted roots have it.
    ///
    /// # Errors
    /// [`NoteKeyError`] when it is anything else.
    pub fn from_spki_der(name: &str, kind: KeyKind, der: &[u8]) -> Result<Self, NoteKeyError> {
        let bytes = der.strip_prefix(&SPKI_PREFIX).ok_or(NoteKeyError::NotEd25519)?;
        Self::new(name, kind, bytes.try_into().map_err(|_| NoteKeyError::NotEd25519)?)
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.bytes].concat()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The 32 bytes of the Ed25519 key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// SHA-256 of name, newline, type and key: Sigstore's `logId`.
    #[must_use]
    pub fn id_hash(&self) -> Sha256Digest {
        let mut context = Sha256::new();
        context.update(self.name.0.as_bytes());
        context.update(&[b'\n', self.kind.byte()]);
        context.update(&self.bytes);
        context.finish()
    }

    /// The first four bytes of [`Self::id_hash`]: the ID in notes. Too short to
    /// identify a key by itself.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = *self.id_hash().as_bytes();
        [a, b, c, d]
    }

    /// Whether `signature` is this key's over `message`, the exact signed bytes.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl PartialEq for VerifierKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.kind, self.bytes) == (&other.name, other.kind, other.bytes)
    }
}

impl Eq for VerifierKey {}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()], self.bytes.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), to_base64(&key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// Signs notes with one Ed25519 key, under one name. Implementations may block
/// on a remote key service.
pub trait NoteSigner: Send + Sync + fmt::Debug {
    /// Signs exactly `message`, and returns the 64 bytes of the signature. Ed25519
    /// is deterministic: signing again gives the same signature.
    ///
    /// # Errors
    /// [`SignError`] when there is no signature; the caller must not continue.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;

    /// The key that verifies what [`Self::sign`] makes.
    fn verifier_key(&self) -> &VerifierKey;
}

/// A log's signing key held in this process.
pub struct Ed25519NoteSigner {
    key_pair: Ed25519KeyPair,
    verifier_key: VerifierKey,
}

impl Ed25519NoteSigner {
    /// Generates a key. Its randomness comes from AWS-LC's own generator. It is
    /// deliberately not a parameter, so that no caller can influence a key.
    ///
    /// # Errors
    /// [`NoteKeyError`] when the name is not sound or the generator fails.
    pub fn generate(name: &str) -> Result<Self, NoteKeyError> {
        Self::of(name, Ed25519KeyPair::generate().map_err(|_| NoteKeyError::Unavailable)?)
    }

    /// The key whose seed (RFC 8032) is `seed`: 32 random bytes, kept secret by the caller.
    ///
    /// # Errors
    /// [`NoteKeyError::Name`] when the name is not sound.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteKeyError> {
        let key_pair = Ed25519KeyPair::from_seed_unchecked(seed);
        Self::of(name, key_pair.map_err(|_| NoteKeyError::NotEd25519)?)
    }

    /// Reads an unencrypted PEM block `PRIVATE KEY` (PKCS#8), as
    /// `openssl genpkey -algorithm ED25519` writes it.
    ///
    /// # Errors
    /// [`NoteKeyError`] when it is anything else.
    pub fn from_pkcs8_pem(name: &str, pem: &str) -> Result<Self, NoteKeyError> {
        if pem.len() > MAX_PEM_BYTES {
            return Err(NoteKeyError::NotEd25519);
        }
        let (label, der) =
            pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|_| NoteKeyError::NotEd25519)?;
        let der = Zeroizing::new(der);
        if label != PEM_LABEL {
            return Err(NoteKeyError::NotEd25519);
        }
        // OpenSSL writes version 1, which has no public half; it is recomputed.
        let key_pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
            .map_err(|_| NoteKeyError::NotEd25519)?;
        Self::of(name, key_pair)
    }

    /// Writes the private key as a PEM block, erased from memory when dropped.
    ///
    /// # Errors
    /// [`NoteKeyError::Unavailable`] when it cannot be encoded.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, NoteKeyError> {
        let der = self.key_pair.to_pkcs8v1().map_err(|_| NoteKeyError::Unavailable)?;
        pem_rfc7468::encode_string(PEM_LABEL, LineEnding::LF, der.as_ref())
            .map(Zeroizing::new)
            .map_err(|_| NoteKeyError::Unavailable)
    }

    fn of(name: &str, key_pair: Ed25519KeyPair) -> Result<Self, NoteKeyError> {
        let bytes = key_pair.public_key().as_ref();
        let bytes = bytes.try_into().map_err(|_| NoteKeyError::NotEd25519)?;
        let verifier_key = VerifierKey::new(name, KeyKind::Ed25519, bytes)?;
        Ok(Self { key_pair, verifier_key })
    }
}

impl NoteSigner for Ed25519NoteSigner {
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.key_pair.sign(message);
        let bytes = signature.as_ref().try_into();
        bytes.map_err(|_| SignError::Signer("local key could not sign".to_owned()))
    }

    fn verifier_key(&self) -> &VerifierKey {
        &self.verifier_key
    }
}

impl fmt::Debug for Ed25519NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519NoteSigner({})", self.verifier_key)
    }
}

//! PEM files of private keys, plain or encrypted.

use pem_rfc7468::LineEnding;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use thiserror::Error;
use zeroize::Zeroizing;

/// Longer texts are surely no key. Bytes.
pub const MAX_PEM_BYTES: usize = 8 * 1024;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The file says how much work it takes to decrypt it. Many times what OpenSSL asks for, and still
/// seconds and megabytes.
const MAX_ITERATIONS: u32 = 10_000_000;
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;
const MAX_SCRYPT_LANES: u16 = 16;

/// Why there is no private key. Neither message names key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PemError {
    #[error("it is not a PEM document")]
    NotPem,
    #[error("expected a PEM block labelled `{PLAIN}` or `{ENCRYPTED}` (PKCS#8)")]
    Label,
    #[error("it is encrypted, and there is no passphrase")]
    NoPassphrase,
    #[error("it is not encrypted, and there is a passphrase")]
    NotEncrypted,
    #[error("it is not encrypted by PBES2 with AES (`openssl pkcs8 -topk8 -v2 aes-256-cbc`)")]
    Cipher,
    #[error("decrypting it would take too much work")]
    TooMuchWork,
    #[error("the passphrase does not fit")]
    Passphrase,
}

/// Reads a PEM block with a PKCS#8 private key, decrypted when it is encrypted: what comes back is
/// plain PKCS#8 in PEM. What is inside has not been looked at.
///
/// # Errors
/// [`PemError`]. A passphrase for a key that is not encrypted is one too: whoever set it believes
/// that the key is safe at rest.
pub fn decrypt_private_pem(
    pem: &[u8],
    passphrase: Option<&[u8]>,
) -> Result<Zeroizing<String>, PemError> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(PemError::NotPem);
    }
    let (label, der) = pem_rfc7468::decode_vec(pem).map_err(|_| PemError::NotPem)?;
    let der = Zeroizing::new(der);
    match (label, passphrase) {
        (PLAIN, None) => encode(&der),
        (PLAIN, Some(_)) => Err(PemError::NotEncrypted),
        (ENCRYPTED, None) => Err(PemError::NoPassphrase),
        (ENCRYPTED, Some(passphrase)) => decrypt(&der, passphrase),
        _ => Err(PemError::Label),
    }
}

fn decrypt(der: &[u8], passphrase: &[u8]) -> Result<Zeroizing<String>, PemError> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| PemError::Cipher)?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(PemError::Cipher);
    };
    if is_too_much_work(&parameters.kdf) {
        return Err(PemError::TooMuchWork);
    }
    // A cipher that is left out and a passphrase that does not fit look alike here.
    let document = info.decrypt(passphrase).map_err(|_| PemError::Passphrase)?;
    encode(document.as_bytes())
}

fn is_too_much_work(kdf: &pbes2::Kdf) -> bool {
    match kdf {
        pbes2::Kdf::Pbkdf2(parameters) => parameters.iteration_count > MAX_ITERATIONS,
        pbes2::Kdf::Scrypt(parameters) => {
            let bytes = u64::from(parameters.block_size)
                .saturating_mul(128)
                .saturating_mul(parameters.cost_parameter);
            bytes > MAX_SCRYPT_BYTES || parameters.parallelization > MAX_SCRYPT_LANES
        }
        _ => true,
    }
}

fn encode(der: &[u8]) -> Result<Zeroizing<String>, PemError> {
    let pem = pem_rfc7468::encode_string(PLAIN, LineEnding::LF, der);
    pem.map(Zeroizing::new).map_err(|_| PemError::NotPem)
}

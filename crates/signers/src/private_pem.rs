//! PEM files of private keys, plain or encrypted.

use pem_rfc7468::LineEnding;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use thiserror::Error;
use zeroize::Zeroizing;

/// The longest text of a key, in bytes.
pub const MAX_PEM_BYTES: usize = 8 * 1024;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The file says how much work it takes to decrypt it. Many times what OpenSSL asks for, and still
/// a second or two and some megabytes.
const MAX_ITERATIONS: u32 = 2_000_000;
/// For scrypt the memory it takes, times how often it fills it.
const MAX_SCRYPT_BYTES: u64 = 128 * 1024 * 1024;

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
/// [`PemError`]. A passphrase for a key that is not encrypted is one too: the user who set it
/// believes that the key is safe at rest.
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
    check_work(&parameters.kdf)?;
    // A cipher that is left out and a passphrase that does not fit look alike here.
    let document = info.decrypt(passphrase).map_err(|_| PemError::Passphrase)?;
    encode(document.as_bytes())
}

fn check_work(kdf: &pbes2::Kdf) -> Result<(), PemError> {
    let is_too_much = match kdf {
        pbes2::Kdf::Pbkdf2(parameters) => parameters.iteration_count > MAX_ITERATIONS,
        pbes2::Kdf::Scrypt(parameters) => {
            // The crate takes its logarithm, which not every number has.
            if !parameters.cost_parameter.is_power_of_two() {
                return Err(PemError::Cipher);
            }
            let bytes = u64::from(parameters.block_size)
                .saturating_mul(128)
                .saturating_mul(parameters.cost_parameter)
                .saturating_mul(u64::from(parameters.parallelization));
            bytes > MAX_SCRYPT_BYTES
        }
        _ => return Err(PemError::Cipher),
    };
    if is_too_much { Err(PemError::TooMuchWork) } else { Ok(()) }
}

fn encode(der: &[u8]) -> Result<Zeroizing<String>, PemError> {
    let pem = pem_rfc7468::encode_string(PLAIN, LineEnding::LF, der);
    pem.map(Zeroizing::new).map_err(|_| PemError::NotPem)
}

#[cfg(test)]
mod tests {
    use pkcs8::der::Encode as _;
    use pkcs8::der::asn1::OctetStringRef;
    use pkcs8::pkcs5::pbes2::{Kdf, Pbkdf2Params, Pbkdf2Prf, Salt, ScryptParams};

    use super::*;

    /// An encrypted key whose file states these parameters, and has nothing inside.
    fn stating(kdf: Kdf) -> String {
        let encryption = pbes2::EncryptionScheme::Aes256Cbc { iv: [0; 16] };
        let info = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: pbes2::Parameters { kdf, encryption }.into(),
            encrypted_data: OctetStringRef::new(&[0; 16]).unwrap(),
        };
        pem_rfc7468::encode_string(ENCRYPTED, LineEnding::LF, &info.to_der().unwrap()).unwrap()
    }

    fn pbkdf2(iteration_count: u32) -> Kdf {
        let salt = Salt::new([0; 8]).unwrap();
        let prf = Pbkdf2Prf::HmacWithSha256;
        Pbkdf2Params { salt, iteration_count, key_length: None, prf }.into()
    }

    fn scrypt(cost_parameter: u64, block_size: u16, parallelization: u16) -> Kdf {
        let salt = Salt::new([0; 8]).unwrap();
        ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None }.into()
    }

    #[test]
    fn a_file_that_asks_for_minutes_or_gigabytes_is_refused_at_once() {
        for kdf in [
            pbkdf2(MAX_ITERATIONS + 1),
            scrypt(1 << 18, 8, 1),
            scrypt(1 << 10, 1025, 1),
            scrypt(1 << 14, 8, 9),
        ] {
            let refused = decrypt_private_pem(stating(kdf.clone()).as_bytes(), Some(b"x"));
            assert_eq!(refused.unwrap_err(), PemError::TooMuchWork, "{kdf:?}");
        }
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        for cost in [3, 6, 16_383] {
            let refused = decrypt_private_pem(stating(scrypt(cost, 8, 1)).as_bytes(), Some(b"x"));
            assert_eq!(refused.unwrap_err(), PemError::Cipher, "{cost}");
        }
        for kdf in [pbkdf2(0), scrypt(1, 8, 1), scrypt(2, 0, 1), scrypt(2, 8, 0), scrypt(2, 1, 1)] {
            assert!(decrypt_private_pem(stating(kdf).as_bytes(), Some(b"x")).is_err());
        }
    }

    #[test]
    fn no_wrong_byte_of_an_encrypted_key_does_harm() {
        let seeds = [
            include_bytes!("../../../fuzz/seeds/private_pem/pbkdf2.pem").as_slice(),
            include_bytes!("../../../fuzz/seeds/private_pem/scrypt.pem").as_slice(),
        ];
        for seed in seeds {
            decrypt_private_pem(seed, Some(b"correct horse")).unwrap();
            let (_, der) = pem_rfc7468::decode_vec(seed).unwrap();
            for (at, flip) in (0..der.len()).flat_map(|at| [(at, 1), (at, 0x80), (at, 0xff)]) {
                let mut wrong = der.clone();
                wrong[at] ^= flip;
                let pem = pem_rfc7468::encode_string(ENCRYPTED, LineEnding::LF, &wrong).unwrap();
                // Nothing authenticates the file, so some other key may come out; never a panic.
                if let Ok(read) = decrypt_private_pem(pem.as_bytes(), Some(b"correct horse")) {
                    assert!(decrypt_private_pem(read.as_bytes(), None).is_ok());
                }
            }
        }
    }
}

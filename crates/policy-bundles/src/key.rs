//! Keys that sign bundles, and keys that are trusted to have signed one.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaKeyPair};
use aws_lc_rs::signature::{EcdsaSigningAlgorithm, RsaEncoding, VerificationAlgorithm};

/// A shorter secret could be found by trying.
const MIN_SECRET: usize = 32;
const MAX_PEM: usize = 64 * 1024;

/// How a bundle is signed, by the names of JSON Web Algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

impl Algorithm {
    pub const ALL: [Self; 13] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];
    /// What a key is used for unless it is stated: that of its type.
    const USUAL: [Self; 5] = [Self::Rs256, Self::Es256, Self::Es384, Self::Es512, Self::EdDsa];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    fn hmac(self) -> Option<hmac::Algorithm> {
        match self {
            Self::Hs256 => Some(hmac::HMAC_SHA256),
            Self::Hs384 => Some(hmac::HMAC_SHA384),
            Self::Hs512 => Some(hmac::HMAC_SHA512),
            _ => None,
        }
    }

    fn verification(self) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &signature::ECDSA_P521_SHA512_FIXED,
            Self::EdDsa => &signature::ED25519,
            Self::Hs256 | Self::Hs384 | Self::Hs512 => return None,
        })
    }

    fn rsa(self) -> Option<&'static dyn RsaEncoding> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_SHA512,
            Self::Ps256 => &signature::RSA_PSS_SHA256,
            Self::Ps384 => &signature::RSA_PSS_SHA384,
            Self::Ps512 => &signature::RSA_PSS_SHA512,
            _ => return None,
        })
    }

    fn ecdsa(self) -> Option<&'static EcdsaSigningAlgorithm> {
        Some(match self {
            Self::Es256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::Es384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::Es512 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            _ => return None,
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name() == text);
        found.ok_or_else(|| KeyError::Algorithm(text.to_owned()))
    }
}

/// Why a key cannot be used. The key is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "`{0}` is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384, HS512"
    )]
    Algorithm(String),
    #[error("the key is not a PEM document")]
    Pem,
    #[error("the key is labelled `{0}`, where `{1}` is expected")]
    Label(String, &'static str),
    #[error("the key is not one for `{0}`")]
    Unfit(Algorithm),
    #[error("the key is none for RSA (of 2048 bits or more), P-256, P-384, P-521 or Ed25519")]
    Unknown,
    #[error("a secret needs 32 bytes or more")]
    ShortSecret,
    #[error("the signature could not be made")]
    Signing,
}

/// A key that is trusted to have signed a bundle, for one algorithm.
#[derive(Clone)]
pub struct VerificationKey {
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationKey({})", self.algorithm)
    }
}

impl VerificationKey {
    /// Reads public keys, one or more PEM blocks, or for `HS…` the bytes of a secret. Without an
    /// algorithm it is the usual one of each key's type: RS256, ES256, ES384, ES512 or EdDSA.
    ///
    /// # Errors
    /// When there is no key, or one that does not fit.
    pub fn read(bytes: &[u8], algorithm: Option<Algorithm>) -> Result<Vec<Self>, KeyError> {
        if let Some((algorithm, hmac)) = algorithm.and_then(|a| Some((a, a.hmac()?))) {
            let material = Material::Secret(Box::new(secret(bytes, hmac)?));
            return Ok(vec![Self { algorithm, material }]);
        }
        let blocks = pem_blocks(bytes)?;
        blocks.into_iter().map(|(label, der)| Self::public(&label, &der, algorithm)).collect()
    }

    fn public(label: &str, der: &[u8], stated: Option<Algorithm>) -> Result<Self, KeyError> {
        if !matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY") {
            return Err(KeyError::Label(label.to_owned(), "PUBLIC KEY"));
        }
        let fits = |algorithm: Algorithm| {
            let key = ParsedPublicKey::new(algorithm.verification()?, der).ok()?;
            Some(Self { algorithm, material: Material::Public(key) })
        };
        match stated {
            Some(algorithm) => fits(algorithm).ok_or(KeyError::Unfit(algorithm)),
            None => Algorithm::USUAL.into_iter().find_map(fits).ok_or(KeyError::Unknown),
        }
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// A key that signs bundles.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Box<hmac::Key>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm)
    }
}

impl SigningKey {
    /// Reads a private key in PEM (PKCS#8, or the older forms of RSA and EC), or for `HS…` the
    /// bytes of a secret. Without an algorithm it is the usual one of the key's type.
    ///
    /// # Errors
    /// When there is no key, more than one, or one that does not fit.
    pub fn read(bytes: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        if let Some((algorithm, hmac)) = algorithm.and_then(|a| Some((a, a.hmac()?))) {
            return Ok(Self { algorithm, pair: Pair::Secret(Box::new(secret(bytes, hmac)?)) });
        }
        let mut blocks = pem_blocks(bytes)?;
        // `openssl ecparam -genkey` writes the name of the curve in front.
        blocks.retain(|(label, _)| label != "EC PARAMETERS");
        let [(label, der)] = blocks.as_slice() else { return Err(KeyError::Pem) };
        if !matches!(label.as_str(), "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY") {
            return Err(KeyError::Label(label.clone(), "PRIVATE KEY"));
        }
        let fits = |algorithm| Some(Self { algorithm, pair: pair(der, algorithm)? });
        match algorithm {
            Some(algorithm) => fits(algorithm).ok_or(KeyError::Unfit(algorithm)),
            None => Algorithm::USUAL.into_iter().find_map(fits).ok_or(KeyError::Unknown),
        }
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(*encoding, &random, message, &mut signature);
                signed.map(|()| signature).map_err(|_| KeyError::Signing)
            }
            Pair::Ecdsa(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Signing),
            Pair::Ed25519(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Signing),
            Pair::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

fn pair(der: &[u8], algorithm: Algorithm) -> Option<Pair> {
    if let Some(encoding) = algorithm.rsa() {
        let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).ok()?;
        return Some(Pair::Rsa(pair, encoding));
    }
    if let Some(curve) = algorithm.ecdsa() {
        return EcdsaKeyPair::from_private_key_der(curve, der).ok().map(Pair::Ecdsa);
    }
    // OpenSSL leaves the public half out.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Pair::Ed25519)
}

fn secret(bytes: &[u8], algorithm: hmac::Algorithm) -> Result<hmac::Key, KeyError> {
    if bytes.len() < MIN_SECRET {
        return Err(KeyError::ShortSecret);
    }
    Ok(hmac::Key::new(algorithm, bytes))
}

/// Label and contents of each block; at least one.
fn pem_blocks(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, KeyError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KeyError::Pem)?;
    if text.len() > MAX_PEM {
        return Err(KeyError::Pem);
    }
    let starts: Vec<usize> = text.match_indices("-----BEGIN ").map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let blocks: Result<Vec<_>, _> = starts
        .iter()
        .zip(ends)
        .map(|(from, to)| {
            let block = text.get(*from..to).unwrap_or_default().trim_end();
            let (label, der) =
                pem_rfc7468::decode_vec(block.as_bytes()).map_err(|_| KeyError::Pem)?;
            Ok((label.to_owned(), der))
        })
        .collect();
    blocks.and_then(|blocks| if blocks.is_empty() { Err(KeyError::Pem) } else { Ok(blocks) })
}

//! `.signatures.json`: one JSON Web Signature over the hashes of all files.
//!
//! The algorithm is the one that a trusted key is for. What the token says of itself selects among
//! the trusted keys, and never brings in another.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_core::json;
use serde::{Deserialize, Serialize};

use crate::archive::checked_path;
use crate::canonical;
use crate::error::BundleError;
use crate::key::{Algorithm, KeyError, SigningKey, VerificationKey};
use crate::names::SIGNATURES;

const LIMITS: json::Limits = json::Limits {
    max_bytes: 4 * 1024 * 1024,
    max_depth: 8,
    max_nodes: 50_000,
    max_string_bytes: 4 * 1024 * 1024,
    max_key_bytes: 1024,
};
/// The name that OPA gives its own way of signing.
const DEFAULT_PLUGIN: &str = "_default";

/// Who signed a bundle, as far as the signature says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    pub algorithm: Algorithm,
    /// The name that the signature gives its key; a hint, and no more.
    pub key_id: Option<String>,
    pub scope: Option<String>,
    /// Whether a trusted key was there to verify it.
    pub verified: bool,
}

/// Whose signature is accepted.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Any one of them; several while one replaces another.
    pub keys: Vec<VerificationKey>,
    /// What the signature must state as its scope; nothing when there is none.
    pub scope: Option<String>,
}

/// How a bundle is to be signed.
#[derive(Debug, Clone, Copy)]
pub struct Signing<'a> {
    pub key: &'a SigningKey,
    /// Named in the signature, for verifiers with several keys.
    pub key_id: Option<&'a str>,
    pub scope: Option<&'a str>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Signatures {
    signatures: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    /// Extensions that one must understand; none is understood.
    #[serde(default, skip_serializing)]
    crit: Option<serde_json::Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    files: Vec<SignedFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// What a signature says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedFile {
    pub name: String,
    /// In hex.
    pub hash: String,
    pub algorithm: String,
}

/// A token, taken apart; nothing in it is verified.
struct Token<'a> {
    header: Header,
    payload: Payload,
    /// What was signed.
    message: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    fn read(text: &'a str) -> Result<Self, BundleError> {
        let malformed = || BundleError::signature("the token is malformed");
        let (message, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let header: Header = strict(&decode(header)?)?;
        let payload = strict(&decode(payload)?)?;
        if header.crit.is_some() {
            return Err(BundleError::signature("the token demands an unknown extension"));
        }
        Ok(Self { header, payload, message, signature: decode(signature)? })
    }

    fn signer(self, verified: bool) -> Result<Signer, BundleError> {
        let algorithm = self.header.alg.parse();
        let algorithm: Algorithm =
            algorithm.map_err(|error: KeyError| BundleError::signature(error.to_string()))?;
        let key_id = self.header.kid.or(self.payload.keyid).filter(|id| !id.is_empty());
        let scope = self.payload.scope.filter(|scope| !scope.is_empty());
        Ok(Signer { algorithm, key_id, scope, verified })
    }
}

fn strict<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, BundleError> {
    json::parse_as(bytes, &LIMITS).map_err(|error| BundleError::signature(error.to_string()))
}

fn token(text: &[u8]) -> Result<String, BundleError> {
    let Signatures { signatures, plugin } =
        json::parse_as(text, &LIMITS).map_err(|error| BundleError::file(SIGNATURES, error))?;
    if plugin.is_some_and(|plugin| !plugin.is_empty() && plugin != DEFAULT_PLUGIN) {
        return Err(BundleError::signature("it was made by a plugin of OPA that is not known"));
    }
    match <[String; 1]>::try_from(signatures) {
        Ok([token]) => Ok(token),
        Err(tokens) => Err(BundleError::signature(format!(
            "there must be one token, and there are {}",
            tokens.len()
        ))),
    }
}

/// Who says to have signed.
pub(crate) fn claimed(text: &[u8]) -> Result<Signer, BundleError> {
    Token::read(&token(text)?)?.signer(false)
}

/// Verifies the signature, and that it is one of exactly these files.
pub(crate) fn verify(
    text: &[u8],
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
) -> Result<Signer, BundleError> {
    let text = token(text)?;
    let token = Token::read(&text)?;
    let mut keys =
        trust.keys.iter().filter(|key| key.algorithm().name() == token.header.alg).peekable();
    if keys.peek().is_none() {
        let detail = format!("no trusted key is for `{}`", token.header.alg);
        return Err(BundleError::Signature(detail));
    }
    if !keys.any(|key| key.verifies(token.message.as_bytes(), &token.signature)) {
        return Err(BundleError::signature("it was made by another key, or changed afterwards"));
    }
    let (stated, wanted) = (token.payload.scope.as_deref(), trust.scope.as_deref());
    if stated.unwrap_or_default() != wanted.unwrap_or_default() {
        return Err(BundleError::signature("it is for another scope"));
    }
    of_exactly(&token.payload.files, files)?;
    token.signer(true)
}

fn of_exactly(signed: &[SignedFile], files: &BTreeMap<String, Vec<u8>>) -> Result<(), BundleError> {
    let mut named = BTreeMap::new();
    for file in signed {
        let path = checked_path(file.name.as_bytes())?;
        if named.insert(path.clone(), file).is_some() {
            return Err(BundleError::signature(format!("it names `{path}` twice")));
        }
    }
    for (path, contents) in files {
        let Some(file) = named.remove(path) else {
            return Err(BundleError::signature(format!("it does not cover `{path}`")));
        };
        if canonical::hash(path, contents, &file.algorithm)? != file.hash.to_ascii_lowercase() {
            return Err(BundleError::signature(format!("`{path}` was changed afterwards")));
        }
    }
    match named.into_keys().next() {
        Some(path) => Err(BundleError::signature(format!("`{path}` is missing"))),
        None => Ok(()),
    }
}

/// The text of `.signatures.json` for these files.
pub(crate) fn sign(
    files: &BTreeMap<String, Vec<u8>>,
    signing: &Signing<'_>,
) -> Result<Vec<u8>, BundleError> {
    let signed = files.iter().map(|(path, contents)| {
        let hash = canonical::hash(path, contents, canonical::SHA256)?;
        Ok(SignedFile { name: path.clone(), hash, algorithm: canonical::SHA256.to_owned() })
    });
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let payload = Payload {
        files: signed.collect::<Result<_, BundleError>>()?,
        keyid: owned(signing.key_id),
        scope: owned(signing.scope),
    };
    let header = Header {
        alg: signing.key.algorithm().name().to_owned(),
        typ: Some("JWT".to_owned()),
        kid: owned(signing.key_id),
        crit: None,
    };
    let message = format!("{}.{}", encoded(&header)?, encoded(&payload)?);
    let signature = signing.key.sign(message.as_bytes());
    let signature = signature.map_err(|error| BundleError::signature(error.to_string()))?;
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    let all = Signatures { signatures: vec![token], plugin: None };
    serde_json::to_vec(&all).map_err(|error| BundleError::file(SIGNATURES, error))
}

fn encoded(part: &impl Serialize) -> Result<String, BundleError> {
    let json = serde_json::to_vec(part).map_err(|error| BundleError::file(SIGNATURES, error))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

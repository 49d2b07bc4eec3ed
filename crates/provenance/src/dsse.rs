//! DSSE v1 envelopes around in-toto statements.
//!
//! The signature covers the pre-authentication encoding of the exact payload
//! bytes, so a verifier never has to reproduce how the payload was written.
//! As DSSE demands of readers, both base64 alphabets are taken and unknown
//! fields ignored. Sigstore's bundles allow exactly one signature, so an
//! envelope with none or several is refused.

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::encoding::base64_bytes;
use crate::json::{self, JsonError};
use crate::public_key::{PublicKey, Signature, SignatureLength, SignatureMismatch};
use crate::signer::{SignError, Signer};

/// The one payload type: an in-toto statement in JSON.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Longest payload in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

/// Longest envelope document in bytes: the payload in base64, and room to spare.
pub const MAX_ENVELOPE_BYTES: usize = 2 * 1024 * 1024;

/// Longest `keyid` in bytes; a fingerprint has 50.
const MAX_KEYID_BYTES: usize = 256;

/// Why a document is not an envelope of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// It is not a JSON document of an envelope's shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Its payload is of another type.
    #[error("payload type is not `{PAYLOAD_TYPE}`")]
    PayloadType,
    /// Its payload is too long.
    #[error("payload has {actual} bytes, the limit is {MAX_PAYLOAD_BYTES}")]
    PayloadTooLarge {
        /// The payload's length in bytes.
        actual: usize,
    },
    /// It has no signature, or several.
    #[error("expected one signature, found {actual}")]
    SignatureCount {
        /// How many there are.
        actual: usize,
    },
    /// Its signature cannot be one.
    #[error(transparent)]
    Signature(#[from] SignatureLength),
    /// Its `keyid` is too long.
    #[error("keyid has {actual} bytes, the limit is {MAX_KEYID_BYTES}")]
    KeyIdTooLong {
        /// The keyid's length in bytes.
        actual: usize,
    },
}

/// DSSE's pre-authentication encoding: the bytes that are signed.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoding =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoding.extend_from_slice(payload);
    encoding
}

/// A payload and its one signature, which has not necessarily been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    signature: Signature,
    keyid: Option<String>,
}

impl Envelope {
    /// Signs `payload`, naming the key by its hint.
    ///
    /// # Errors
    /// [`SignError`] when the payload is longer than [`MAX_PAYLOAD_BYTES`] or
    /// the signer fails.
    pub fn sign(payload: Vec<u8>, signer: &dyn Signer) -> Result<Self, SignError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(SignError::TooLarge { limit: MAX_PAYLOAD_BYTES, actual: payload.len() });
        }
        let signature = signer.sign(&pae(PAYLOAD_TYPE, &payload))?;
        Ok(Self { payload, signature, keyid: Some(signer.public_key().hint().to_owned()) })
    }

    /// Takes a signature that was made elsewhere over [`pae`] of `payload`, once it is verified.
    ///
    /// # Errors
    /// [`SignError`] when the payload is longer than [`MAX_PAYLOAD_BYTES`] or
    /// `key` did not make the signature.
    pub fn from_signature(
        payload: Vec<u8>,
        signature: Signature,
        key: &PublicKey,
    ) -> Result<Self, SignError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(SignError::TooLarge { limit: MAX_PAYLOAD_BYTES, actual: payload.len() });
        }
        let envelope = Self { payload, signature, keyid: Some(key.hint().to_owned()) };
        envelope.verify(key).map_err(|error| SignError::Signer(error.to_string()))?;
        Ok(envelope)
    }

    /// Reads an envelope's JSON.
    ///
    /// # Errors
    /// [`EnvelopeError`] says what is wrong, without repeating the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        json::read::<EnvelopeWire>(bytes, MAX_ENVELOPE_BYTES)?.try_into()
    }

    /// Writes the envelope as JSON.
    ///
    /// # Errors
    /// [`JsonError`] when the document would not be read back.
    pub fn to_json(&self) -> Result<Vec<u8>, JsonError> {
        json::write(self, MAX_ENVELOPE_BYTES)
    }

    /// Verifies the signature over the payload.
    ///
    /// # Errors
    /// [`SignatureMismatch`] when `key` did not sign this payload.
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignatureMismatch> {
        key.verify(&self.pae(), &self.signature)
    }

    /// The exact bytes that the signature covers, a hash of which goes to a log.
    #[must_use]
    pub fn pae(&self) -> Vec<u8> {
        pae(PAYLOAD_TYPE, &self.payload)
    }

    /// The payload's exact bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The name of the signing key; a claim, since no signature covers it.
    #[must_use]
    pub fn keyid(&self) -> Option<&str> {
        self.keyid.as_deref()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvelopeWire {
    #[serde(with = "base64_bytes")]
    payload: Vec<u8>,
    payload_type: String,
    signatures: Vec<SignatureWire>,
}

#[derive(Serialize, Deserialize)]
struct SignatureWire {
    #[serde(with = "base64_bytes")]
    sig: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

impl TryFrom<EnvelopeWire> for Envelope {
    type Error = EnvelopeError;

    fn try_from(wire: EnvelopeWire) -> Result<Self, EnvelopeError> {
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType);
        }
        if wire.payload.len() > MAX_PAYLOAD_BYTES {
            return Err(EnvelopeError::PayloadTooLarge { actual: wire.payload.len() });
        }
        let [SignatureWire { sig, keyid }] = <[_; 1]>::try_from(wire.signatures)
            .map_err(|all| EnvelopeError::SignatureCount { actual: all.len() })?;
        // protobuf does not tell an absent string from an empty one.
        let keyid = keyid.filter(|keyid| !keyid.is_empty());
        if let Some(actual) = keyid.as_ref().map(String::len).filter(|len| *len > MAX_KEYID_BYTES) {
            return Err(EnvelopeError::KeyIdTooLong { actual });
        }
        Ok(Self { payload: wire.payload, signature: Signature::from_der(sig)?, keyid })
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = EnvelopeWire {
            payload: self.payload.clone(),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![SignatureWire {
                sig: self.signature.as_der().to_vec(),
                keyid: self.keyid.clone(),
            }],
        };
        wire.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::EcdsaP256Signer;
    use serde_json::{Value, json};

    fn signed() -> (EcdsaP256Signer, Envelope) {
        let signer = EcdsaP256Signer::generate().unwrap();
        let envelope = Envelope::sign(b"{\"a\": \xc3\xa9}".to_vec(), &signer).unwrap();
        (signer, envelope)
    }

    fn altered(change: impl FnOnce(&mut Value)) -> Result<Envelope, EnvelopeError> {
        let mut document = serde_json::to_value(signed().1).unwrap();
        change(&mut document);
        Envelope::parse(&serde_json::to_vec(&document).unwrap())
    }

    #[test]
    fn pae_is_the_specifications_example() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn envelope_round_trips_and_still_verifies() {
        let (signer, envelope) = signed();
        let parsed = Envelope::parse(&envelope.to_json().unwrap()).unwrap();
        assert_eq!(parsed, envelope);
        assert_eq!(parsed.verify(signer.public_key()), Ok(()));
        assert_eq!(parsed.keyid(), Some(signer.public_key().hint()));
    }

    #[test]
    fn exactly_one_signature_is_required() {
        let none = altered(|document| document["signatures"] = json!([]));
        assert_eq!(none.unwrap_err(), EnvelopeError::SignatureCount { actual: 0 });
        let two = altered(|document| {
            let first = document["signatures"][0].clone();
            document["signatures"].as_array_mut().unwrap().push(first);
        });
        assert_eq!(two.unwrap_err(), EnvelopeError::SignatureCount { actual: 2 });
    }

    #[test]
    fn readers_are_as_liberal_as_dsse_demands() {
        let envelope = altered(|document| {
            document["extension"] = json!({"x": 1});
            document["signatures"][0]["extension"] = json!(true);
            let sig = document["signatures"][0]["sig"].as_str().unwrap();
            let url_safe = sig.replace('+', "-").replace('/', "_");
            document["signatures"][0]["sig"] = json!(url_safe);
            document["signatures"][0]["keyid"] = json!("");
        });
        assert_eq!(envelope.unwrap().keyid(), None);
    }

    #[test]
    fn other_envelopes_are_refused() {
        let of_type = altered(|document| document["payloadType"] = json!("text/plain"));
        assert_eq!(of_type.unwrap_err(), EnvelopeError::PayloadType);
        let keyid = altered(|document| {
            document["signatures"][0]["keyid"] = json!("k".repeat(MAX_KEYID_BYTES + 1));
        });
        assert!(matches!(keyid.unwrap_err(), EnvelopeError::KeyIdTooLong { .. }));
        let sig = altered(|document| document["signatures"][0]["sig"] = json!("AAAA"));
        assert!(matches!(sig.unwrap_err(), EnvelopeError::Signature(_)));
        let payload = altered(|document| document["payload"] = json!("*"));
        assert!(matches!(payload.unwrap_err(), EnvelopeError::Json(JsonError::Shape { .. })));
        let twice = br#"{"payload":"","payload":"","payloadType":"","signatures":[]}"#;
        assert!(matches!(
            Envelope::parse(twice).unwrap_err(),
            EnvelopeError::Json(JsonError::DuplicateKey { .. })
        ));
    }

    #[test]
    fn payload_size_is_limited_when_signing_and_reading() {
        let signer = EcdsaP256Signer::generate().unwrap();
        let largest = Envelope::sign(vec![b' '; MAX_PAYLOAD_BYTES], &signer).unwrap();
        assert!(Envelope::parse(&largest.to_json().unwrap()).is_ok());
        let error = Envelope::sign(vec![b' '; MAX_PAYLOAD_BYTES + 1], &signer).unwrap_err();
        assert!(matches!(error, SignError::TooLarge { .. }));
        let longer = altered(|document| document["payload"] = json!("A".repeat(1_400_000)));
        assert!(matches!(longer.unwrap_err(), EnvelopeError::PayloadTooLarge { .. }));
    }
}

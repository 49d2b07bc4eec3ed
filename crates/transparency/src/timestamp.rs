//! Timestamps of signatures by an authority (RFC 3161).

use std::time::Duration;

use jiff::Timestamp;
use sentinel_provenance::log::{HashedRekord, TrustedAuthority};
use sentinel_provenance::{Sha256Digest, Signature};
use sigstore_tsa::{TsaAuthority, verify_timestamp_for_authority};
use sigstore_types::{DerCertificate, SignatureBytes, TimestampToken};

use crate::peer::{Peer, PeerError, PeerUrlError};

/// Time limit of one response.
pub const TIMESTAMP_PATIENCE: Duration = Duration::from_secs(20);

/// The longest response in bytes. A response with a certificate chain has about 8,000.
const MAX_ANSWER: usize = 64 * 1024;
/// The most certificates in a chain.
const MAX_CHAIN: usize = 8;
const PEM_LABEL: &str = "CERTIFICATE";

/// `TimeStampReq` of version 1 without policy and nonce, up to the hash: SEQUENCE { INTEGER 1,
/// SEQUENCE { SEQUENCE { OID sha256, NULL }, OCTET STRING of 32 bytes.
const BEFORE_HASH: [u8; 24] = [
    0x30, 0x39, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];
/// `certReq` TRUE: the token has the certificate that signed it.
const AFTER_HASH: [u8; 3] = [0x01, 0x01, 0xff];

/// Why a file is not a chain of certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error("it is not PEM: {0}")]
    Pem(String),
    #[error("it has {0} certificates, and not two to {MAX_CHAIN}: that which signs, the root last")]
    Chain(usize),
    #[error("the address of the timestamp authority: {0}")]
    Url(#[from] PeerUrlError),
}

/// Why there is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    #[error("timestamp authority: {0}")]
    Peer(#[from] PeerError),
    #[error("the timestamp authority answered with status {0}")]
    Status(u16),
    /// It is not a token for this signature by this authority.
    #[error("the timestamp authority's token does not hold: {0}")]
    Forged(String),
}

/// A timestamp authority at an address, and its certificates.
#[derive(Debug, Clone)]
pub struct Timestamper {
    peer: Peer,
    chain: Vec<Vec<u8>>,
    authority: TsaAuthority,
}

impl Timestamper {
    /// The authority at `url` with the certificates in `pem`: the signing certificate first, the
    /// root last, as authorities provide them. Nothing is sent yet.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn new(url: &str, pem: &str, patience: Duration) -> Result<Self, AuthorityError> {
        let chain = certificates(pem)?;
        let der = |der: &Vec<u8>| DerCertificate::new(der.clone());
        let [leaf, between @ .., root] = chain.as_slice() else {
            return Err(AuthorityError::Chain(chain.len()));
        };
        let between = between.iter().map(der).collect();
        let authority = TsaAuthority::new(der(leaf), between, der(root), None);
        let peer = Peer::signing(url, patience)?;
        Ok(Self { peer, chain, authority })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.peer.url()
    }

    /// Its entry in a trusted root. The certificates state from when on it is trusted.
    #[must_use]
    pub fn trusted(&self) -> TrustedAuthority {
        TrustedAuthority {
            uri: self.url().to_owned(),
            certificates: self.chain.clone(),
            valid_from: Timestamp::UNIX_EPOCH,
        }
    }

    /// Gets a timestamp for the signature in a leaf. Returns the verified response in DER, as
    /// bundles contain it, and the time.
    ///
    /// The request has no nonce: a signature is made once, so an earlier token is just as valid.
    ///
    /// # Errors
    /// [`TimestampError`].
    pub async fn stamp(&self, leaf: &HashedRekord) -> Result<(Vec<u8>, Timestamp), TimestampError> {
        let signature = leaf.signature();
        let body = request(&Sha256Digest::of(signature.as_der()));
        let answer =
            self.peer.post("", "application/timestamp-query", body, None, MAX_ANSWER).await?;
        if !matches!(answer.status, 200 | 201) {
            return Err(TimestampError::Status(answer.status));
        }
        let time = self.verify(&answer.body, signature)?;
        Ok((answer.body, time))
    }

    /// Verifies a new or stored response, and returns its time.
    ///
    /// # Errors
    /// [`TimestampError::Forged`].
    pub fn verify(
        &self,
        answer: &[u8],
        signature: &Signature,
    ) -> Result<Timestamp, TimestampError> {
        let token = TimestampToken::from_bytes(answer);
        let signature = SignatureBytes::from_bytes(signature.as_der());
        verify_timestamp_for_authority(&token, &signature, &self.authority)
            .map_err(|error| TimestampError::Forged(error.to_string()))
    }
}

fn request(hash: &Sha256Digest) -> Vec<u8> {
    [&BEFORE_HASH[..], hash.as_bytes(), &AFTER_HASH].concat()
}

/// The certificates in a PEM file, in its order.
fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, AuthorityError> {
    const END: &str = "-----END CERTIFICATE-----";
    let mut chain = Vec::new();
    for block in pem.split_inclusive(END).filter(|block| block.contains(END)) {
        let decoded = pem_rfc7468::decode_vec(block.trim_start().as_bytes());
        match decoded.map_err(|error| AuthorityError::Pem(error.to_string()))? {
            (PEM_LABEL, der) => chain.push(der),
            (label, _) => {
                return Err(AuthorityError::Pem(format!("`{label}` is not a certificate")));
            }
        }
    }
    if (2..=MAX_CHAIN).contains(&chain.len()) {
        Ok(chain)
    } else {
        Err(AuthorityError::Chain(chain.len()))
    }
}

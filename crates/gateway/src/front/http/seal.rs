//! What a client carries for the gateway: session ids and the state of suspended calls, encrypted
//! and authenticated with a key that all replicas share. A client can neither read nor make one.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What is sealed. What was sealed as one thing opens as no other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sealed {
    Session,
    Suspended,
}

impl Sealed {
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Session => b"sentinel-mcp.dev/gateway/session/v1",
            Self::Suspended => b"sentinel-mcp.dev/gateway/suspended/v1",
        }
    }
}

pub(super) struct Seal(RandomizedNonceKey);

impl Seal {
    /// `None` when the cipher refuses the key, which it does for no key of this length.
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        RandomizedNonceKey::new(&AES_256_GCM, key).ok().map(Self)
    }

    /// The sealed content, in characters that a header can hold; `None` when the cipher fails.
    pub(super) fn seal(&self, what: Sealed, content: &[u8]) -> Option<String> {
        let mut text = content.to_vec();
        let aad = Aad::from(what.domain());
        let nonce = self.0.seal_in_place_append_tag(aad, &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat()))
    }

    /// The content; `None` when it was not sealed here, and as this.
    pub(super) fn open(&self, what: Sealed, sealed: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(what.domain());
        let length = self.0.open_in_place(nonce, aad, &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_as_itself_under_the_same_key_and_as_nothing_else() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let sealed = seal.seal(Sealed::Session, b"who").unwrap();
        assert_eq!(seal.open(Sealed::Session, &sealed).unwrap(), b"who");
        assert_ne!(seal.seal(Sealed::Session, b"who").unwrap(), sealed);
        assert!(seal.open(Sealed::Suspended, &sealed).is_none());
        assert!(Seal::new(&[8; 32]).unwrap().open(Sealed::Session, &sealed).is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(seal.open(Sealed::Session, &changed).is_none(), "{at}");
        }
        assert!(seal.open(Sealed::Session, "").is_none());
        assert!(!format!("{seal:?}").contains('7'));
    }
}

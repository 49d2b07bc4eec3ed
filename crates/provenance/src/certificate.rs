//! Keys that a longer-lived key certifies.

use jiff::Timestamp;
use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::dsse::Envelope;
use crate::public_key::{KeyError, PublicKey, SignatureMismatch};
use crate::statement::{KeyEventKind, SigningKeyEvent, Statement, StatementError};

/// Why something is not a certificate of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The longer-lived key did not sign it.
    #[error(transparent)]
    Signature(#[from] SignatureMismatch),
    /// It is not a valid statement about a signing key.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// It states something else about the key.
    #[error("statement does not certify a key")]
    Event,
    /// Its key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its subject or hint is that of another key.
    #[error("certificate names two keys")]
    Incoherent,
    /// It has no end, or its end is not after its beginning.
    #[error("certificate has no sound end")]
    Validity,
}

/// A key with a verified certificate of a longer-lived key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCertificate {
    public_key: PublicKey,
    from: Timestamp,
    until: Timestamp,
}

impl KeyCertificate {
    /// Verifies that `certifier` signed `envelope`, and that it certifies a key: a statement of
    /// [`SigningKeyEvent`], whose subject is the PEM of the key.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(envelope: &Envelope, certifier: &PublicKey) -> Result<Self, CertificateError> {
        envelope.verify(certifier)?;
        let statement = Statement::<SigningKeyEvent>::parse(envelope.payload())?;
        let event = statement.predicate();
        if event.event != KeyEventKind::Certified {
            return Err(CertificateError::Event);
        }
        let public_key = PublicKey::from_spki_pem(&event.public_key)?;
        let subject = Sha256Digest::of(event.public_key.as_bytes());
        if *statement.subject_digest() != subject || event.hint != public_key.hint() {
            return Err(CertificateError::Incoherent);
        }
        match event.not_after {
            Some(until) if until > event.timestamp => {
                Ok(Self { public_key, from: event.timestamp, until })
            }
            _ => Err(CertificateError::Validity),
        }
    }

    /// The key that is certified.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The time at which the key expires.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether the key was certified at that time, by the signer's clock.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        (self.from..self.until).contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::{EcdsaP256Signer, Signer as _};

    fn event(key: &PublicKey) -> SigningKeyEvent {
        SigningKeyEvent {
            id: "0193a1f2-7b3c-7def-8a12-34567890abcd".parse().unwrap(),
            timestamp: "2026-11-22T20:13:00Z".parse().unwrap(),
            event: KeyEventKind::Certified,
            hint: key.hint().to_owned(),
            public_key: key.to_spki_pem().unwrap(),
            not_after: Some("2026-11-23T20:13:00Z".parse().unwrap()),
            reason: None,
        }
    }

    fn signed(event: SigningKeyEvent, subject: &str, by: &EcdsaP256Signer) -> Envelope {
        let statement = Statement::new(event, Sha256Digest::of(subject.as_bytes())).unwrap();
        Envelope::sign(statement.to_bytes().unwrap(), by).unwrap()
    }

    #[test]
    fn a_certificate_names_its_key_and_its_time() {
        let certifier = EcdsaP256Signer::generate().unwrap();
        let leaf = EcdsaP256Signer::generate().unwrap();
        let event = event(leaf.public_key());
        let envelope = signed(event.clone(), &event.public_key, &certifier);
        let certificate = KeyCertificate::verify(&envelope, certifier.public_key()).unwrap();
        assert_eq!(certificate.public_key(), leaf.public_key());
        for (at, covered) in [
            ("2026-11-22T20:12:59.999Z", false),
            ("2026-11-22T20:13:00Z", true),
            ("2026-11-23T20:12:59.999Z", true),
            ("2026-11-23T20:13:00Z", false),
        ] {
            assert_eq!(certificate.covers(at.parse().unwrap()), covered, "{at}");
        }
    }

    #[test]
    fn nothing_else_certifies_a_key() {
        let certifier = EcdsaP256Signer::generate().unwrap();
        let leaf = EcdsaP256Signer::generate().unwrap();
        let sound = event(leaf.public_key());
        let pem = sound.public_key.clone();
        let verify = |event: SigningKeyEvent, subject: &str| {
            let envelope = signed(event, subject, &certifier);
            KeyCertificate::verify(&envelope, certifier.public_key()).unwrap_err()
        };
        // A certified key cannot certify another; only a trusted key can.
        let by_leaf = signed(sound.clone(), &pem, &leaf);
        assert_eq!(
            KeyCertificate::verify(&by_leaf, certifier.public_key()).unwrap_err(),
            CertificateError::Signature(SignatureMismatch)
        );
        for event in [KeyEventKind::Retired, KeyEventKind::Revoked] {
            let event = SigningKeyEvent { event, ..sound.clone() };
            assert_eq!(verify(event, &pem), CertificateError::Event);
        }
        assert_eq!(verify(sound.clone(), "else"), CertificateError::Incoherent);
        let hint = certifier.public_key().hint().to_owned();
        let of_another = SigningKeyEvent { hint, ..sound.clone() };
        assert_eq!(verify(of_another, &pem), CertificateError::Incoherent);
        let garbled = SigningKeyEvent { public_key: "no key".to_owned(), ..sound.clone() };
        assert_eq!(verify(garbled, "no key"), CertificateError::Key(KeyError::Pem));
        for not_after in [None, Some(sound.timestamp)] {
            let endless = SigningKeyEvent { not_after, ..sound.clone() };
            assert_eq!(verify(endless, &pem), CertificateError::Validity);
        }
        // A statement about an action is not a certificate.
        let foreign = Envelope::sign(b"{}".to_vec(), &certifier).unwrap();
        let error = KeyCertificate::verify(&foreign, certifier.public_key()).unwrap_err();
        assert!(matches!(error, CertificateError::Statement(_)));
    }
}

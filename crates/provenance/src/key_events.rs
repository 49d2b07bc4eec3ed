//! Statements about signing keys, and what they prove.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::bundle::{Bundle, BundleError};
use crate::certificate::{CertificateError, KeyCertificate};
use crate::digest::Sha256Digest;
use crate::log::{Revoked, TrustedLog};
use crate::log_trust::{LogTrust, Logged, Revocation, RevokedAt, in_force};
use crate::public_key::PublicKey;
use crate::statement::{KeyEventKind, SigningKeyEvent, Statement, StatementError};

/// Why a statement about a key is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyEventError {
    /// It is not a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It is another kind of statement, or invalid.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Its signer is not entitled to make it.
    #[error("`{hint}` signed it, which is not trusted for that")]
    Signer {
        /// Fingerprint of the key that is said to have signed.
        hint: String,
    },
    /// The signature is invalid.
    #[error("signature does not match")]
    Signature,
    /// It does not certify a key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Its key is invalid, or has another fingerprint.
    #[error("key is not the one that is named")]
    Key,
    /// It is in no trusted log, or its signer had been revoked when it was logged.
    #[error("{0}")]
    Log(String),
}

/// The keys that longer-lived keys certify, and the keys that were revoked.
///
/// Only a trusted key can certify another. A key can be revoked by a trusted key, by a key
/// that introduced itself in the same logs, or by itself. Only the operator can put a
/// statement into these logs, and accepting a revocation too many is safe.
///
/// ```
/// use sentinel_provenance::{KeyEvents, LogTrust, Trust};
/// # use sentinel_provenance::log::TrustedRoot;
/// # use sentinel_provenance::{EcdsaP256Signer, Signer as _};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let signer = EcdsaP256Signer::generate()?;
/// # let logs = LogTrust { root: TrustedRoot::default(), witnesses: None };
/// # let (bundles, bundle) = (Vec::<Vec<u8>>::new(), b"{}");
/// let trusted = [signer.public_key().clone()];
/// let events = KeyEvents::read(&bundles, &trusted, &logs).map_err(|(_, error)| error)?;
/// let hint = signer.public_key().hint();
/// let trust = Trust {
///     key: events.key(hint).ok_or("that key is not trusted")?,
///     logs: Some(&logs),
///     certificate: events.certificate(hint),
///     revocations: Some(events.revocations()),
/// };
/// # assert!(!trust.verify_json(bundle, None).verified());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyEvents {
    trusted: BTreeMap<String, PublicKey>,
    certified: BTreeMap<String, KeyCertificate>,
    revocations: Vec<Revocation>,
}

impl KeyEvents {
    /// Reads statements, each a bundle with its log entry, in any order.
    ///
    /// # Errors
    /// [`KeyEventError`], and the position of the statement. No statement is skipped,
    /// because an invalid one could be the one that revokes.
    pub fn read(
        bundles: &[Vec<u8>],
        trusted: &[PublicKey],
        logs: &LogTrust,
    ) -> Result<Self, (usize, KeyEventError)> {
        let known = |key: &PublicKey| (key.hint().to_owned(), key.clone());
        let trusted: BTreeMap<_, _> = trusted.iter().map(known).collect();
        let mut said = Vec::new();
        for (position, json) in bundles.iter().enumerate() {
            said.push(Said::read(json).map_err(|error| (position, error))?);
        }
        let introduces = |said: &&Said| said.event == KeyEventKind::Introduced;
        let introduced: BTreeMap<_, _> =
            said.iter().filter(introduces).map(|said| known(&said.key)).collect();
        let (mut revocations, mut certified) = (Vec::new(), Vec::new());
        for (position, said) in said.into_iter().enumerate() {
            let proven = said.prove(&trusted, &introduced, logs);
            let proven = proven.map_err(|error| (position, error))?;
            match proven.event {
                KeyEventKind::Certified => certified.push((position, proven)),
                KeyEventKind::Introduced | KeyEventKind::Retired => {}
                KeyEventKind::Revoked => revocations.push(proven.revocation()),
            }
        }
        let mut events = Self { trusted, certified: BTreeMap::new(), revocations };
        for (position, Proven { bundle, signer, .. }) in certified {
            let in_force = Logged::find(&bundle, logs)
                .and_then(|entries| in_force(&entries, logs, &signer, &events.revocations));
            in_force.map_err(|why| (position, KeyEventError::Log(why)))?;
            let certificate = KeyCertificate::verify(&bundle.envelope, &signer);
            let certificate = certificate.map_err(|error| (position, error.into()))?;
            events.certified.insert(certificate.public_key().hint().to_owned(), certificate);
        }
        Ok(events)
    }

    /// The key with this fingerprint, if it is trusted or certified by a trusted key.
    #[must_use]
    pub fn key(&self, hint: &str) -> Option<&PublicKey> {
        self.trusted.get(hint).or_else(|| self.certificate(hint).map(KeyCertificate::public_key))
    }

    /// The certificate of that key, unless it is trusted itself.
    #[must_use]
    pub fn certificate(&self, hint: &str) -> Option<&KeyCertificate> {
        if self.trusted.contains_key(hint) { None } else { self.certified.get(hint) }
    }

    /// The keys that were revoked.
    #[must_use]
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    /// The entries of `log` from which on keys are revoked.
    #[must_use]
    pub fn revoked_in(&self, log: &TrustedLog, logs: &LogTrust) -> Vec<Revoked> {
        let id = log.key().id_hash();
        let since = |revocation: &Revocation| {
            let here = revocation.places.iter().filter(|place| place.log == id);
            if let Some(index) = here.map(|place| place.index).min() {
                return Some(index);
            }
            let began = |place: &RevokedAt| logs.root.log(&place.log).map(TrustedLog::valid_from);
            // A later log is later as a whole.
            let earlier = |place: &RevokedAt| began(place) <= Some(log.valid_from());
            revocation.places.iter().any(earlier).then_some(0)
        };
        let revoked = |revocation: &Revocation| {
            since(revocation).map(|since| Revoked { key: revocation.key.clone(), since })
        };
        self.revocations.iter().filter_map(revoked).collect()
    }
}

/// A statement about a key that is valid in itself.
struct Said {
    bundle: Bundle,
    event: KeyEventKind,
    key: PublicKey,
}

impl Said {
    /// Read before the signature is verified, because the key may be that of the signer.
    fn read(json: &[u8]) -> Result<Self, KeyEventError> {
        let bundle = Bundle::parse(json)?;
        let statement = Statement::<SigningKeyEvent>::parse(bundle.envelope.payload())?;
        let said = statement.predicate();
        let key = PublicKey::from_spki_pem(&said.public_key).map_err(|_| KeyEventError::Key)?;
        if key.hint() != said.hint {
            return Err(KeyEventError::Key);
        }
        let event = said.event;
        Ok(Self { bundle, event, key })
    }

    /// Verifies that its signer is entitled to make it, and that it is in a trusted log.
    fn prove(
        self,
        trusted: &BTreeMap<String, PublicKey>,
        introduced: &BTreeMap<String, PublicKey>,
        logs: &LogTrust,
    ) -> Result<Proven, KeyEventError> {
        let Self { bundle, event, key } = self;
        let hint = bundle.hint();
        let itself = (hint == key.hint()).then_some(&key);
        let signer = match event {
            KeyEventKind::Introduced => itself,
            KeyEventKind::Certified => trusted.get(hint),
            KeyEventKind::Retired | KeyEventKind::Revoked => {
                trusted.get(hint).or_else(|| introduced.get(hint)).or(itself)
            }
        };
        let signer = signer.ok_or_else(|| KeyEventError::Signer { hint: hint.to_owned() })?.clone();
        bundle.envelope.verify(&signer).map_err(|_| KeyEventError::Signature)?;
        let mut places = Vec::new();
        for entry in Logged::find(&bundle, logs).map_err(KeyEventError::Log)? {
            entry.inclusion(&bundle, &signer).map_err(KeyEventError::Log)?;
            places.push(entry.place());
        }
        Ok(Proven { bundle, event, key, signer, places })
    }
}

/// A statement whose signer is entitled to make it, and that is in a trusted log.
struct Proven {
    bundle: Bundle,
    event: KeyEventKind,
    key: PublicKey,
    signer: PublicKey,
    places: Vec<(Sha256Digest, u64)>,
}

impl Proven {
    fn revocation(&self) -> Revocation {
        let place = |(log, index): &(Sha256Digest, u64)| RevokedAt { log: *log, index: *index };
        Revocation {
            key: self.key.hint().to_owned(),
            places: self.places.iter().map(place).collect(),
        }
    }
}

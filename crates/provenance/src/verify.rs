//! Offline verification of a bundle against a trusted key.

use serde::Serialize;

use crate::bundle::Bundle;
use crate::certificate::KeyCertificate;
use crate::digest::Sha256Digest;
use crate::log::WitnessPolicyError;
use crate::log_trust::{LogTrust, Logged, Revocation, in_force};
use crate::public_key::PublicKey;
use crate::statement::{AgentAction, Statement};

/// What is checked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckName {
    /// The document is a bundle with one valid envelope.
    Envelope,
    /// The trusted key signed the payload.
    Signature,
    /// The payload is a valid statement about an agent's action.
    Statement,
    /// A trusted log signed the state that the proof leads to.
    Checkpoint,
    /// The envelope, as the key signed it, is in that log.
    Inclusion,
    /// The key was not revoked before that entry.
    Key,
    /// Enough witnesses saw that state of the log.
    Witness,
    /// The artifact is what the statement commits to.
    PayloadCommitment,
}

impl CheckName {
    /// The name as it is serialized.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Signature => "signature",
            Self::Statement => "statement",
            Self::Checkpoint => "checkpoint",
            Self::Inclusion => "inclusion",
            Self::Key => "key",
            Self::Witness => "witness",
            Self::PayloadCommitment => "payload_commitment",
        }
    }

    const ALL: [Self; 8] = [
        Self::Envelope,
        Self::Signature,
        Self::Statement,
        Self::Checkpoint,
        Self::Inclusion,
        Self::Key,
        Self::Witness,
        Self::PayloadCommitment,
    ];
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was made and passed.
    Passed,
    /// It was made and failed.
    Failed,
    /// It was not made.
    Skipped,
}

/// One check and its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: CheckName,
    /// Its outcome.
    pub outcome: Outcome,
    /// The reason, for people. Contains digests and key fingerprints, but no content.
    pub detail: String,
}

/// The result of a verification: every check, and the statement once its
/// signature is known to be good.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    checks: Vec<Check>,
    statement: Option<Statement>,
}

impl Verification {
    /// Whether the trusted key signed a valid statement and no check failed. Checks
    /// that were skipped, because there is no artifact or no trusted log, do not
    /// count.
    #[must_use]
    pub fn verified(&self) -> bool {
        let passed = |name| self.outcome(name) == Some(Outcome::Passed);
        passed(CheckName::Signature)
            && passed(CheckName::Statement)
            && self.checks.iter().all(|check| check.outcome != Outcome::Failed)
    }

    /// Every check, in the order of [`CheckName`].
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The outcome of the check `name`.
    #[must_use]
    pub fn outcome(&self, name: CheckName) -> Option<Outcome> {
        self.checks.iter().find(|check| check.name == name).map(|check| check.outcome)
    }

    /// The statement, if the trusted key signed it and it is valid. It is present
    /// even if the artifact does not match.
    #[must_use]
    pub fn statement(&self) -> Option<&Statement> {
        self.statement.as_ref()
    }
}

/// What a verifier trusts.
///
/// ```
/// use sentinel_provenance::{CheckName, Outcome, Revocation, RevokedAt, Trust};
/// # use sentinel_provenance::log::TrustedRoot;
/// # use sentinel_provenance::{EcdsaP256Signer, LogTrust, Sha256Digest, Signer as _};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (bundle, signer) = (b"{}", EcdsaP256Signer::generate()?);
/// # let logs = LogTrust { root: TrustedRoot::default(), witnesses: None };
/// # let log_id = Sha256Digest::of(b"");
/// let places = vec![RevokedAt { log: log_id, index: 7 }];
/// let revocation = Revocation { key: signer.public_key().hint().into(), places };
/// let trust = Trust {
///     key: signer.public_key(),
///     logs: Some(&logs),
///     certificate: None,
///     revocations: Some(&[revocation]),
/// };
/// let verification = trust.verify_json(bundle, None);
/// # assert!(!verification.verified());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// The key that signs manifests.
    pub key: &'a PublicKey,
    /// The logs that must contain them; `None` requires no log.
    pub logs: Option<&'a LogTrust>,
    /// The certificate of the key, unless it is trusted itself.
    pub certificate: Option<&'a KeyCertificate>,
    /// The keys that were revoked; `None` when that is not known.
    pub revocations: Option<&'a [Revocation]>,
}

impl Trust<'_> {
    /// Verifies a bundle's JSON; any bytes may be given.
    #[must_use]
    pub fn verify_json(&self, bytes: &[u8], artifact: Option<&[u8]>) -> Verification {
        match Bundle::parse(bytes) {
            Ok(bundle) => self.verify(&bundle, artifact),
            Err(error) => {
                let mut checks = Checks::default();
                checks.failed(CheckName::Envelope, error.to_string());
                checks.finish(None)
            }
        }
    }

    /// Verifies a bundle that was already parsed.
    #[must_use]
    pub fn verify(&self, bundle: &Bundle, artifact: Option<&[u8]>) -> Verification {
        let mut checks = Checks::default();
        if self.logs.is_none() {
            let of_logs =
                [CheckName::Checkpoint, CheckName::Inclusion, CheckName::Key, CheckName::Witness];
            for name in of_logs {
                checks.skipped(name, "no trusted log was given");
            }
        }
        let statement = signed_statement(bundle, self.key, &mut checks);
        if let Some(statement) = &statement {
            if let Some(logs) = self.logs {
                self.check_log(bundle, statement, logs, &mut checks);
            }
            check_artifact(statement, artifact, &mut checks);
        }
        checks.finish(statement)
    }

    fn check_log(
        &self,
        bundle: &Bundle,
        statement: &Statement,
        logs: &LogTrust,
        checks: &mut Checks,
    ) {
        let logged = match Logged::find(bundle, logs) {
            Ok(logged) => logged,
            Err(why) => return checks.failed(CheckName::Checkpoint, why),
        };
        let states = logged.iter().map(Logged::state).collect::<Vec<_>>().join(", ");
        checks.passed(CheckName::Checkpoint, states);
        let included = logged.iter().map(|entry| entry.inclusion(bundle, self.key));
        match included.collect::<Result<Vec<_>, _>>() {
            Ok(places) => checks.passed(CheckName::Inclusion, places.join(", ")),
            Err(why) => return checks.failed(CheckName::Inclusion, why),
        }
        self.check_key(&logged, statement, logs, checks);
        let Some(policy) = &logs.witnesses else {
            return checks.skipped(CheckName::Witness, "no witnesses were demanded");
        };
        // One of several logs is enough: its witnesses follow it, and it contains the leaf.
        let (mut seen, mut refused) = (Vec::new(), None);
        for entry in &logged {
            match entry.witnessed(policy) {
                Ok(names) => seen.push(names),
                Err(error @ WitnessPolicyError::Quorum { .. }) => refused = refused.or(Some(error)),
                Err(error) => return checks.failed(CheckName::Witness, error.to_string()),
            }
        }
        match refused {
            Some(error) if seen.is_empty() => checks.failed(CheckName::Witness, error.to_string()),
            _ => checks.passed(CheckName::Witness, seen.join(", ")),
        }
    }

    fn check_key(
        &self,
        logged: &[Logged<'_>],
        statement: &Statement,
        logs: &LogTrust,
        checks: &mut Checks,
    ) {
        let at = statement.predicate().timestamp;
        if self.certificate.is_some_and(|certificate| !certificate.covers(at)) {
            let detail = format!("`{}` was not certified at `{at}`", self.key.hint());
            return checks.failed(CheckName::Key, detail);
        }
        let Some(revocations) = self.revocations else {
            return checks.skipped(CheckName::Key, "no key events were given");
        };
        match in_force(logged, logs, self.key, revocations) {
            Ok(()) => {
                let detail = format!("`{}` was not revoked before the entry", self.key.hint());
                checks.passed(CheckName::Key, detail);
            }
            Err(why) => checks.failed(CheckName::Key, why),
        }
    }
}

/// Verifies a bundle's JSON; any bytes may be given.
///
/// `artifact` is `salt ‖ payload`, see [`crate::commitment`]. Log entries and
/// timestamps in the bundle are ignored; [`verify_logged_bundle_json`] requires a
/// log entry.
#[must_use]
pub fn verify_bundle_json(
    bytes: &[u8],
    trusted: &PublicKey,
    artifact: Option<&[u8]>,
) -> Verification {
    Trust { key: trusted, logs: None, certificate: None, revocations: None }
        .verify_json(bytes, artifact)
}

/// Verifies a bundle's JSON, and that the statement is in a trusted log.
///
/// Every entry that names a trusted log must be valid, and there must be one.
/// Entries of other logs are ignored: without their keys they prove nothing.
#[must_use]
pub fn verify_logged_bundle_json(
    bytes: &[u8],
    trusted: &PublicKey,
    logs: &LogTrust,
    artifact: Option<&[u8]>,
) -> Verification {
    Trust { key: trusted, logs: Some(logs), certificate: None, revocations: None }
        .verify_json(bytes, artifact)
}

/// Verifies a bundle that was already parsed; see [`verify_bundle_json`].
#[must_use]
pub fn verify_bundle(
    bundle: &Bundle,
    trusted: &PublicKey,
    artifact: Option<&[u8]>,
) -> Verification {
    Trust { key: trusted, logs: None, certificate: None, revocations: None }
        .verify(bundle, artifact)
}

/// Verifies a bundle that was already parsed; see [`verify_logged_bundle_json`].
#[must_use]
pub fn verify_logged_bundle(
    bundle: &Bundle,
    trusted: &PublicKey,
    logs: &LogTrust,
    artifact: Option<&[u8]>,
) -> Verification {
    Trust { key: trusted, logs: Some(logs), certificate: None, revocations: None }
        .verify(bundle, artifact)
}

/// Parses the payload only after its signature has been verified.
fn signed_statement(
    bundle: &Bundle,
    trusted: &PublicKey,
    checks: &mut Checks,
) -> Option<Statement> {
    match bundle.validate() {
        Ok(()) => checks.passed(CheckName::Envelope, "one signed in-toto payload".to_owned()),
        Err(error) => {
            checks.failed(CheckName::Envelope, error.to_string());
            return None;
        }
    }
    // The hint is not signed, so it proves nothing; but a bundle that names
    // another key was not issued in this form, and other verifiers refuse it.
    if bundle.hint() != trusted.hint() {
        let detail = format!("bundle names another key than the trusted `{}`", trusted.hint());
        checks.failed(CheckName::Signature, detail);
        return None;
    }
    match bundle.envelope.verify(trusted) {
        Ok(()) => checks.passed(CheckName::Signature, format!("signed by `{}`", trusted.hint())),
        Err(error) => {
            checks
                .failed(CheckName::Signature, format!("{error} for the key `{}`", trusted.hint()));
            return None;
        }
    }
    match Statement::<AgentAction>::parse(bundle.envelope.payload()) {
        Ok(statement) => {
            let id = statement.predicate().id;
            checks.passed(CheckName::Statement, format!("manifest `{id}`"));
            Some(statement)
        }
        Err(error) => {
            checks.failed(CheckName::Statement, error.to_string());
            None
        }
    }
}

fn check_artifact(statement: &Statement, artifact: Option<&[u8]>, checks: &mut Checks) {
    let Some(artifact) = artifact else {
        checks.skipped(CheckName::PayloadCommitment, "no artifact was given");
        return;
    };
    let (expected, actual) = (statement.subject_digest(), Sha256Digest::of(artifact));
    if *expected == actual {
        checks.passed(CheckName::PayloadCommitment, format!("sha256 `{actual}`"));
    } else {
        let detail = format!("artifact has sha256 `{actual}`, the statement has `{expected}`");
        checks.failed(CheckName::PayloadCommitment, detail);
    }
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn passed(&mut self, name: CheckName, detail: String) {
        self.0.push(Check { name, outcome: Outcome::Passed, detail });
    }

    fn failed(&mut self, name: CheckName, detail: String) {
        self.0.push(Check { name, outcome: Outcome::Failed, detail });
    }

    fn skipped(&mut self, name: CheckName, detail: &str) {
        self.0.push(Check { name, outcome: Outcome::Skipped, detail: detail.to_owned() });
    }

    /// Lists the remaining checks as skipped, so that a report is always complete.
    fn finish(mut self, statement: Option<Statement>) -> Verification {
        for name in CheckName::ALL {
            if self.0.iter().all(|check| check.name != name) {
                self.skipped(name, "an earlier check failed");
            }
        }
        self.0.sort_by_key(|check| check.name);
        Verification { checks: self.0, statement }
    }
}

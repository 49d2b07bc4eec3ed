//! Offline verification of a bundle against a trusted key.

use serde::Serialize;

use crate::bundle::Bundle;
use crate::digest::Sha256Digest;
use crate::public_key::PublicKey;
use crate::statement::Statement;

/// What is checked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckName {
    /// The document is a bundle with one sound envelope.
    Envelope,
    /// The trusted key signed the payload.
    Signature,
    /// The payload is a sound statement about an agent's action.
    Statement,
    /// The artifact is what the statement commits to.
    PayloadCommitment,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was made and holds.
    Passed,
    /// It was made and does not hold.
    Failed,
    /// It was not made.
    Skipped,
}

/// One check and its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: CheckName,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, for people. Holds digests and key fingerprints, and no content.
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
    /// Whether the trusted key signed a sound statement and nothing failed.
    /// A commitment that was skipped, for want of an artifact, does not count
    /// against it.
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

    /// How the check `name` ended.
    #[must_use]
    pub fn outcome(&self, name: CheckName) -> Option<Outcome> {
        self.checks.iter().find(|check| check.name == name).map(|check| check.outcome)
    }

    /// The statement, when the trusted key signed it and it is sound. It is
    /// present also when the artifact does not match.
    #[must_use]
    pub fn statement(&self) -> Option<&Statement> {
        self.statement.as_ref()
    }
}

/// Verifies a bundle's JSON; any bytes may be given.
///
/// `artifact` is `salt ‖ payload`, see [`crate::commitment`]. Log entries and
/// timestamps in the bundle are not looked at.
#[must_use]
pub fn verify_bundle_json(
    bytes: &[u8],
    trusted: &PublicKey,
    artifact: Option<&[u8]>,
) -> Verification {
    match Bundle::parse(bytes) {
        Ok(bundle) => verify_bundle(&bundle, trusted, artifact),
        Err(error) => {
            let mut checks = Checks::default();
            checks.failed(CheckName::Envelope, error.to_string());
            checks.finish(None)
        }
    }
}

/// Verifies a bundle that was already parsed; see [`verify_bundle_json`].
#[must_use]
pub fn verify_bundle(
    bundle: &Bundle,
    trusted: &PublicKey,
    artifact: Option<&[u8]>,
) -> Verification {
    let mut checks = Checks::default();
    let statement = signed_statement(bundle, trusted, &mut checks);
    if let Some(statement) = &statement {
        check_artifact(statement, artifact, &mut checks);
    }
    checks.finish(statement)
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
    // another key was not issued as it stands, and other verifiers refuse it.
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
    match Statement::parse(bundle.envelope.payload()) {
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
    let (expected, actual) = (statement.payload_digest(), Sha256Digest::of(artifact));
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

    /// Lists what was not reached as skipped, so that a report is always whole.
    fn finish(mut self, statement: Option<Statement>) -> Verification {
        for name in [
            CheckName::Envelope,
            CheckName::Signature,
            CheckName::Statement,
            CheckName::PayloadCommitment,
        ] {
            if self.0.iter().all(|check| check.name != name) {
                self.skipped(name, "an earlier check failed");
            }
        }
        Verification { checks: self.0, statement }
    }
}

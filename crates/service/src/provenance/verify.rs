//! Verifying a stored manifest, as a verifier elsewhere would, and against what is recorded here.

use std::sync::Arc;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::event::{Event, ProvenanceEvent};
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::manifest::{self, Manifest};
use sentinel_core::name::{AgentName, Purpose};
use sentinel_core::principal::Principal;
use sentinel_provenance::{
    Bundle, LogTrust, Phase, RecordedDecision, Statement, Trust, Verification, verify_bundle_json,
};

use super::Provenance;
use crate::ServiceError;
use crate::ids::time_of;
use crate::payloads::Kept;
use crate::signing::KnownKey;

/// What became of the decision that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionLink {
    /// It names none.
    NoDecision,
    /// It is recorded, and says what the statement says of it.
    Holds {
        /// What was decided. An outcome under a deny is of a call that was made all the same.
        allowed: bool,
    },
    /// It is not recorded.
    Missing,
    /// It is recorded with other values than were signed.
    Differs(
        /// Names of the fields.
        Vec<&'static str>,
    ),
    /// The decisions of its month are in the archive, so this cannot be checked here.
    Archived,
}

impl DecisionLink {
    /// Whether the record contradicts what was signed.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Missing | Self::Differs(_))
    }
}

/// A manifest with what verifying it showed.
#[derive(Debug)]
pub struct Verified {
    pub manifest: Manifest,
    pub verification: Verification,
    /// The DSSE signature, base64; `None` when the envelope cannot be read.
    pub signature: Option<String>,
    pub decision_link: DecisionLink,
    /// Whether the row under which the bundle is stored says what the statement says; `None` when
    /// there is no sound statement. A sound bundle of another action must not pass for this one.
    pub record_match: Option<bool>,
    /// What is there of the payload.
    pub kept: Kept,
}

impl Verified {
    /// Whether every check that could be made passed.
    #[must_use]
    pub fn verified(&self) -> bool {
        self.verification.verified()
            && !self.decision_link.is_broken()
            && self.record_match == Some(true)
            && !matches!(self.kept, Kept::Broken | Kept::Destroyed { tombstone: None })
    }
}

impl Provenance {
    /// Verifies a stored manifest; `None` when there is none that the principal may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn verify(
        &self,
        principal: &Principal,
        id: ManifestId,
    ) -> Result<Option<Verified>, ServiceError> {
        let Some(manifest) = self.manifest(principal, id).await? else { return Ok(None) };
        let kept = self.payloads.kept(&manifest).await?;
        let artifact = match &kept {
            Kept::Payload(payload) => Some(payload.artifact()),
            Kept::No | Kept::Destroyed { .. } | Kept::Broken => None,
        };
        let artifact = artifact.as_ref().map(|artifact| artifact.as_slice());
        let verification = self.verify_logged(&manifest, artifact).await?;
        let signature = Bundle::parse(manifest.bundle.as_bytes())
            .ok()
            .map(|bundle| bundle.envelope.signature().to_base64());
        let decision_link = match manifest.decision_id {
            Some(id) => self.decision_link(id, verification.statement()).await?,
            None => DecisionLink::NoDecision,
        };
        let record_match = verification.statement().map(|said| self.matches(&manifest, said));
        let verified =
            Verified { manifest, verification, signature, decision_link, record_match, kept };
        self.announce_verified(&verified);
        Ok(Some(verified))
    }

    /// Verifies a manifest with its place in the log, as a verifier elsewhere would, by the key
    /// that it names, if a trusted one vouches for that.
    async fn verify_logged(
        &self,
        manifest: &Manifest,
        artifact: Option<&[u8]>,
    ) -> Result<Verification, ServiceError> {
        let stored = manifest.bundle.as_bytes();
        let Ok(bundle) = Bundle::parse(stored) else {
            return Ok(verify_bundle_json(stored, self.keys.trusted(), artifact));
        };
        let known = self.keys.find(bundle.hint()).await?;
        let key = known.as_ref().map_or(self.keys.trusted(), KnownKey::public_key);
        let bundle = match manifest.place {
            Some(place) => self.log.complete(bundle, place).await?,
            // Without a place it fails as not logged: the column could have been emptied.
            None => bundle,
        };
        let logs = LogTrust { root: self.log.trusted_root()?, witnesses: self.witnesses.clone() };
        let revocations = self.log.revocations().await?;
        let certificate = match &known {
            Some(KnownKey::Certified(certificate)) => Some(certificate),
            _ => None,
        };
        let trust = Trust { key, certificate, logs: Some(&logs), revocations: Some(&revocations) };
        Ok(trust.verify(&bundle, artifact))
    }

    fn matches(&self, row: &Manifest, said: &Statement) -> bool {
        let action = said.predicate();
        let control = self.control.current();
        let tenant = control.tenant_by_id(row.tenant_id);
        let phase = match action.phase {
            Phase::Decision => Some(manifest::Phase::Decision),
            Phase::Outcome => Some(manifest::Phase::Outcome),
            _ => None,
        };
        action.id == row.id.0
            && phase == Some(row.phase)
            && tenant.is_some_and(|tenant| tenant.slug.as_str() == action.tenant)
            && action.tool == row.tool.as_str()
            && action.action == row.action.as_str()
            && action.purpose.as_deref() == row.purpose.as_ref().map(Purpose::as_str)
            && action.decision.as_ref().map(|decision| decision.id)
                == row.decision_id.map(|id| id.0)
            && said.subject_digest().as_bytes() == &row.payload_digest
    }

    /// Compares the decision as it is recorded with what the statement says of it. Without a sound
    /// statement there is nothing to compare, and the manifest fails for that.
    async fn decision_link(
        &self,
        id: DecisionId,
        said: Option<&Statement>,
    ) -> Result<DecisionLink, ServiceError> {
        if let Some(decision) = self.decisions.decision(id).await? {
            let Some(said) = said else { return Ok(DecisionLink::Differs(vec!["statement"])) };
            let differing = said.predicate().differs_from(&recorded(&decision));
            let holds = DecisionLink::Holds { allowed: decision.allow };
            return Ok(if differing.is_empty() { holds } else { DecisionLink::Differs(differing) });
        }
        // By the clock of the decision, which its id was made with.
        match time_of(id.0) {
            Some(at) if self.decisions.has_archived(at).await? => Ok(DecisionLink::Archived),
            _ => Ok(DecisionLink::Missing),
        }
    }

    fn announce_verified(&self, verified: &Verified) {
        let manifest = &verified.manifest;
        let control = self.control.current();
        if let Some(tenant) = control.tenant_by_id(manifest.tenant_id) {
            self.bus.publish(vec![Event::Verified(Arc::new(ProvenanceEvent {
                manifest_id: manifest.id,
                tenant_id: tenant.id,
                tenant: tenant.slug.clone(),
                tool: manifest.tool.clone(),
                verified: verified.verified(),
                at: self.clock.now(),
            }))]);
        }
    }
}

/// A decision with the fields that statements repeat.
fn recorded(decision: &DecisionRecord) -> RecordedDecision<'_> {
    RecordedDecision {
        id: decision.id.0,
        allow: decision.allow,
        code: decision.code.as_str(),
        policy_revision: decision.policy_revision.as_deref(),
        tenant: decision.tenant.as_str(),
        tool: decision.tool.as_str(),
        action: decision.action.as_str(),
        purpose: decision.purpose.as_ref().map(Purpose::as_str),
        agent: decision.agent.as_ref().map(AgentName::as_str),
        principal: &decision.principal,
    }
}

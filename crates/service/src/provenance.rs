//! Signed manifests of what agents did: signing them, verifying them, and reading what is stored.

mod once;
mod sign;
mod verify;
mod writer;

use std::sync::Arc;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::clock::Clock;
use sentinel_core::event::Bus;
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::{Manifest, ManifestFilter, NewManifest};
use sentinel_core::name::{Action, AgentName, IdempotencyKey, Purpose, TenantSlug, ToolName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{DecisionStore, ManifestStore};
use sentinel_core::principal::Principal;
use sentinel_provenance::log::WitnessPolicy;
use sentinel_provenance::{AgentAction, Bundle, Salt, Statement};
use serde_json::{Map, Value};

use crate::ServiceError;
use crate::control::Control;
use crate::elsewhere::Elsewhere;
use crate::group::Group;
use crate::log::TransparencyLog;
use crate::payloads::Payloads;
use crate::signing::SigningKeys;

pub(crate) use sign::{decision_ref, salt_of};
pub use verify::{DecisionLink, Verified};
pub(crate) use writer::ManifestWriter;

/// Signs, stores and verifies manifests.
#[derive(Debug)]
pub struct Provenance {
    pub(crate) control: Arc<Control>,
    pub(crate) manifests: Arc<dyn ManifestStore>,
    pub(crate) decisions: Arc<dyn DecisionStore>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) log: Arc<TransparencyLog>,
    pub(crate) witnesses: Option<WitnessPolicy>,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) elsewhere: Arc<Elsewhere>,
    pub(crate) writes: Group<NewManifest, LogPlace>,
}

/// A request to sign what an agent did.
#[derive(Debug)]
pub struct SignRequest {
    pub tenant: TenantSlug,
    pub tool: ToolName,
    pub action: Action,
    /// That of the decision when it is left out.
    pub purpose: Option<Purpose>,
    /// The agent that acted. That of the key, or of the decision, when it is left out.
    pub agent: Option<AgentName>,
    /// The exact bytes that the manifest commits to.
    pub payload: Vec<u8>,
    /// Whether they are to be kept, sealed.
    pub keep_payload: bool,
    pub decision_id: Option<DecisionId>,
    /// The decision of that id, from a caller that was handed it by a check; it is read otherwise.
    pub decision: Option<Arc<DecisionRecord>>,
    /// The caller's own id of the outcome. Needs a decision.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Signed as it is, and public.
    pub metadata: Map<String, Value>,
}

/// A manifest that is signed and on disk.
#[derive(Debug)]
pub struct Signed {
    pub manifest: Manifest,
    /// The DSSE signature, base64.
    pub signature: String,
    /// Needed, with the payload, to show what was committed to. Not public.
    pub salt: Salt,
    /// Where it is in the log.
    pub place: LogPlace,
}

impl Provenance {
    /// Whether manifests can still be written.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.writes.is_running()
    }

    /// The bundle of a manifest with its place in the log, once a checkpoint covers that. One that
    /// has no place is handed out as it was issued.
    ///
    /// # Errors
    /// `log_behind` when no checkpoint covers it in time; when the store is away.
    pub async fn bundle(&self, manifest: &Manifest) -> Result<Vec<u8>, ServiceError> {
        let Some(place) = manifest.place else { return Ok(manifest.bundle.clone().into_bytes()) };
        let failed = |error: &dyn std::fmt::Display| ServiceError::Unavailable(error.to_string());
        let bundle = Bundle::parse(manifest.bundle.as_bytes()).map_err(|error| failed(&error))?;
        let bundle = self.log.complete(bundle, place).await?;
        bundle.to_json().map_err(|error| failed(&error))
    }

    /// A stored manifest; `None` when there is none that the principal may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn manifest(
        &self,
        principal: &Principal,
        id: ManifestId,
    ) -> Result<Option<Manifest>, ServiceError> {
        let found = self.manifests.manifest(id).await?;
        Ok(found.filter(|manifest| may_see(principal, manifest)))
    }

    /// Manifests that match, newest first. A page can hold fewer than were asked for, or none,
    /// though more follow: a key bound to an agent sees that agent's only.
    ///
    /// # Errors
    /// When the tenant is unknown or forbidden, the cursor is bad, or the store is away.
    pub async fn manifests(
        &self,
        principal: &Principal,
        tenant: Option<&TenantSlug>,
        filter: ManifestFilter,
        page: Page,
    ) -> Result<Paged<Manifest>, ServiceError> {
        let tenant_id = match tenant {
            Some(slug) => Some(self.control.tenant_for(principal, slug).await?.1.id),
            None => principal.tenant(),
        };
        let filter = ManifestFilter { tenant_id, ..filter };
        let mut found = self.manifests.manifests(filter, page).await?;
        found.items.retain(|manifest| may_see(principal, manifest));
        Ok(found)
    }

    /// The salt of a manifest's commitment. Callers that may see the manifest may see its salt.
    ///
    /// # Errors
    /// Those of [`Payloads::salt`].
    pub async fn salt(&self, manifest: &Manifest) -> Result<Salt, ServiceError> {
        let control = self.control.current();
        let tenant = control.tenant_by_id(manifest.tenant_id).ok_or_else(|| {
            ServiceError::Unavailable("a manifest's tenant is not in memory".to_owned())
        })?;
        self.payloads.salt(tenant, manifest).await
    }

    /// The key with that hint, PEM, if it verifies manifests; `None` when there is none.
    ///
    /// # Errors
    /// When the store is away, or the key cannot be encoded.
    pub async fn public_key_by(&self, hint: &str) -> Result<Option<String>, ServiceError> {
        let Some(found) = self.keys.find(hint).await? else { return Ok(None) };
        let pem = found.public_key().to_spki_pem();
        pem.map(Some).map_err(|error| ServiceError::Unavailable(error.to_string()))
    }

    /// The key that is to be trusted, PEM: the one that signs manifests, or certifies those that
    /// do.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn public_key_pem(&self) -> Result<String, ServiceError> {
        let pem = self.keys.trusted().to_spki_pem();
        pem.map_err(|error| ServiceError::Unavailable(error.to_string()))
    }
}

/// Whether the principal may see a manifest: one of its tenant, and with a key bound to an agent,
/// of that agent. What cannot be read has no agent.
fn may_see(principal: &Principal, manifest: &Manifest) -> bool {
    let of_agent = || {
        let bundle = Bundle::parse(manifest.bundle.as_bytes()).ok()?;
        let said = Statement::<AgentAction>::parse(bundle.envelope.payload()).ok()?;
        said.predicate().agent.as_deref().map(|agent| principal.may_speak_for(agent))
    };
    principal.may_access(manifest.tenant_id)
        && (principal.agent().is_none() || of_agent() == Some(true))
}

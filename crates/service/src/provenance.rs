//! Signed manifests of what agents did.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::clock::Clock;
use sentinel_core::event::{Bus, Event, ProvenanceEvent};
use sentinel_core::id::{DecisionId, ManifestId, TenantId};
use sentinel_core::log::{LogPlace, NewManifest};
use sentinel_core::manifest::{self, Manifest, ManifestFilter};
use sentinel_core::name::{Action, AgentName, Purpose, TenantSlug, ToolName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::principal::Principal;
use sentinel_core::store::{Store, StoreError};
use sentinel_core::tenant::Tenant;
use sentinel_provenance::log::WitnessPolicy;
use sentinel_provenance::{
    AgentAction, Bundle, DecisionRef, LogTrust, NO_REVISION, PAYLOAD_ROLE, Phase, RecordedDecision,
    Salt, Statement, TenantKey, Trust, Verification, verify_bundle_json,
};
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use crate::ServiceError;
use crate::control::Control;
use crate::group::{Group, GroupWriter, Settled, Waiting, take_within};
use crate::log::{SignedStatement, TransparencyLog, sign_statement};
use crate::payloads::{self, DataKey, Kept, Payloads};
use crate::signing::{KnownKey, SigningKeys};

/// Signs, stores and verifies manifests.
#[derive(Debug)]
pub struct Provenance {
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) log: Arc<TransparencyLog>,
    pub(crate) witnesses: Option<WitnessPolicy>,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) writes: Group<NewManifest, LogPlace>,
}

/// What is to be signed.
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

/// Times that a manifest is made anew because its payload key was destroyed meanwhile.
const ATTEMPTS: u32 = 5;

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
    /// Signs one action and answers when the manifest is durable.
    ///
    /// # Errors
    /// When the tenant, tool or decision is unknown or forbidden, or nothing could be stored.
    pub async fn sign(
        &self,
        principal: &Principal,
        request: SignRequest,
    ) -> Result<Signed, ServiceError> {
        if request.keep_payload && !self.payloads.are_kept() {
            let detail = "this deployment keeps no payloads: `payload_key_file` is not configured";
            return Err(ServiceError::invalid("payloads_not_kept", detail));
        }
        if let Some(agent) = &request.agent
            && !principal.may_speak_for(agent.as_str())
        {
            let detail = format!("the key may not speak for agent `{agent}`");
            return Err(ServiceError::Forbidden { code: "agent_forbidden", detail });
        }
        let (control, tenant) = self.control.tenant_for(principal, &request.tenant).await?;
        let tool = match control.tool(tenant.id, &request.tool) {
            Some(tool) => Arc::clone(tool),
            None => {
                self.control.refresh().await?.tool(tenant.id, &request.tool).cloned().ok_or_else(
                    || {
                        let what = format!("tool `{}` of tenant `{}`", request.tool, tenant.slug);
                        ServiceError::not_found("unknown_tool", what)
                    },
                )?
            }
        };
        let decision = match request.decision_id {
            Some(id) => Some(self.decision_of(id, principal, &tenant, &request).await?),
            None => None,
        };
        let make =
            |key: Option<&DataKey>| self.make(principal, &tenant, &request, decision.as_ref(), key);
        let (place, (manifest, signature, salt)) = self.store_made(tenant.id, make).await?;
        let signed = Signed { manifest, signature, salt, place };
        let event = ProvenanceEvent {
            manifest_id: signed.manifest.id,
            tenant_id: tenant.id,
            tenant: tenant.slug.clone(),
            tool: tool.name.clone(),
            verified: true,
            at: signed.manifest.created_at,
        };
        self.bus.publish(vec![Event::Signed(Arc::new(event))]);
        Ok(signed)
    }

    /// Stores what `make` makes with the payload key of a tenant. Makes another one when the key was
    /// destroyed in between: nothing is stored under that.
    pub(crate) async fn store_made<T>(
        &self,
        tenant: TenantId,
        make: impl Fn(Option<&DataKey>) -> Result<(NewManifest, T), ServiceError>,
    ) -> Result<(LogPlace, T), ServiceError> {
        for _ in 0..ATTEMPTS {
            let key = self.payloads.current(tenant).await?;
            let (new, made) = make(key.as_deref())?;
            match (self.writes.submit(new).await, key) {
                // Perhaps that of another tenant, whose manifest was to be written together with it.
                (Err(ServiceError::Gone { .. }), Some(key)) => {
                    self.payloads.look_again(&key).await?;
                }
                (stored, _) => return Ok((stored?, made)),
            }
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }

    /// Whether manifests can still be written.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.writes.is_running()
    }

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

    /// Verifies a manifest with its place in the log, as a verifier elsewhere would, by the key that
    /// it names, if a trusted one vouches for that.
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
        let found = self.store.manifest(id).await?;
        Ok(found.filter(|manifest| may_see(principal, manifest)))
    }

    /// Manifests that match, newest first. A page can hold fewer than were asked for, or none, though
    /// more follow: a key bound to an agent sees that agent's only.
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
        let mut found = self.store.manifests(ManifestFilter { tenant_id, ..filter }, page).await?;
        found.items.retain(|manifest| may_see(principal, manifest));
        Ok(found)
    }

    /// The salt of a manifest's commitment, for whoever may see the manifest.
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

    /// The key that is to be trusted, PEM: the one that signs manifests, or certifies those that do.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn public_key_pem(&self) -> Result<String, ServiceError> {
        let pem = self.keys.trusted().to_spki_pem();
        pem.map_err(|error| ServiceError::Unavailable(error.to_string()))
    }

    /// The decision that the action rests on. Only the principal and the agent that it was made for
    /// can sign what became of it, and only as what was decided on.
    async fn decision_of(
        &self,
        id: DecisionId,
        principal: &Principal,
        tenant: &Tenant,
        request: &SignRequest,
    ) -> Result<DecisionRecord, ServiceError> {
        let found = self.store.decision(id).await?;
        let own = found.filter(|decision| decision.tenant_id == Some(tenant.id));
        let decision = own.ok_or_else(|| {
            ServiceError::not_found("unknown_decision", format!("decision `{id}`"))
        })?;
        let mut other = Vec::new();
        let mut demand = |name, agrees: bool| other.extend((!agrees).then_some(name));
        demand("tool", decision.tool == request.tool);
        demand("action", decision.action == request.action);
        demand("purpose", request.purpose.is_none() || decision.purpose == request.purpose);
        demand("agent", agent_agrees(principal, request.agent.as_ref(), decision.agent.as_ref()));
        demand("principal", decision.principal == principal.id());
        if other.is_empty() {
            return Ok(decision);
        }
        let detail = format!(
            "decision `{id}` was made for another {}; sign with what the call was checked with",
            other.join(", ")
        );
        Err(ServiceError::conflict("decision_mismatch", detail))
    }

    fn make(
        &self,
        principal: &Principal,
        tenant: &Tenant,
        request: &SignRequest,
        decision: Option<&DecisionRecord>,
        key: Option<&DataKey>,
    ) -> Result<(NewManifest, (Manifest, String, Salt)), ServiceError> {
        let id = ManifestId(Uuid::now_v7());
        let salt = salt_of(tenant, id, key);
        let digest = salt.commit(&request.payload);
        // Before the time is taken, which the certificate of the key must cover.
        let signer = self.keys.current()?;
        let created_at = self.clock.now();
        let agent = match decision {
            Some(decision) => decision.agent.as_ref(),
            None => request.agent.as_ref().or(principal.agent()),
        };
        let decided = decision.and_then(|decision| decision.purpose.as_ref());
        let purpose = request.purpose.as_ref().or(decided);
        let action = AgentAction {
            id: id.0,
            phase: Phase::Outcome,
            timestamp: created_at,
            tenant: tenant.slug.to_string(),
            tool: request.tool.to_string(),
            action: request.action.to_string(),
            purpose: purpose.map(ToString::to_string),
            agent: agent.map(ToString::to_string),
            principal: principal.id(),
            decision: decision.map(decision_ref),
            checkpoint: self.log.seen_checkpoint(),
            metadata: request.metadata.clone(),
        };
        let SignedStatement { bundle, leaf, signature } =
            sign_statement(action, digest, signer.as_ref())?;
        let manifest = Manifest {
            id,
            tenant_id: tenant.id,
            tool: request.tool.clone(),
            action: request.action.clone(),
            purpose: purpose.cloned(),
            decision_id: request.decision_id,
            payload_digest: *digest.as_bytes(),
            bundle,
            created_at,
            phase: manifest::Phase::Outcome,
            key_generation: key.map(|key| key.generation),
            place: None,
        };
        let key = key.filter(|_| request.keep_payload);
        let payload = key.map(|key| payloads::sealed(key, id, &request.payload)).transpose()?;
        let new = NewManifest { manifest: manifest.clone(), leaf, payload };
        Ok((new, (manifest, signature, salt)))
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
        if let Some(decision) = self.store.decision(id).await? {
            let Some(said) = said else { return Ok(DecisionLink::Differs(vec!["statement"])) };
            let differing = said.predicate().differs_from(&recorded(&decision));
            let holds = DecisionLink::Holds { allowed: decision.allow };
            return Ok(if differing.is_empty() { holds } else { DecisionLink::Differs(differing) });
        }
        // Its identifier begins with its time.
        let at = id.0.get_timestamp().and_then(|at| {
            let (seconds, nanoseconds) = at.to_unix();
            let seconds = i64::try_from(seconds).ok()?;
            Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
        });
        match at {
            Some(at) if self.store.has_archived(at).await? => Ok(DecisionLink::Archived),
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

/// Whether the principal may see a manifest: one of its tenant, and with a key bound to an agent, of
/// that agent. What cannot be read has no agent.
fn may_see(principal: &Principal, manifest: &Manifest) -> bool {
    let of_agent = || {
        let bundle = Bundle::parse(manifest.bundle.as_bytes()).ok()?;
        let said = Statement::<AgentAction>::parse(bundle.envelope.payload()).ok()?;
        said.predicate().agent.as_deref().map(|agent| principal.may_speak_for(agent))
    };
    principal.may_access(manifest.tenant_id)
        && (principal.agent().is_none() || of_agent() == Some(true))
}

/// Whether the caller may sign for the agent that was decided on.
fn agent_agrees(
    principal: &Principal,
    stated: Option<&AgentName>,
    decided: Option<&AgentName>,
) -> bool {
    let stated = stated.or(principal.agent());
    match (stated, decided) {
        // A caller that is bound to no agent may leave out what the decision says.
        (None, _) => true,
        (Some(stated), Some(decided)) => stated.as_str().eq_ignore_ascii_case(decided.as_str()),
        (Some(_), None) => false,
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

/// The salt of a manifest, by the tenant's payload key, or by its secret where there is none.
pub(crate) fn salt_of(tenant: &Tenant, id: ManifestId, key: Option<&DataKey>) -> Salt {
    if let Some(key) = key {
        return key.salt(id);
    }
    Salt::derive(&TenantKey::new(&tenant.secret.0), &id.to_string(), PAYLOAD_ROLE)
}

pub(crate) fn decision_ref(decision: &DecisionRecord) -> DecisionRef {
    DecisionRef {
        id: decision.id.0,
        allow: decision.allow,
        policy_revision: decision.policy_revision.as_deref().unwrap_or(NO_REVISION).to_owned(),
        code: Some(decision.code.as_str().to_owned()),
    }
}

/// Writes manifests in groups.
#[derive(Debug)]
pub(crate) struct ManifestWriter {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<TransparencyLog>,
}

/// How long manifests wait while the log goes on in its next shard, and how often that is looked
/// for.
const PATIENCE: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(20);

/// Bytes that one write stores at most. Kept payloads are large, and a write that the database
/// refuses or is too slow for fails for all who are in it.
const GROUP_BYTES: usize = 16 << 20;

impl ManifestWriter {
    async fn insert(&self, manifests: Vec<NewManifest>) -> Result<Vec<LogPlace>, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.store.insert_manifests(manifests.clone()).await {
                Err(StoreError::NoOpenShard) if Instant::now() < deadline => {
                    tokio::time::sleep(GLANCE).await;
                }
                answer => return answer,
            }
        }
    }
}

#[async_trait]
impl GroupWriter for ManifestWriter {
    type Item = NewManifest;
    type Answer = LogPlace;

    async fn write(
        &self,
        queue: &mut Vec<Waiting<NewManifest, LogPlace>>,
    ) -> Vec<Settled<LogPlace>> {
        let (manifests, answers): (Vec<_>, Vec<_>) =
            take_within(queue, GROUP_BYTES, NewManifest::bytes)
                .into_iter()
                .map(|waiting| (waiting.item, waiting.answer))
                .unzip();
        match self.insert(manifests).await {
            Ok(places) => {
                self.log.note_appended(places.len());
                answers.into_iter().zip(places.into_iter().map(Ok)).collect()
            }
            Err(error) => {
                tracing::error!(%error, manifests = answers.len(), "manifests were not stored");
                let error = ServiceError::from(error);
                answers.into_iter().map(|answer| (answer, Err(error.clone()))).collect()
            }
        }
    }
}

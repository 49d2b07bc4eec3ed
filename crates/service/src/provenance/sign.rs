//! Signing what an agent did.

use std::sync::Arc;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::event::{Event, ProvenanceEvent};
use sentinel_core::id::{DecisionId, ManifestId, TenantId};
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::{self, Manifest, NewManifest};
use sentinel_core::name::AgentName;
use sentinel_core::principal::Principal;
use sentinel_core::tenant::Tenant;
use sentinel_provenance::{
    AgentAction, DecisionRef, NO_REVISION, PAYLOAD_ROLE, Phase, Salt, TenantKey,
};

use super::{Provenance, SignRequest, Signed, once};
use crate::ServiceError;
use crate::ids::new_id;
use crate::log::{SignedStatement, sign_statement};
use crate::payloads::{self, DataKey};

/// Times that a manifest is made again because its payload key was destroyed meanwhile.
const ATTEMPTS: u32 = 5;

impl Provenance {
    /// Signs one action; returns when the manifest is durable.
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
        let once = once::manifest_id(principal, &request)?;
        if let Some(id) = once
            && let Some(signed) = self.signed_earlier(&tenant, id, &request.payload).await?
        {
            return Ok(signed);
        }
        let make = |key: Option<&DataKey>| {
            self.make(principal, &tenant, &request, (decision.as_deref(), once), key)
        };
        let stored = self.store_made(tenant.id, make).await;
        if let Some(id) = once.filter(|_| once::is_stored(&stored))
            && let Some(signed) = self.signed_earlier(&tenant, id, &request.payload).await?
        {
            return Ok(signed);
        }
        let (place, (manifest, signature, salt)) = stored?;
        let signed = Signed { manifest, signature, salt, place };
        if let Some(decision) = &decision {
            self.elsewhere.end(decision.id);
        }
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

    /// Stores what `make` makes with the payload key of a tenant. Makes another one when the key
    /// was destroyed in between: nothing is stored under a destroyed key.
    pub(crate) async fn store_made<T>(
        &self,
        tenant: TenantId,
        make: impl Fn(Option<&DataKey>) -> Result<(NewManifest, T), ServiceError>,
    ) -> Result<(LogPlace, T), ServiceError> {
        for _ in 0..ATTEMPTS {
            let key = self.payloads.current(tenant).await?;
            let (new, made) = make(key.as_deref())?;
            match (self.writes.submit(new).await, key) {
                // It may be the key of another tenant, whose manifest was to be written together
                // with this one.
                (Err(ServiceError::Gone { .. }), Some(key)) => {
                    self.payloads.look_again(&key).await?;
                }
                (stored, _) => return Ok((stored?, made)),
            }
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }

    /// The decision that the action rests on. Only the principal and the agent that it was made for
    /// can sign what became of it, and only as what was decided on.
    async fn decision_of(
        &self,
        id: DecisionId,
        principal: &Principal,
        tenant: &Tenant,
        request: &SignRequest,
    ) -> Result<Arc<DecisionRecord>, ServiceError> {
        let found = match request.decision.as_ref().filter(|decision| decision.id == id) {
            Some(known) => Some(Arc::clone(known)),
            None => self.decisions.decision(id).await?.map(Arc::new),
        };
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
        (decision, once): (Option<&DecisionRecord>, Option<ManifestId>),
        key: Option<&DataKey>,
    ) -> Result<(NewManifest, (Manifest, String, Salt)), ServiceError> {
        // Before the time is taken, which the certificate of the key must cover.
        let signer = self.keys.current()?;
        let created_at = self.clock.now();
        let id = once.unwrap_or_else(|| ManifestId(new_id(created_at)));
        let salt = salt_of(tenant, id, key);
        let digest = salt.commit(&request.payload);
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

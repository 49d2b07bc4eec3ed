//! Signed statements of what was decided, made before the caller hears of it.

use std::sync::Arc;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::id::ManifestId;
use sentinel_core::manifest::{self, Manifest, ManifestFilter, NewManifest};
use sentinel_core::page::Page;
use sentinel_core::tenant::Tenant;
use sentinel_provenance::{AgentAction, Phase};
use serde_json::Map;

use crate::ServiceError;
use crate::ids::new_id;
use crate::log::{SignedStatement, sign_statement};
use crate::payloads::DataKey;
use crate::provenance::{Provenance, decision_ref, salt_of};

/// Which decisions are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attest {
    /// None: decisions are recorded, and the manifests of what became of them name them.
    #[default]
    Off,
    Denials,
    All,
}

/// Signs decisions. A statement is on disk before its decision is returned, so a caller never holds
/// a permit that the log does not know.
#[derive(Debug)]
pub(crate) struct Attestor {
    pub(crate) which: Attest,
    pub(crate) provenance: Arc<Provenance>,
}

impl Attestor {
    /// Signs a decision, if it is to be signed; returns the manifest. A decision that was
    /// `replayed` may have its manifest already. One about a tenant that does not exist is not
    /// signed.
    ///
    /// # Errors
    /// When it cannot be signed or stored: then the decision must not be acted on.
    pub(crate) async fn attest(
        &self,
        decision: &DecisionRecord,
        replayed: bool,
    ) -> Result<Option<ManifestId>, ServiceError> {
        match self.which {
            // A self-test is not a call, so it is not in the log.
            _ if decision.is_self_test() => return Ok(None),
            Attest::Off => return Ok(None),
            Attest::Denials if decision.allow => return Ok(None),
            Attest::Denials | Attest::All => {}
        }
        if replayed && let Some(id) = self.earlier(decision).await? {
            return Ok(Some(id));
        }
        let control = self.provenance.control.current();
        let tenant = decision.tenant_id.and_then(|id| control.tenant_by_id(id));
        let Some(tenant) = tenant else { return Ok(None) };
        let make = |key: Option<&DataKey>| self.make(tenant, decision, key);
        let (_, id) = self.provenance.store_made(tenant.id, make).await?;
        Ok(Some(id))
    }

    async fn earlier(&self, decision: &DecisionRecord) -> Result<Option<ManifestId>, ServiceError> {
        let filter = ManifestFilter {
            tenant_id: decision.tenant_id,
            decision_id: Some(decision.id),
            phase: Some(manifest::Phase::Decision),
            ..ManifestFilter::default()
        };
        let found = self.provenance.manifests.manifests(filter, Page::first(1)).await?;
        Ok(found.items.first().map(|manifest| manifest.id))
    }

    /// Commits to the hash of the arguments, which the audit record has too.
    fn make(
        &self,
        tenant: &Tenant,
        decision: &DecisionRecord,
        key: Option<&DataKey>,
    ) -> Result<(NewManifest, ManifestId), ServiceError> {
        let provenance = &self.provenance;
        // Before the time is taken, which the certificate of the key must cover.
        let signer = provenance.keys.current()?;
        let created_at = provenance.clock.now();
        let id = ManifestId(new_id(created_at));
        let digest = salt_of(tenant, id, key).commit(decision.argument_hash.to_string().as_bytes());
        let action = AgentAction {
            id: id.0,
            phase: Phase::Decision,
            timestamp: created_at,
            tenant: tenant.slug.to_string(),
            tool: decision.tool.to_string(),
            action: decision.action.to_string(),
            purpose: decision.purpose.as_ref().map(ToString::to_string),
            agent: decision.agent.as_ref().map(ToString::to_string),
            principal: decision.principal.clone(),
            decision: Some(decision_ref(decision)),
            checkpoint: provenance.log.seen_checkpoint(),
            metadata: Map::new(),
        };
        let SignedStatement { bundle, leaf, .. } = sign_statement(action, digest, signer.as_ref())?;
        let manifest = Manifest {
            id,
            tenant_id: tenant.id,
            tool: decision.tool.clone(),
            action: decision.action.clone(),
            purpose: decision.purpose.clone(),
            decision_id: Some(decision.id),
            payload_digest: *digest.as_bytes(),
            bundle,
            created_at,
            phase: manifest::Phase::Decision,
            key_generation: key.map(|key| key.generation),
            place: None,
        };
        Ok((NewManifest { manifest, leaf, payload: None }, id))
    }
}

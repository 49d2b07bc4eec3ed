//! Outcomes that are signed once, however often the caller asks.
//!
//! The identifier of such a manifest follows from its decision, its caller and the caller's key. A
//! second manifest of that identifier cannot be stored, by any replica, so the key needs no record
//! of its own and never expires.

use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::manifest::Manifest;
use sentinel_core::principal::Principal;
use sentinel_core::tenant::Tenant;
use sentinel_provenance::Bundle;

use super::{Provenance, SignRequest, Signed};
use crate::ServiceError;
use crate::error::MANIFEST_EXISTS;
use crate::ids::derived_id;

/// The identifier of the manifest that a request asks for; `None` when it asks for a new one.
pub(super) fn manifest_id(
    principal: &Principal,
    request: &SignRequest,
) -> Result<Option<ManifestId>, ServiceError> {
    let Some(key) = &request.idempotency_key else { return Ok(None) };
    let Some(DecisionId(decision)) = request.decision_id else {
        let detail = "`idempotency_key` needs the `decision_id` whose outcome is signed";
        return Err(ServiceError::invalid("decision_id_missing", detail));
    };
    let caller = principal.id();
    Ok(Some(ManifestId(derived_id(decision, &[caller.as_bytes(), key.as_str().as_bytes()]))))
}

/// Whether a manifest of that identifier was stored meanwhile.
pub(super) fn is_stored<T>(stored: &Result<T, ServiceError>) -> bool {
    matches!(stored, Err(ServiceError::Conflict { code: MANIFEST_EXISTS, .. }))
}

impl Provenance {
    /// The manifest of that identifier, if it is there and of the same payload.
    pub(super) async fn signed_earlier(
        &self,
        tenant: &Tenant,
        id: ManifestId,
        payload: &[u8],
    ) -> Result<Option<Signed>, ServiceError> {
        let Some(manifest) = self.manifests.manifest(id).await? else { return Ok(None) };
        let salt = self.payloads.salt(tenant, &manifest).await?;
        if manifest.tenant_id != tenant.id
            || *salt.commit(payload).as_bytes() != manifest.payload_digest
        {
            let detail = "this `idempotency_key` was used for another payload; nothing was signed";
            return Err(ServiceError::conflict("idempotency_conflict", detail));
        }
        let place =
            manifest.place.ok_or_else(|| broken(&manifest, "it has no place in the log"))?;
        let bundle = Bundle::parse(manifest.bundle.as_bytes());
        let bundle = bundle.map_err(|error| broken(&manifest, &error.to_string()))?;
        let signature = bundle.envelope.signature().to_base64();
        Ok(Some(Signed { manifest, signature, salt, place }))
    }
}

fn broken(manifest: &Manifest, why: &str) -> ServiceError {
    ServiceError::Unavailable(format!("manifest `{}`: {why}", manifest.id))
}

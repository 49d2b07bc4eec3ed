//! `GET /provenance/verify/{id}`: verifies a manifest. Roles: agent, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{self as api, CheckOutcome, Manifest, VerifyAnswer, payload_hash};
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;
use sentinel_provenance::{AgentAction, Check, CheckName, Outcome};
use sentinel_service::payloads::Kept;
use sentinel_service::provenance::{DecisionLink, Verified};
use serde_json::Map;

use crate::app::Shared;

/// Verify a manifest
///
/// Verifies a stored manifest with the public key of this deployment. Where the payload is not
/// kept, or was destroyed, its commitment is `skipped`; verify it offline with the bundle, the salt
/// and the payload.
///
/// Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's manifests.
#[utoipa::path(
    get, path = "/provenance/verify/{id}", tag = "provenance",
    params(("id" = uuid::Uuid, Path, description = "the manifest")),
    responses((status = 200, description = "what verifying it showed", body = VerifyAnswer)),
)]
pub(crate) async fn provenance_verify(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ManifestId>,
) -> Result<Json<VerifyAnswer>, Problem> {
    caller.require(&[Role::Agent, Role::Auditor])?;
    let verified = app.services.provenance.verify(caller.principal(), id).await?;
    let verified =
        verified.ok_or_else(|| Problem::not_found("unknown_manifest", "manifest", &id))?;
    let control = app.services.control.current();
    let tenant = control.tenant_by_id(verified.manifest.tenant_id);
    let tenant = tenant.map(|tenant| tenant.slug.to_string());
    Ok(Json(VerifyAnswer {
        manifest_id: id,
        verified: verified.verified(),
        checks: checks(&verified),
        manifest: shown(verified, tenant),
    }))
}

fn checks(verified: &Verified) -> Vec<api::Check> {
    let of_bundle = verified.verification.checks().iter().map(|check| {
        let (outcome, detail) = match check.name {
            CheckName::PayloadCommitment => commitment(check, &verified.kept),
            _ => (check.outcome, check.detail.clone()),
        };
        shown_check(check.name.as_str(), outcome, detail)
    });
    let detail = match verified.record_match {
        Some(true) => "the manifest is stored under what its statement says",
        Some(false) => "the manifest is stored under something else than its statement says",
        None => "there is no sound statement to compare",
    };
    let record = shown_check("record_match", outcome(verified.record_match), detail.to_owned());
    of_bundle.chain([record, link(&verified.decision_link)]).collect()
}

fn shown_check(name: &'static str, outcome: Outcome, detail: String) -> api::Check {
    let outcome = match outcome {
        Outcome::Passed => CheckOutcome::Passed,
        Outcome::Failed => CheckOutcome::Failed,
        Outcome::Skipped => CheckOutcome::Skipped,
    };
    api::Check { name: name.into(), outcome, detail }
}

fn link(link: &DecisionLink) -> api::Check {
    let (outcome, detail) = match link {
        DecisionLink::Holds { allowed: true } => {
            (Outcome::Passed, "the decision is recorded as it was signed: an allow".to_owned())
        }
        DecisionLink::Holds { allowed: false } => {
            (Outcome::Passed, "the decision is recorded as it was signed: a DENY".to_owned())
        }
        DecisionLink::Missing => (Outcome::Failed, "the decision is not recorded".to_owned()),
        DecisionLink::Differs(fields) => {
            let fields = fields.join(", ");
            (Outcome::Failed, format!("the decision is recorded otherwise than signed: {fields}"))
        }
        DecisionLink::NoDecision => (Outcome::Skipped, "the manifest names no decision".to_owned()),
        DecisionLink::Archived => {
            let detail = "the decisions of that month are archived: not checked here";
            (Outcome::Skipped, detail.to_owned())
        }
    };
    shown_check("decision_link", outcome, detail)
}

/// Why the payload was not compared, where it was not.
fn commitment(check: &Check, kept: &Kept) -> (Outcome, String) {
    let detail = match kept {
        Kept::Payload(_) => return (check.outcome, check.detail.clone()),
        Kept::No => "the payload is not kept here".to_owned(),
        Kept::Destroyed { tombstone: Some(id) } => {
            format!("the payload was destroyed, see tombstone `{id}`")
        }
        Kept::Destroyed { tombstone: None } => {
            return (Outcome::Failed, "the payload was destroyed without a tombstone".to_owned());
        }
        Kept::Broken => {
            let detail = "what is kept as the payload was not sealed for this manifest";
            return (Outcome::Failed, detail.to_owned());
        }
    };
    (check.outcome, detail)
}

const fn outcome(holds: Option<bool>) -> Outcome {
    match holds {
        Some(true) => Outcome::Passed,
        Some(false) => Outcome::Failed,
        None => Outcome::Skipped,
    }
}

fn shown(verified: Verified, tenant: Option<String>) -> Manifest {
    let Verified { manifest, verification, signature, .. } = verified;
    let stored_hash = payload_hash(&manifest);
    let Some(statement) = verification.statement() else {
        return Manifest {
            id: manifest.id,
            timestamp: manifest.created_at,
            tenant,
            tool: manifest.tool.to_string(),
            action: manifest.action.to_string(),
            purpose: manifest.purpose.map(String::from),
            agent: None,
            principal: None,
            payload_hash: stored_hash,
            signature,
            metadata: Map::new(),
            decision_id: manifest.decision_id,
            decision_allow: None,
            phase: None,
        };
    };
    let payload_hash = format!("sha256:{}", statement.subject_digest().to_hex());
    let AgentAction { id, timestamp, tenant, tool, action, purpose, agent, principal, .. } =
        statement.predicate().clone();
    let metadata = statement.predicate().metadata.clone();
    let decision = statement.predicate().decision.as_ref();
    Manifest {
        id: ManifestId(id),
        timestamp,
        tenant: Some(tenant),
        tool,
        action,
        purpose,
        agent,
        principal: Some(principal),
        payload_hash,
        signature,
        metadata,
        decision_id: decision.map(|decision| DecisionId(decision.id)),
        decision_allow: decision.map(|decision| decision.allow),
        phase: Some(statement.predicate().phase.as_str().into()),
    }
}

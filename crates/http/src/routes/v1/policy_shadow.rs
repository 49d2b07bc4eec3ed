//! `GET /v1/policy/shadow`: compares the shadow engine.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use sentinel_api::Reason;
use sentinel_core::principal::Role;
use sentinel_core::quota::Quota;
use sentinel_core::shadow::{Disagreement, ShadowAnswer, ShadowReport};
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;

/// How the shadow engine compares with the one that decides, since the start of this server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shadow)]
pub(crate) struct Comparison<'a> {
    /// Whether an engine is compared at all.
    compared: bool,
    agreed: u64,
    disagreed: u64,
    /// The shadow engine gave no answer.
    errors: u64,
    /// Not compared, since too many waited or the input was too large.
    dropped: u64,
    /// The latest, newest first; never more than 200.
    disagreements: Vec<Different<'a>>,
}

/// One call on which they disagree; nothing of its arguments is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShadowDisagreement)]
pub(crate) struct Different<'a> {
    at: Timestamp,
    tenant: &'a str,
    tool: &'a str,
    /// SHA-256 of the canonical form of what policy saw.
    input_hash: &'a str,
    /// What counted.
    decided: Side<'a>,
    shadow: Side<'a>,
}

/// What one engine answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShadowSide)]
pub(crate) struct Side<'a> {
    allow: bool,
    reasons: Vec<Reason<'a>>,
    #[schema(value_type = Option<Object>)]
    quota: Option<&'a Quota>,
    /// Each as JSON.
    obligations: &'a [String],
    /// Why there is no decision.
    error: Option<&'a str>,
    revision: Option<&'a str>,
}

/// Compare the shadow engine
///
/// What the shadow engine answered differently; it has no influence on decisions.
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policy/shadow", tag = "policy",
    responses((status = 200, description = "the comparison", body = Comparison)),
)]
pub(crate) async fn policy_shadow(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<axum::response::Response, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let report = app.services.policy.shadow();
    Ok(axum::response::IntoResponse::into_response(Json(comparison(report.as_ref()))))
}

fn comparison(report: Option<&ShadowReport>) -> Comparison<'_> {
    let counts = report.map(|report| report.counts).unwrap_or_default();
    Comparison {
        compared: report.is_some(),
        agreed: counts.agreed,
        disagreed: counts.disagreed,
        errors: counts.errors,
        dropped: counts.dropped,
        disagreements: report.into_iter().flat_map(|r| &r.disagreements).map(different).collect(),
    }
}

fn different(of: &Disagreement) -> Different<'_> {
    Different {
        at: of.at,
        tenant: of.tenant.as_str(),
        tool: of.tool.as_str(),
        input_hash: &of.input_hash,
        decided: side(&of.decided),
        shadow: side(&of.shadow),
    }
}

fn side(answer: &ShadowAnswer) -> Side<'_> {
    Side {
        allow: answer.allow,
        reasons: answer.reasons.iter().map(Reason::from).collect(),
        quota: answer.quota.as_ref(),
        obligations: &answer.obligations,
        error: answer.error.as_deref(),
        revision: answer.revision.as_deref(),
    }
}

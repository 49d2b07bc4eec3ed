//! The one function by which every way in asks for a decision.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use http::request::Parts;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::id::ManifestId;
use sentinel_core::principal::{Principal, Role};

use crate::app::Shared;
use crate::auth::Caller;
use crate::deadline;
use crate::problem::Problem;
use crate::request_id::Received;

/// A caller that may ask for decisions, and the request in which it asks. As a handler's argument
/// it refuses callers of other roles.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) principal: Principal,
    pub(crate) request_id: Arc<str>,
    pub(crate) arrived: Instant,
    /// When the caller stops waiting, if it said so.
    pub(crate) deadline: Option<Instant>,
}

impl FromRequestParts<Shared> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let Received { id, at } = Received::of(parts);
        let deadline = deadline::of(&parts.headers, at)?;
        caller.require(&[Role::Agent])?;
        let principal = caller.into_principal();
        Ok(Self { principal, request_id: id.0, arrived: at, deadline })
    }
}

/// A decision on disk, and the token that goes with an allow.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) decision: Arc<DecisionRecord>,
    pub(crate) permit: Option<String>,
    pub(crate) manifest_id: Option<ManifestId>,
}

impl Asked {
    /// Whether the call may be made. An allow without a permit is a deny, since the permit is what
    /// proves it.
    pub(crate) fn allows(&self) -> bool {
        self.decision.allow && self.permit.is_some()
    }
}

/// Has the call decided and recorded, on the one enforcement path, and counts it in the metrics.
pub(crate) async fn ask(app: &Shared, request: CheckRequest) -> Result<Asked, Problem> {
    let arrived = request.arrived;
    let checked = app.services.checker.check(request).await?;
    app.metrics.checked(&checked.decision, arrived.elapsed());
    let permit = checked.permit.as_ref().map(|permit| app.services.checker.token(permit));
    Ok(Asked { decision: checked.decision, permit, manifest_id: checked.manifest_id })
}

//! The one function by which every way in asks for a decision.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use http::request::Parts;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::id::ManifestId;
use sentinel_core::principal::{Principal, Role};
use sentinel_service::ServiceError;
use sentinel_service::check::Checked;

use crate::auth::Caller;
use crate::deadline;
use crate::front_door::{BehindFrontDoor, FrontDoor};
use crate::problem::Problem;
use crate::received::Received;

/// A caller that may ask for decisions, and the request in which it asks. As a handler's argument
/// it refuses callers of other roles.
#[derive(Debug, Clone)]
pub struct Asker {
    pub principal: Principal,
    pub request_id: Arc<str>,
    pub arrived: Instant,
    /// When the caller stops waiting, if it said so.
    pub deadline: Option<Instant>,
}

impl<S: BehindFrontDoor> FromRequestParts<S> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::authenticate(state.front_door(), parts)?;
        let Received { id, at } = Received::of(parts);
        let deadline = deadline::of(&parts.headers, at)?;
        caller.require(&[Role::Agent])?;
        let principal = caller.into_principal();
        Ok(Self { principal, request_id: id.0, arrived: at, deadline })
    }
}

/// A decision on disk, and the token that goes with an allow.
#[derive(Debug)]
pub struct Asked {
    pub decision: Arc<DecisionRecord>,
    pub permit: Option<String>,
    pub manifest_id: Option<ManifestId>,
}

impl Asked {
    /// Whether the call may be made. An allow without a permit is a deny, since the permit is what
    /// proves it.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.decision.allow && self.permit.is_some()
    }
}

/// Has the call decided and recorded, on the one enforcement path, and counts it in the metrics.
///
/// # Errors
/// When no decision could be recorded; nothing is allowed then.
pub async fn ask(door: &FrontDoor, request: CheckRequest) -> Result<Asked, Problem> {
    let checked = ask_to_forward(door, request).await?;
    let permit = checked.permit.as_ref().map(|permit| door.services.checker.token(permit));
    Ok(Asked { decision: checked.decision, permit, manifest_id: checked.manifest_id })
}

/// As [`ask`], for what forwards the call itself: it takes the permit in place of a token.
///
/// # Errors
/// As [`ask`].
pub async fn ask_to_forward(
    door: &FrontDoor,
    request: CheckRequest,
) -> Result<Checked, ServiceError> {
    let arrived = request.arrived;
    let checked = door.services.checker.check(request).await?;
    door.traffic.checked(&checked.decision, arrived.elapsed());
    Ok(checked)
}

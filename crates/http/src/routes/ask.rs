//! What every endpoint has in common that has a call decided.

use std::sync::Arc;
use std::time::Instant;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::id::ManifestId;

use crate::app::Shared;
use crate::problem::Problem;

/// A decision on disk, and the token that goes with an allow.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) decision: Arc<DecisionRecord>,
    pub(crate) permit: Option<String>,
    pub(crate) manifest_id: Option<ManifestId>,
}

impl Asked {
    /// An allow without a permit could not be made good, so it is none.
    pub(crate) fn allows(&self) -> bool {
        self.decision.allow && self.permit.is_some()
    }
}

/// Has the call decided and recorded, on the one path there is, and counts it in the metrics.
pub(crate) async fn ask(
    app: &Shared,
    request: CheckRequest,
    arrived: Instant,
) -> Result<Asked, Problem> {
    let checked = app.services.checker.check(request).await?;
    app.metrics.checked(&checked.decision, arrived.elapsed());
    let permit = checked.permit.as_ref().map(|permit| app.services.checker.token(permit));
    Ok(Asked { decision: checked.decision, permit, manifest_id: checked.manifest_id })
}

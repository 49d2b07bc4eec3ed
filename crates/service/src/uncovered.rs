//! Calls that reached a tool without Sentinel, as the tool's server reports them.

use std::sync::Arc;

use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::commit::Outcome;
use sentinel_core::decision::{Verdict, resolve};
use sentinel_core::id::DecisionId;

use crate::ServiceError;
use crate::check::{ATTEMPTS, Checker, Decided};
use crate::ids::new_id;

impl Checker {
    /// Records that a call was refused by the server of its tool, as a deny with the code
    /// `no_permit`. The principal of the request is the server that reports it, not the caller,
    /// which is unknown. The tool need not be registered: a server may offer more than that.
    ///
    /// # Errors
    /// When the tenant is unknown or forbidden, or nothing could be recorded.
    pub async fn report_uncovered(
        &self,
        request: CheckRequest,
        why: &str,
    ) -> Result<Arc<DecisionRecord>, ServiceError> {
        let _place = self.places.try_acquire().map_err(|_| ServiceError::Overloaded)?;
        self.control.tenant_for(&request.principal, &request.tenant).await?;
        for _ in 0..ATTEMPTS {
            let control = self.control.current();
            let (subject, at) = (resolve(&request, &control), self.clock.now());
            let (id, verdict) = (DecisionId(new_id(at)), Verdict::no_permit(why));
            let decided = Decided { id, at, subject, verdict, counter: None, repeats: None };
            let pending = Box::new(decided.pending(&request, &control));
            if let Outcome::Recorded(record) = self.commits.submit(pending).await? {
                return Ok(record);
            }
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }
}

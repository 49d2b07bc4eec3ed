//! The one time that a request may be written.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Failure;
use crate::authority::{Grant, Started, Withdrawn};

const WAITING: u8 = 0;
/// The authority is being asked; nothing has been written.
const ASKING: u8 = 1;
const STARTED: u8 = 2;

/// A grant on its way to where the bytes are written.
#[derive(Debug)]
pub(super) struct Ticket {
    grant: Grant,
    state: AtomicU8,
}

impl Ticket {
    pub(super) fn new(grant: Grant) -> Self {
        Self { grant, state: AtomicU8::new(WAITING) }
    }

    /// Called when the bytes are about to be written, which they are only if this succeeds. What it
    /// returns is held until they are. What was decided is written once: a second start fails, so
    /// no call is ever sent again.
    pub(super) async fn start(&self) -> Result<Started, Failure> {
        let first =
            self.state.compare_exchange(WAITING, ASKING, Ordering::SeqCst, Ordering::SeqCst);
        if first.is_err() && !self.grant.is_lifecycle() {
            let detail = "a call is sent once only".to_owned();
            return Err(Failure { code: "withdrawn", detail, may_have_run: self.has_started() });
        }
        let started = self.grant.start().await.map_err(not_started)?;
        self.state.store(STARTED, Ordering::SeqCst);
        Ok(started)
    }

    /// Whether bytes may have been written.
    pub(super) fn has_started(&self) -> bool {
        self.state.load(Ordering::SeqCst) == STARTED
    }

    /// Completes when the call is withdrawn.
    pub(super) async fn withdrawn(&self) -> Withdrawn {
        self.grant.withdrawn().await
    }

    pub(super) fn was_withdrawn(&self) -> bool {
        self.grant.withdrawal().get().is_some()
    }

    pub(super) fn is_lifecycle(&self) -> bool {
        self.grant.is_lifecycle()
    }
}

fn not_started(why: Withdrawn) -> Failure {
    Failure { code: "withdrawn", detail: why.reason, may_have_run: false }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::authority::{InFlight, Withdrawal};

    #[derive(Debug)]
    struct Allowed;

    #[async_trait]
    impl InFlight for Allowed {
        async fn start(&self) -> Result<Started, Withdrawn> {
            Ok(Started::free())
        }

        fn withdrawal(&self) -> Withdrawal {
            Withdrawal::default()
        }
    }

    #[tokio::test]
    async fn a_list_may_be_written_again_and_a_call_may_not() {
        for (grant, again) in [(Grant::lifecycle(), true), (Grant::new(Box::new(Allowed)), false)] {
            let ticket = Ticket::new(grant);
            assert!(!ticket.has_started());
            assert!(ticket.start().await.is_ok() && ticket.has_started());
            assert_eq!(ticket.start().await.is_ok(), again);
        }
    }
}

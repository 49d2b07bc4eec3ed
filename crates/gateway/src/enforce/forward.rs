//! Sending an allowed call, and ending it when its grant is withdrawn.

use std::pin::pin;
use std::time::Duration;

use crate::authority::{Withdrawal, Withdrawn};
use crate::exchange::Exchange;
use crate::upstream::{Failure, Outbound, Reply, Upstream};

/// Time that the connection gets to cancel a call that was withdrawn, before it is dropped.
const GRACE: Duration = Duration::from_millis(50);

/// What became of a call that was to be sent.
#[derive(Debug)]
pub(super) enum Sent {
    Reply(Reply),
    Failed(Failure),
    /// It was ended. Whatever the server says by then is withheld.
    Cut {
        why: Withdrawn,
        may_have_run: bool,
    },
}

/// Sends a request. `inner` is the withdrawal of a further decision that it rests on.
pub(super) async fn send(
    upstream: &dyn Upstream,
    outbound: Outbound,
    exchange: &dyn Exchange,
    inner: Option<Withdrawal>,
) -> Sent {
    let withdrawal = outbound.grant.withdrawal();
    let inner = inner.unwrap_or_default();
    let mut request = pin!(upstream.request(outbound, exchange));
    let why = tokio::select! {
        biased;
        why = withdrawal.wait() => why,
        why = inner.wait() => {
            // The connection looks at its grant only.
            withdrawal.withdraw(why.clone());
            why
        }
        sent = &mut request => return match (sent, withdrawal.get()) {
            (Ok(reply), _) => Sent::Reply(reply),
            // The connection found out first.
            (Err(failure), Some(why)) => {
                Sent::Cut { why: why.clone(), may_have_run: failure.may_have_run }
            }
            (Err(failure), None) => Sent::Failed(failure),
        },
    };
    let may_have_run = match tokio::time::timeout(GRACE, request).await {
        Ok(Err(failure)) => failure.may_have_run,
        Ok(Ok(_)) | Err(_) => true,
    };
    Sent::Cut { why, may_have_run }
}

//! Evaluating once, on a thread of its own.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use sentinel_policy_analysis::interpreter::STACK;

use crate::error::WorkbenchError;

/// Does something once, on a thread of its own with a large stack. A thread that does not come back
/// ends with the process, so this is for commands and not for servers.
///
/// # Errors
/// When it takes longer than `limit`, or panics.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, WorkbenchError> + Send + 'static,
) -> Result<T, WorkbenchError> {
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new()
        .name("policy-once".to_owned())
        .stack_size(STACK)
        .spawn(move || drop(sender.send(work())))
        .map_err(WorkbenchError::Thread)?;
    receiver.recv_timeout(limit).unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => WorkbenchError::TimedOut(limit),
            RecvTimeoutError::Disconnected => WorkbenchError::Panicked,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_is_done_once_is_bounded_too() {
        let (open, gate) = channel::<()>();
        let late = within(Duration::from_millis(20), move || {
            let _ = gate.recv();
            Ok(())
        });
        let Err(error @ WorkbenchError::TimedOut(_)) = late else { panic!("{late:?}") };
        assert!(error.to_string().contains("20ms"), "{error}");
        drop(open);
        assert_eq!(within(Duration::from_secs(20), || Ok(7)).unwrap(), 7);
    }
}

//! The signals that stop a server.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The signal of a supervisor, which may have a load balancer in front; SIGINT is sent by a person.
const SIGTERM: &str = "SIGTERM";

/// SIGINT and SIGTERM.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Catches both signals from now on.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns once the listeners have to close: `drain` after SIGTERM, at once after SIGINT or a
    /// second signal. `stopping` turns true at the first signal.
    pub(crate) async fn requested(mut self, stopping: &watch::Sender<bool>, drain: Duration) {
        let signal = self.received().await;
        // Event streams end and readiness is lost at once; nothing else is cut.
        stopping.send_replace(true);
        tracing::info!(signal, "stopping: what was accepted is finished first");
        if signal == SIGTERM {
            drop(tokio::time::timeout(drain, self.received()).await);
        }
    }

    async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => SIGTERM,
        }
    }
}

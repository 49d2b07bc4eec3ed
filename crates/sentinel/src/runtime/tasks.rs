//! The tasks of a running server.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use sentinel_core::clock::Clock;
use sentinel_core::store::Store;
use sentinel_service::health::{HealthChecker, Networks};
use sentinel_service::log::TransparencyLog;
use sentinel_service::signing::Signing;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::parts::task::{Shutdown, Task};

/// How often a server takes or keeps the lead of the log, well below the time that it holds.
const LEAD: Duration = Duration::from_secs(1);

/// Tasks that run until they are stopped.
#[derive(Debug)]
pub(crate) struct Tasks {
    running: JoinSet<()>,
    shutdown: watch::Sender<()>,
}

impl Tasks {
    /// Starts each of `tasks`.
    pub(crate) fn start(tasks: Vec<Box<dyn Task>>) -> Self {
        let (shutdown, begins) = Shutdown::channel();
        let running = tasks.into_iter().map(|task| run(task, begins.clone())).collect();
        Self { running, shutdown }
    }

    /// Stops them, and waits until all have ended; those that do not within `limit` are cut off.
    pub(crate) async fn stop(mut self, limit: Duration) {
        drop(self.shutdown);
        let ended = async { while self.running.join_next().await.is_some() {} };
        drop(tokio::time::timeout(limit, ended).await);
        self.running.shutdown().await;
    }
}

/// Runs a task to its end. A panic ends that task alone.
async fn run(task: Box<dyn Task>, shutdown: Shutdown) {
    let name = task.name();
    match AssertUnwindSafe(task.run(shutdown)).catch_unwind().await {
        Ok(()) => tracing::debug!(task = name, "a task has ended"),
        Err(_) => tracing::error!(task = name, "a task panicked, and does not run any more"),
    }
}

/// Polls the health checks of tools.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HealthChecks {
    /// Networks that it dials.
    pub(crate) networks: Networks,
    /// Time between two polls of one tool.
    pub(crate) interval: Duration,
}

impl HealthChecks {
    /// Polls for as long as it is awaited.
    pub(crate) async fn poll(self, store: Arc<dyn Store>, clock: Arc<dyn Clock>) {
        match HealthChecker::new(store, clock, self.networks) {
            Ok(checker) => checker.run(self.interval).await,
            Err(error) => tracing::error!(%error, "health checks could not be started"),
        }
    }
}

/// Takes the lead of the log, or keeps it, and tells whether this server has it: one server at a
/// time sends the log on.
pub(crate) struct LogLead {
    pub(crate) log: Arc<TransparencyLog>,
    pub(crate) leads: watch::Sender<bool>,
}

#[async_trait]
impl Task for LogLead {
    fn name(&self) -> &'static str {
        "log lead"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        shutdown.ends(self.keep()).await;
    }
}

impl LogLead {
    async fn keep(&self) {
        let mut ticks = tokio::time::interval(LEAD);
        loop {
            ticks.tick().await;
            // Without the store no server leads, and nothing could be read.
            let now = matches!(self.log.lead().await, Ok(Some(_)));
            self.leads.send_if_modified(|leads| std::mem::replace(leads, now) != now);
        }
    }
}

/// Makes a signature that is not used. The first one takes some 70 ms, since the generator of
/// AWS-LC is seeded for it; no caller has to wait for that. A key that was just made has done so.
pub(crate) async fn warm_up(signing: Signing) {
    let Signing::Direct(signer) = signing else { return };
    let signed = tokio::task::spawn_blocking(move || signer.sign(b"").map(drop)).await;
    if let Ok(Err(error)) = signed {
        tracing::error!(%error, "the signing key cannot sign");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::parts::task::work;

    #[tokio::test]
    async fn a_task_that_panics_ends_alone_and_the_others_when_they_are_stopped() {
        /// Counts itself when it is dropped.
        struct Ended(Arc<AtomicUsize>);
        impl Drop for Ended {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(AtomicUsize::new(0));
        let endless = Ended(Arc::clone(&count));
        let endless = async move {
            let _ended = endless;
            std::future::pending::<()>().await;
        };
        let tasks = Tasks::start(vec![
            work("broken", async { panic!("a planted panic") }),
            work("endless", endless),
        ]);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(count.load(Ordering::Relaxed), 0);
        tasks.stop(Duration::from_secs(10)).await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}

//! The policy of a running server: loaded again on SIGHUP, and every change recorded.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::clock::Clock;
use sentinel_service::{ServiceError, Services};
use tokio::signal::unix::Signal;
use tokio::sync::watch;

use crate::parts::policy_engine::{First, NoPolicy, Policy, Reloaded, Reloader};
use crate::parts::task::{Shutdown, Task};

/// Pause after a change of policy could not be recorded.
const RECORD_AGAIN: Duration = Duration::from_secs(2);

/// Records the policy after each load, whatever caused it.
pub(crate) struct PolicyRecorder {
    services: Weak<Services>,
    reloader: Reloader,
    /// Changes after each load; none when OPA loads the policy.
    loads: Option<watch::Receiver<()>>,
    /// Digest of what the source had brought by the last load that was recorded.
    brought: Option<String>,
}

impl PolicyRecorder {
    /// Records the policy that a server starts with, and logs that there is none. A server starts
    /// in any case: without a policy it denies everything, and still has to answer kills, audits
    /// and health, and to take a corrected policy on SIGHUP.
    pub(crate) async fn begin(
        services: &Arc<Services>,
        policy: &Policy,
        first: &Result<First, NoPolicy>,
    ) -> Self {
        if let Err(error) = first {
            log_no_policy(policy, error);
        }
        let reloader = policy.reloader();
        // Of a bundle that was kept it is not known whether its source has another one by now.
        let is_kept = matches!(first, Ok(First::Kept));
        let mut recorder = Self {
            services: Arc::downgrade(services),
            // Subscribed before the first look, so that no load is missed.
            loads: reloader.loads(),
            reloader,
            brought: services.policy.status().digest.filter(|_| is_kept),
        };
        if let Err(error) = recorder.record(services).await {
            tracing::error!(%error, "a change of policy could not be recorded; trying again");
            recorder.loads.iter_mut().for_each(watch::Receiver::mark_changed);
        }
        recorder
    }

    /// Records what was loaded, or refused, last. When the source has brought something else than
    /// it had `brought`, ends what was promoted over something else: a server whose source is
    /// behind, and reports it again, must not end what was promoted over what the others have.
    async fn record(&mut self, services: &Services) -> Result<(), ServiceError> {
        let Some(source) = self.reloader.origin() else { return Ok(()) };
        services.policy_log.note_source(&source).await?;
        let digest = services.policy.status().digest;
        if digest != self.brought {
            services.rollouts.source_brought(&source).await?;
            self.brought = digest;
        }
        Ok(())
    }

    /// Records each load while there are services. That the store is away changes nothing of what
    /// is in force here.
    async fn record_loads(mut self) {
        let Some(mut loads) = self.loads.take() else { return };
        while loads.changed().await.is_ok() {
            let Some(services) = self.services.upgrade() else { return };
            let recorded = self.record(&services).await;
            drop(services);
            if let Err(error) = recorded {
                tracing::error!(%error, "a change of policy could not be recorded; trying again");
                tokio::time::sleep(RECORD_AGAIN).await;
                loads.mark_changed();
            }
        }
    }
}

#[async_trait]
impl Task for PolicyRecorder {
    fn name(&self) -> &'static str {
        "policy record"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        shutdown.ends(self.record_loads()).await;
    }
}

/// Logs that nothing is in force, which the operator of the server has to change.
fn log_no_policy(policy: &Policy, error: &NoPolicy) {
    match policy.reloader().dir() {
        Some(dir) => tracing::error!(
            %error,
            policy_dir = %dir.display(),
            "the policy was refused: EVERY CHECK IS DENIED until a policy is loaded; fix it, \
             try it with `sentinel policy check`, and send SIGHUP"
        ),
        None => tracing::error!(
            %error,
            "there is no policy: EVERY CHECK IS DENIED until a bundle is loaded; its source \
             is asked again, and at once after SIGHUP"
        ),
    }
}

/// Loads the policy again on each SIGHUP.
pub(crate) struct ReloadOnHangup {
    pub(crate) hangup: Signal,
    pub(crate) reloader: Reloader,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Task for ReloadOnHangup {
    fn name(&self) -> &'static str {
        "policy reload"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        shutdown.ends(self.reload()).await;
    }
}

impl ReloadOnHangup {
    async fn reload(mut self) {
        while self.hangup.recv().await.is_some() {
            let (reloader, now) = (self.reloader.clone(), self.clock.now());
            match tokio::task::spawn_blocking(move || reloader.load(now)).await {
                Ok(Ok(Reloaded::Revision(revision))) => {
                    tracing::info!(%revision, "the policy was loaded again");
                }
                Ok(Ok(Reloaded::Asking)) => {
                    tracing::info!("the source of the policy is asked");
                }
                Ok(Ok(Reloaded::Nothing)) => {
                    tracing::info!("nothing to load: OPA decides, by what it loads itself");
                }
                Ok(Err(error)) => {
                    tracing::error!(
                        %error,
                        "the policy was refused; the one before stays in force"
                    );
                }
                Err(error) => tracing::error!(%error, "the policy could not be loaded"),
            }
        }
    }
}

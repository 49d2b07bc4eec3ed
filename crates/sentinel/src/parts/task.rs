//! Work that goes on beside requests while a server runs.

use std::pin::Pin;

use async_trait::async_trait;
use tokio::sync::watch;

/// Something that is done for as long as a server runs.
#[async_trait]
pub(crate) trait Task: Send {
    /// Its name in the log.
    fn name(&self) -> &'static str;

    /// Works until nothing is left to do, or until the server stops.
    async fn run(self: Box<Self>, shutdown: Shutdown);
}

/// Resolves once the server has answered its last request and ends its tasks.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown(watch::Receiver<()>);

impl Shutdown {
    /// A shutdown that begins when the sender is dropped.
    pub(crate) fn channel() -> (watch::Sender<()>, Self) {
        let (sender, receiver) = watch::channel(());
        (sender, Self(receiver))
    }

    /// Runs `work`, and breaks it off when the shutdown begins. `work` has to be safe to break off
    /// at each of its `await`s.
    pub(crate) async fn ends(mut self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            // Nothing is ever sent: this completes when the sender is gone.
            _ = self.0.changed() => {}
        }
    }
}

/// A future as a task.
struct Work {
    name: &'static str,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A task that runs `work`, which has to be safe to break off at each of its `await`s.
pub(crate) fn work(
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) -> Box<dyn Task> {
    Box::new(Work { name, work: Box::pin(work) })
}

#[async_trait]
impl Task for Work {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        shutdown.ends(self.work).await;
    }
}

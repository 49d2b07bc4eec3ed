//! The partitions of the audit log on PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::clock::Clock;
use sentinel_core::ports::Upkeep;

use crate::parts::task::{Shutdown, Task};

/// Time between two looks at the partitions, and at the months that can be archived.
pub(crate) const INTERVAL: Duration = Duration::from_secs(600);

/// Makes the partitions of the coming months in time.
pub(crate) struct PartitionKeeper {
    pub(crate) store: Arc<dyn Upkeep>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Task for PartitionKeeper {
    fn name(&self) -> &'static str {
        "partitions"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        shutdown.ends(self.keep()).await;
    }
}

impl PartitionKeeper {
    async fn keep(&self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            ticks.tick().await;
            match self.store.prepare(self.clock.now()).await {
                Ok(0) => {}
                Ok(made) => tracing::info!(made, "partitions of the audit log were made"),
                Err(error) => tracing::warn!(%error, "partitions were not made; nothing is lost"),
            }
        }
    }
}
